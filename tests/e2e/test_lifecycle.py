"""Signals, refusals and restarts of the real binary."""
import json
import os
import re
import signal
import stat
import subprocess
import threading

import pytest
from hamster_process import BINARY, Hamster, environment, free_port
from s3_client import Client


def test_binary_is_static():
    run = subprocess.run(["ldd", BINARY], capture_output=True, text=True)
    assert "not a dynamic executable" in run.stdout + run.stderr


def test_runs_in_an_empty_chroot(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    jail = tmp_path / "jail"
    jail.mkdir()
    os.link(BINARY, jail / "hamster") if os.stat(BINARY).st_dev == os.stat(jail).st_dev else \
        subprocess.run(["cp", BINARY, jail / "hamster"], check=True)
    def in_jail(*args):
        return ["chroot", str(jail), "/hamster", *args]
    run = subprocess.run(in_jail("init", "-data-dir", "/data"), env=environment(),
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    port = free_port()
    process = subprocess.Popen(in_jail("serve", "-data-dir", "/data", "-s3", f"127.0.0.1:{port}",
                                       "-listen", f"127.0.0.1:{free_port()}",
                                       "-admin", f"127.0.0.1:{free_port()}"), env=environment(),
                               stderr=subprocess.PIPE, text=True)
    try:
        client = Client(port)
        for _ in range(2000):
            try:
                status, _, _ = client.request("PUT", "/in-jail")
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                threading.Event().wait(0.01)
        assert status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_sigterm_drains_and_exits_0_and_data_survives():
    with Hamster() as node:
        client = Client(node.port)
        assert client.request("PUT", "/bucket")[0] == 200
        assert client.request("PUT", "/bucket/key", body=b"x" * 100_000)[0] == 200
        assert node.stop() == 0
        node.start()
        status, _, body = Client(node.port).request("GET", "/bucket/key")
        assert (status, body) == (200, b"x" * 100_000)


def test_no_other_user_can_read_anything():
    # Some libraries make their files with the mode that the process's umask leaves them.
    before = os.umask(0o022)
    try:
        with Hamster() as node:
            client = Client(node.port)
            assert client.request("PUT", "/bucket")[0] == 200
            assert client.request("PUT", "/bucket/key", body=b"x" * 100_000)[0] == 200
            assert node.stop() == 0
            node.start()
            seen = 0
            for folder, folders, names in os.walk(node.data_dir):
                for name in folders + names:
                    status = os.stat(os.path.join(folder, name))
                    expected = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
                    found = stat.S_IMODE(status.st_mode)
                    assert found == expected, (os.path.join(folder, name), oct(found))
                    seen += 1
            assert seen > 10
    finally:
        os.umask(before)


def test_lost_segments_are_refused_unless_accepted():
    with Hamster() as node:
        client = Client(node.port)
        assert client.request("PUT", "/bucket")[0] == 200
        assert client.request("PUT", "/bucket/key", body=b"x" * 100_000)[0] == 200
        assert node.stop() == 0
        segments = os.path.join(node.data_dir, "shards", "segments")
        os.rename(segments, segments + ".away")
        os.mkdir(segments, 0o700)
        address = f"127.0.0.1:{free_port()}"
        run = node.cli("serve", "-data-dir", node.data_dir, "-s3", address)
        assert run.returncode == 1 and "shards/segments" in run.stderr, run.stderr
        assert os.listdir(segments) == []
        os.rmdir(segments)
        os.rename(segments + ".away", segments)
        node.start()
        assert Client(node.port).request("GET", "/bucket/key")[2] == b"x" * 100_000
        assert node.stop() == 0
        for name in os.listdir(segments):
            os.remove(os.path.join(segments, name))
        node.extra.append("-accept-lost-segments")
        node.start()
        node.extra.remove("-accept-lost-segments")
        assert Client(node.port).request("GET", "/bucket/key")[0] == 500
        assert Client(node.port).request("PUT", "/bucket/key", body=b"y")[0] == 200
        assert node.stop() == 0
        node.start()
        assert Client(node.port).request("GET", "/bucket/key")[2] == b"y"


def test_sigterm_lets_a_running_request_finish():
    with Hamster() as node:
        client = Client(node.port)
        assert client.request("PUT", "/bucket")[0] == 200
        data = os.urandom(1 << 20)
        target, headers = client.sign("PUT", "/bucket/slow", {}, {}, "UNSIGNED-PAYLOAD")
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
        connection.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(data)))
        connection.endheaders()
        connection.send(data[:1000])
        # The request is being worked on once the node counts it.
        for _ in range(2000):
            if node.metric("hamster_s3_requests_in_flight") >= 1:
                break
            threading.Event().wait(0.005)
        node.process.send_signal(signal.SIGTERM)
        threading.Event().wait(0.2)
        connection.send(data[1000:])
        assert connection.getresponse().status == 200
        assert node.process.wait(timeout=60) == 0
        node.start()
        assert Client(node.port).request("GET", "/bucket/slow")[2] == data


