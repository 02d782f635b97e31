"""Strangers at the cluster port, wrong clocks, flipped bits and a full disk: the cluster serves on,
or a node comes back by itself, and nothing is lost."""
import datetime
import email.utils
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time

import pytest
from cluster import Cluster, all_there, wait_for
from s3_client import Client

MIB = 1 << 20


@pytest.fixture
def three(tmp_path):
    with Cluster(tmp_path) as cluster:
        status, _, body = cluster.any().client().request("PUT", "/bucket")
        assert status == 200, body
        yield cluster


def put_many(node, prefix, count, size=2000):
    """{path: body} of what was acknowledged."""
    client = node.client(30)
    stored = {}
    for n in range(count):
        path = f"/bucket/{prefix}/{n}"
        body = random.Random(path).randbytes(n * size // count)
        status, _, text = client.request("PUT", path, body=body)
        assert status == 200, (path, text)
        stored[path] = body
    return stored


# ---- strangers ------------------------------------------------------------------------------

def tls(node_of=None, **options):
    """A context of a stranger, or with the certificate of a member."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    if node_of is not None:
        chain = os.path.join(os.path.dirname(node_of.data_dir), "chain.pem")
        with open(chain, "wb") as out:
            for name in ("node.crt", "ca.crt"):
                with open(os.path.join(node_of.data_dir, name), "rb") as f:
                    out.write(f.read())
        context.load_cert_chain(chain, os.path.join(node_of.data_dir, "node.key"))
    return context


def say(node, data, context=None, listen=True):
    """Connects to the cluster port, sends, and reads until the other side ends it."""
    try:
        with socket.create_connection(("127.0.0.1", node.listen_port), timeout=40) as raw:
            stream = context.wrap_socket(raw) if context else raw
            stream.sendall(data)
            while listen and stream.recv(65536):
                pass
    except OSError:  # ssl.SSLError is one
        pass


GARBAGE = [
    b"", b"\0", b"\xff" * 4, b"\0" * 100_000, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
    random.Random(1).randbytes(200_000), b"SSH-2.0-OpenSSH_9.2\r\n",
]
MESSAGES = [
    b"", b"\0\0\0\0", b"\xff\xff\xff\xff", struct.pack("<I", 1 << 20) + b"a" * 10,
    struct.pack("<I", 4) + b"\xff\xff\xff\xff", struct.pack("<I", 64) + b"\x0a" * 64,
    b"\0" * 100_000, random.Random(2).randbytes(100_000), b"GET / HTTP/1.1\r\n\r\n",
]


def undisturbed(cluster, pids):
    for node in cluster.nodes:
        assert node.is_running() and node.process.pid == pids[node.name], node.log()[-3000:]
        assert node.client().request("GET", "/bucket", {"list-type": "2"})[0] == 200
    status, _, body = cluster.nodes[0].client().request("PUT", "/bucket/key", body=b"x")
    assert status == 200, body


def test_garbage_at_the_cluster_port(three):
    pids = {n.name: n.process.pid for n in three.nodes}
    before = three.leader()
    for node in three.nodes:
        for data in GARBAGE:
            say(node, data, listen=len(data) > 4)
            say(node, data, listen=False)
    undisturbed(three, pids)
    assert three.leader() is before


def test_tls_clients_without_a_certificate(three):
    pids = {n.name: n.process.pid for n in three.nodes}
    old = ssl.TLSVersion.TLSv1_2
    for node in three.nodes:
        for data in MESSAGES:
            say(node, data, tls(), listen=len(data) >= 100)
        with pytest.raises(OSError):  # nodes speak TLS 1.3 and nothing else
            with socket.create_connection(("127.0.0.1", node.listen_port), timeout=20) as raw:
                tls(maximum_version=old).wrap_socket(raw)
    undisturbed(three, pids)
    three.grow()  # whoever has a token still gets in


def test_certificates_of_strangers(three, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a foreign certificate with")
    pids = {n.name: n.process.pid for n in three.nodes}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout",
                    tmp_path / "k.pem", "-out", tmp_path / "c.pem", "-subj", "/CN=stranger"],
                   check=True, capture_output=True)
    for node in three.nodes:
        for data in MESSAGES:
            context = tls()
            context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
            say(node, data, context, listen=len(data) == 100_000)
    with Cluster(tmp_path / "other", size=1) as other:
        for node in three.nodes:
            for data in MESSAGES:
                say(node, data, tls(other.nodes[0]), listen=len(data) == 100_000)
    undisturbed(three, pids)


def test_a_member_that_speaks_garbage(three):
    """Another version, or memory gone bad: under the certificate of n3, to all."""
    pids = {n.name: n.process.pid for n in three.nodes}
    context = tls(three.nodes[2])
    for node in three.nodes:
        for data in MESSAGES + GARBAGE:
            say(node, data, context, listen=False)
            say(node, data, context, listen=len(data) > 1000)
    undisturbed(three, pids)
    three.wait_voters(3)


def test_idle_strangers_do_not_hold_up_the_members(three):
    pids = {n.name: n.process.pid for n in three.nodes}
    held = []
    try:
        for node in three.nodes:
            for n in range(150):
                raw = socket.create_connection(("127.0.0.1", node.listen_port), timeout=10)
                held.append(raw)
                if n % 10 == 0:
                    try:
                        raw = tls().wrap_socket(raw)
                        held.append(raw)
                    except OSError:
                        pass
        undisturbed(three, pids)
        victim = three.followers()[0]  # whose connections must be made anew in the crowd
        assert victim.stop() == 0
        victim.start()
        three.wait_voters(3)
    finally:
        for raw in held:
            raw.close()
    # The strangers are gone: newcomers get in.
    three.grow()


# ---- damage ---------------------------------------------------------------------------------

def logs_of(node):
    folder = os.path.join(node.data_dir, "meta", "log")
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".wal"))


def used_bytes(path):
    """Where the zeros begin, in whole blocks; the first block is the header."""
    with open(path, "rb") as f:
        content = f.read()
    return (len(content.rstrip(b"\0")) + 4095) // 4096 * 4096


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 0x10]))


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_flipped_bit_in_the_log_of_a_follower(three, part):
    victim = three.followers()[-1]
    others = [n for n in three.nodes if n is not victim]
    stored = put_many(others[0], "before", 300)
    stored |= put_many(victim, "own", 50)
    victim.kill()
    path = logs_of(victim)[-1]
    used = used_bytes(path)
    assert used > 10 * 4096, used
    block = int(used * part) // 4096 * 4096
    flip(path, block + 40)  # within the first record of a group, never in its padding
    stored |= put_many(others[1], "while", 50)
    victim.start()
    three.wait_voters(3)
    all_there(victim, stored)
    # It is a voter that can be trusted: with it and one other the cluster goes on.
    three.any().json("transfer-leadership", "-to", victim.name)
    others[0].kill()
    stored_later = wait_for("writes go on", lambda: put_many(victim, "later", 20))
    all_there(others[1], stored_later)
    others[0].start()
    three.wait_voters(3)
    for node in three.nodes:
        all_there(node, stored | stored_later)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_flipped_bit_in_the_log_of_one_of_two(tmp_path, part):
    """No majority without it; but what it acknowledged and is committed, the other one has."""
    with Cluster(tmp_path, size=2) as cluster:
        assert cluster.any().client().request("PUT", "/bucket")[0] == 200
        stored = {}
        for victim, other in (cluster.nodes, cluster.nodes[::-1]):
            stored |= put_many(other, f"before-{victim.name}", 150)
            stored |= put_many(victim, f"own-{victim.name}", 50)
            victim.kill()
            path = logs_of(victim)[-1]
            used = used_bytes(path)
            assert used > 10 * 4096, used
            flip(path, int(used * part) // 4096 * 4096 + 40)
            victim.start(wait=False)
            cluster.wait_voters(2, of=other)
            assert "fetches what it lost" in victim.log(), victim.log()
            stored |= wait_for("writes go on", lambda: put_many(victim, f"after-{victim.name}", 20))
        for node in cluster.nodes:
            all_there(node, stored)


def test_a_torn_tail_of_the_log_of_a_follower(three):
    victim = three.followers()[-1]
    stored = put_many(three.leader(), "before", 200)
    victim.kill()
    path = logs_of(victim)[-1]
    used = used_bytes(path)
    with open(path, "r+b") as f:  # the last write reached the disk by half
        f.seek(used - 2048)
        f.write(b"\0" * 2048)
    victim.start()
    three.wait_voters(3)
    for node in three.nodes:
        all_there(node, stored)


def test_a_damaged_vote_is_never_believed(three):
    """It says what to do, and what it says works: out with it, and in under a new identity."""
    victim = three.followers()[-1]
    stored = put_many(three.leader(), "before", 100)
    victim.kill()
    path = os.path.join(victim.data_dir, "meta", "vote")
    with open(path, "rb") as f:
        content = f.read()
    with open(path, "wb") as f:
        f.write(bytes(b ^ 0xff for b in content))
    victim.start(wait=False)
    assert victim.wait_end() == 1
    assert "meta/vote" in victim.log() and "remove" in victim.log(), victim.log()
    asked = three.any()
    run = asked.verb("drain", victim.name, "-reencode", "-wait", limit_s=120)
    assert run.returncode == 0, (run.stdout, run.stderr)
    assert asked.json("remove", victim.name)["removed"] == victim.name
    victim.data_dir += "-new"
    victim.start(token=asked.token())
    three.wait_voters(3)
    for node in three.nodes:
        all_there(node, stored)


def test_a_bit_flips_in_the_log_of_each_node_in_turn(three):
    stored = {}
    for number, node in enumerate(three.nodes):
        stored |= put_many(three.any(), f"round-{number}", 100)
        node.kill()
        path = logs_of(node)[-1]
        flip(path, used_bytes(path) // 2 // 4096 * 4096 + 40)
        node.start()
        three.wait_voters(3)
    for node in three.nodes:
        all_there(node, stored)


# ---- a full disk ----------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(mount)], check=True)
    yield str(mount)
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(folder):
    """Leaves not a byte; the path of what took it."""
    path = os.path.join(folder, "filler")
    with open(path, "wb", buffering=0) as f:
        for size in (MIB, 4096, 1):
            try:
                while True:
                    f.write(b"\1" * size)
            except OSError:
                pass
    return path


def test_a_full_disk_on_the_leader(tmp_path, small_disk):
    """It hands over rather than stall the cluster; with space it takes part again."""
    cluster = Cluster(tmp_path)
    try:
        founder = cluster.new_node()
        founder.data_dir = os.path.join(small_disk, "n1")
        founder.init().start()
        cluster.grow()
        cluster.grow()
        cluster.wait_voters(3)
        others = cluster.nodes[1:]
        assert others[0].client().request("PUT", "/bucket")[0] == 200
        founder.json("transfer-leadership", "-to", "n1")
        stored = put_many(founder, "before", 50)
        filler = fill(small_disk)
        client = others[0].client(15)
        longest, leads, count = 0.0, True, 0
        deadline = time.monotonic() + 120
        while leads and time.monotonic() < deadline:
            for _ in range(200):  # long keys and many parts of metadata: the log must grow
                count += 1
                path = f"/bucket/full/{count}-{'k' * 800}"
                begun = time.monotonic()
                status = None
                while status != 200:
                    try:
                        status, _, body = client.request("PUT", path, body=b"x")
                    except OSError as e:
                        status, body = None, repr(e)
                    assert time.monotonic() - begun < 30, (status, body, founder.log()[-3000:])
                longest = max(longest, time.monotonic() - begun)
                stored[path] = b"x"
            leads = cluster.leader(others[0]) is founder
        print(f"\nanother leads after {count} writes; the longest took {longest:.2f} s")
        assert not leads, f"n1 leads on a full disk after {count} writes\n{founder.log()[-3000:]}"
        assert longest < 10
        seen = {}

        def is_told():
            seen.update((others[0].members() or {}).get("n1", {}))
            return seen and (seen["full"] or seen["trouble"] or seen["state"] != "up")
        wait_for(lambda: f"status says that the disk of n1 is full: {seen}", is_told, limit_s=15)
        os.remove(filler)
        if not founder.is_running():
            founder.start()
        cluster.wait_voters(3, of=others[0], limit_s=120)
        for node in cluster.nodes:
            all_there(node, stored)
        assert founder.client().request("PUT", "/bucket/again", body=b"x")[0] == 200
    finally:
        cluster.close()


# ---- clocks ---------------------------------------------------------------------------------

TEN_YEARS_S = 10 * 365 * 86400


class OffClient(Client):
    """Of a machine whose clock is as wrong as the node's."""

    def __init__(self, node, offset_s):
        super().__init__(node.port, timeout=30)
        self.offset = datetime.timedelta(seconds=offset_s)

    def sign(self, *args, now=None):
        now = now or datetime.datetime.now(datetime.timezone.utc)
        return super().sign(*args, now=now + self.offset)


def is_of_today(node, path):
    status, headers, _ = node.client(30).request("HEAD", path)
    then = email.utils.parsedate_to_datetime(headers["last-modified"]).timestamp()
    return status == 200 and abs(then - time.time()) < 600


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="wrong_clock.py is for x86-64")
@pytest.mark.parametrize("offset_s", [TEN_YEARS_S, -TEN_YEARS_S])
def test_a_node_whose_clock_is_ten_years_off(tmp_path, offset_s):
    """It joins, votes and leads; cluster time is that of the others. Only signatures of its own
    clients are judged by its clock."""
    with Cluster(tmp_path, size=2) as cluster:
        right = cluster.nodes[0]
        assert right.client().request("PUT", "/bucket")[0] == 200
        stored = put_many(right, "before", 20)
        wrong = cluster.new_node()
        wrong.prefix = [sys.executable, os.path.join(os.path.dirname(__file__), "wrong_clock.py"),
                        str(offset_s)]
        wrong.start(token=right.token())
        its_year = time.gmtime(time.time() + offset_s).tm_year
        assert wrong.log().startswith(f"{its_year}-"), wrong.log()  # it is wrong indeed
        cluster.wait_voters(3)

        def is_sound():
            for node in cluster.nodes[:2]:
                path = f"/bucket/{node.name}-{time.monotonic_ns()}"
                assert node.client(30).request("PUT", path, body=b"x")[0] == 200
                stored[path] = b"x"
                assert is_of_today(right, path)
            status, _, body = wrong.client().request("GET", "/bucket/before/3")
            assert status == 403 and b"RequestTimeTooSkewed" in body, body
            client = OffClient(wrong, offset_s)
            for path, body in stored.items():
                assert client.request("GET", path)[2] == body, path
            path = f"/bucket/through-it-{time.monotonic_ns()}"
            status, _, body = client.request("PUT", path, body=b"x")
            assert status == 200, body
            stored[path] = b"x"
            assert is_of_today(right, path)
        is_sound()
        right.json("transfer-leadership", "-to", wrong.name)
        is_sound()
        cluster.grow()  # tokens do not expire, certificates are good
        wrong.stop()
        wrong.start()
        cluster.wait_voters(3)
        is_sound()
        right.stop()
        right.start()
        cluster.wait_voters(3)
        is_sound()
        for node in (cluster.nodes[0], cluster.nodes[1], cluster.nodes[3]):
            all_there(node, stored)