def test_second_process_on_the_same_directory_is_refused(hamster):
    run = subprocess.run([BINARY, "serve", "-data-dir", hamster.data_dir, "-s3",
                          f"127.0.0.1:{free_port()}"], env=environment(), capture_output=True,
                         text=True, timeout=60)
    assert run.returncode != 0
    assert "lock" in run.stderr.lower() or "already" in run.stderr.lower(), run.stderr


def test_serve_without_init_says_what_to_do(tmp_path):
    run = subprocess.run([BINARY, "serve", "-data-dir", str(tmp_path / "none"), "-s3",
                          f"127.0.0.1:{free_port()}"], env=environment(), capture_output=True,
                         text=True, timeout=60)
    assert run.returncode != 0
    assert "hamster init" in run.stderr


def test_foreign_and_damaged_directories_are_refused(tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letters.txt").write_text("mine")
    run = subprocess.run([BINARY, "init", "-data-dir", str(foreign)], env=environment(),
                         capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "empty" in run.stderr, run.stderr
    assert sorted(os.listdir(foreign)) == ["letters.txt"]

    with Hamster() as node:
        node.stop()
        with open(os.path.join(node.data_dir, "hamster.format"), "r+b") as f:
            content = f.read()
            f.seek(0)
            f.write(bytes([content[0] ^ 1]))
        run = node.cli("serve", "-data-dir", node.data_dir, "-s3", f"127.0.0.1:{free_port()}")
        assert run.returncode != 0 and "hamster.format" in run.stderr, run.stderr


@pytest.mark.parametrize("access,secret", [("", ""), ("hamster", ""), ("hamster", "short"),
                                           ("minioadmin", "minioadmin")])
def test_weak_credentials_are_refused(tmp_path, access, secret):
    data = str(tmp_path / "data")
    env = environment()
    assert subprocess.run([BINARY, "init", "-data-dir", data], env=env).returncode == 0
    env["HAMSTER_ACCESS_KEY_ID"], env["HAMSTER_SECRET_ACCESS_KEY"] = access, secret
    run = subprocess.run([BINARY, "serve", "-data-dir", data, "-s3", f"127.0.0.1:{free_port()}"],
                         env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode != 0
    assert "HAMSTER_" in run.stderr


def test_users(hamster):
    def verb(*args):
        run = hamster.cli(*args, "-data-dir", hamster.data_dir, "--json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout) if run.stdout.strip() else None

    made = verb("user", "create", "ann")
    ann = Client(hamster.port, made["access_key_id"], made["secret_access_key"])
    root = Client(hamster.port)
    assert ann.request("PUT", "/anns")[0] == 200
    assert root.request("PUT", "/roots")[0] == 200
    status, _, body = ann.request("GET", "/")
    assert status == 200 and b"<Name>anns</Name>" in body and b"roots" not in body
    assert ann.request("GET", "/roots")[0] == 403
    assert ann.request("PUT", "/roots/key", body=b"x")[0] == 403
    status, _, body = root.request("GET", "/")
    assert b"anns" in body and b"roots" in body
    assert root.request("PUT", "/anns/key", body=b"x")[0] == 200
    verb("user", "disable", "ann")
    assert ann.request("GET", "/anns")[0] == 403
    # Nothing about a secret may lie in plain text on the disk.
    secret = made["secret_access_key"].encode()
    for folder, _, names in os.walk(hamster.data_dir):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.path.getsize(path) < 1 << 28:
                assert secret not in open(path, "rb").read(), path


def test_help_and_version():
    run = subprocess.run([BINARY, "help"], capture_output=True, text=True)
    assert run.returncode == 0
    for verb in ("init", "serve", "status", "version", "bench", "user"):
        assert re.search(rf"\b{verb}\b", run.stdout), verb
    run = subprocess.run([BINARY, "serv"], capture_output=True, text=True)
    assert run.returncode == 2 and "serve" in run.stderr
