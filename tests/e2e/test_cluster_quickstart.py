"""The quick start as it stands, and what three nodes promise: any port, one truth at once."""
import hashlib
import os
import random
import re
import subprocess
import time

import pytest
from cluster import Node, port_is_free, wait_for
from hamster_process import BINARY, environment
from s3_client import Client

ROUNDS = int(os.environ.get("LIST_ROUNDS", "60"))
MIB = 1 << 20

QUICK_START = """\
export HAMSTER_ACCESS_KEY_ID=hamster HAMSTER_SECRET_ACCESS_KEY=keep-this-one-secret
hamster init -data-dir ./n1 -node n1 -listen 127.0.0.1:7946
hamster serve -data-dir ./n1 -s3 127.0.0.1:9000
TOKEN=$(hamster token -data-dir ./n1)
hamster serve -data-dir ./n2 -node n2 -listen 127.0.0.1:7956 -token "$TOKEN" -s3 127.0.0.1:9001
TOKEN=$(hamster token -data-dir ./n1)
hamster serve -data-dir ./n3 -node n3 -listen 127.0.0.1:7966 -token "$TOKEN" -s3 127.0.0.1:9002
hamster status -data-dir ./n1
"""
PORTS = {"n1": (7946, 9000), "n2": (7956, 9001), "n3": (7966, 9002)}


def terminals():
    """The lines of each terminal: one ends when a serve keeps it busy. The exports are for all."""
    lines = QUICK_START.splitlines()
    found, current = [], []
    for line in lines[1:]:
        current.append(line)
        if line.startswith("hamster serve"):
            found.append(current)
            current = []
    found.append(current)
    return ["\n".join([lines[0], *lines_of]) for lines_of in found]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    for port in [p for pair in PORTS.values() for p in pair] + [10000, 10001, 10002]:
        if not port_is_free(port):
            pytest.skip(f"port {port}, which the quick start uses, is taken on this machine")
    home = tmp_path_factory.mktemp("quick")
    (home / "bin").mkdir()
    (home / "bin" / "hamster").symlink_to(os.path.abspath(BINARY))
    env = {k: v for k, v in environment().items() if not k.startswith("HAMSTER_")}
    env["PATH"] = f"{home / 'bin'}:{env['PATH']}"
    nodes = [Node(home, name, *ports) for name, ports in PORTS.items()]
    *serving, last = terminals()
    try:
        for node, text in zip(nodes, serving, strict=True):
            with open(node.log_path, "ab") as log:
                node.process = subprocess.Popen(["bash", "-ec", text], cwd=home, env=env, stdout=log,
                                                stderr=log, start_new_session=True)
            node.wait_ready()
        shown = subprocess.run(["bash", "-ec", last], cwd=home, env=env, capture_output=True,
                               text=True, timeout=60)
        assert shown.returncode == 0, shown.stderr
        nodes[0].shown = shown.stdout
        yield nodes
    finally:
        for node in nodes:
            node.close()


def has_three_voters(node):
    members = node.members() or {}
    return (len(members) == 3
            and sorted(m["role"] for m in members.values()) == ["leader", "voter", "voter"]
            and all(m["state"] == "up" for m in members.values()) and members)


@pytest.fixture(scope="module")
def bucket(quick):
    status, _, body = quick[0].client().request("PUT", "/bucket")
    assert status == 200, body
    return "/bucket"


def test_status_lists_three_voters(quick):
    for name in PORTS:  # printed right after the third node was ready
        assert re.search(rf"^{name} +(leader|voter|learner) ", quick[0].shown, re.M), \
            quick[0].shown
    for node in quick:
        members = wait_for(f"{node.name} lists three voters", lambda n=node: has_three_voters(n))
        for name, (listen, s3) in PORTS.items():
            assert members[name]["address"] == f"127.0.0.1:{listen}"
            assert members[name]["s3"] == f"127.0.0.1:{s3}"
    shown = quick[1].verb("status").stdout
    assert len(re.findall(r"^n\d +(?:leader|voter) +up", shown, re.M)) == 3, shown


@pytest.mark.parametrize("size", [0, 1, 200 << 10, 5 * MIB])
def test_written_through_each_port_and_read_through_each(quick, bucket, size):
    for writer in quick:
        data = random.Random(f"{writer.name}/{size}").randbytes(size)
        key = f"{bucket}/sizes/{size}/{writer.name}"
        status, headers, body = writer.client(60).request("PUT", key, body=data)
        assert status == 200, body
        assert headers["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
        for reader in quick:
            status, headers, body = reader.client(60).request("GET", key)
            assert status == 200 and body == data, (writer.name, reader.name, status, body[:300])
            status, headers, body = reader.client().request("HEAD", key)
            assert (status, headers["content-length"]) == (200, str(size))
            if size > 100:
                status, _, body = reader.client().request(
                    "GET", key, headers={"range": f"bytes={size // 3}-{size // 2}"})
                assert (status, body) == (206, data[size // 3:size // 2 + 1])


def test_multipart_with_every_step_on_another_node(quick, bucket):
    parts = [random.Random(n).randbytes(size) for n, size in enumerate([5 * MIB, 6 * MIB, 12345])]
    for first in range(3):
        clients = [quick[(first + n) % 3].client(60) for n in range(3)]
        key = f"{bucket}/multipart/{first}"
        status, _, body = clients[0].request("POST", key, {"uploads": ""})
        assert status == 200, body
        upload = re.search(rb"<UploadId>([^<]+)</UploadId>", body).group(1).decode()
        listed = []
        for number, (client, data) in enumerate(zip(clients, parts, strict=True), 1):
            status, headers, body = client.request(
                "PUT", key, {"partNumber": str(number), "uploadId": upload}, body=data)
            assert status == 200, body
            listed.append(f"<Part><PartNumber>{number}</PartNumber>"
                          f"<ETag>{headers['etag']}</ETag></Part>")
        text = f"<CompleteMultipartUpload>{''.join(listed)}</CompleteMultipartUpload>"
        status, _, body = clients[1].request("POST", key, {"uploadId": upload}, body=text.encode())
        assert status == 200 and b"<ETag>" in body, body
        for reader in quick:
            status, _, body = reader.client(60).request("GET", key)
            assert status == 200 and body == b"".join(parts), (reader.name, status, len(body))


def keys_of(client, bucket, prefix):
    status, _, body = client.request("GET", bucket, {"list-type": "2", "prefix": prefix})
    assert status == 200, body
    return re.findall(r"<Key>([^<]+)</Key>", body.decode())


def test_what_one_node_acknowledged_the_others_show_at_once(quick, bucket):
    clients = [node.client() for node in quick]
    present = []
    for n in range(ROUNDS):
        writer, *others = [clients[(n + i) % 3] for i in range(3)]
        key = f"rounds/{n:04}"
        status, _, body = writer.request("PUT", f"{bucket}/{key}", body=str(n).encode())
        assert status == 200, body
        present.append(key)
        # The first look after the acknowledgement is each node's in turn.
        for reader in others if n % 2 else others[::-1]:
            assert keys_of(reader, bucket, "rounds/") == present, f"round {n}"
            assert reader.request("HEAD", f"{bucket}/{key}")[0] == 200, f"round {n}"
            assert reader.request("GET", f"{bucket}/{key}")[2] == str(n).encode()
        status, _, body = others[0].request("PUT", f"{bucket}/{key}", body=b"again")
        assert status == 200, body
        assert others[1].request("GET", f"{bucket}/{key}")[2] == b"again", f"round {n}"
        assert writer.request("GET", f"{bucket}/{key}")[2] == b"again", f"round {n}"
        if n % 2:
            assert others[1].request("DELETE", f"{bucket}/{key}")[0] == 204
            present.remove(key)
            for reader in (writer, others[0]):
                assert reader.request("HEAD", f"{bucket}/{key}")[0] == 404, f"round {n}"
                assert keys_of(reader, bucket, "rounds/") == present, f"round {n}"


def test_buckets_are_seen_at_once(quick):
    clients = [node.client() for node in quick]
    for n in range(10):
        writer, *others = [clients[(n + i) % 3] for i in range(3)]
        assert writer.request("PUT", f"/made-{n}")[0] == 200
        for reader in others:
            assert reader.request("HEAD", f"/made-{n}")[0] == 200
            assert f"<Name>made-{n}</Name>".encode() in reader.request("GET", "/")[2]
        assert others[0].request("DELETE", f"/made-{n}")[0] == 204
        for reader in (writer, others[1]):
            assert reader.request("HEAD", f"/made-{n}")[0] == 404


def test_users_made_on_one_node_are_known_to_all(quick):
    made = quick[0].json("user", "create", "ann")
    for node in quick:
        client = Client(node.port, made["access_key_id"], made["secret_access_key"])
        wait_for(f"{node.name} knows the new user",
                 lambda c=client: c.request("GET", "/")[0] == 200, every_s=0.001)
        assert client.request("PUT", f"/anns-{node.name}")[0] == 200


def test_what_is_changed_of_a_user_holds_everywhere_within_a_moment(quick):
    made = quick[0].json("user", "create", "bob")
    late = []
    for n in range(20):
        for verb, expected in (("disable", 403), ("enable", 200)):
            asked, *others = [quick[(n + i) % 3] for i in range(3)]
            run = asked.verb("user", verb, "bob")
            assert run.returncode == 0, run.stderr
            done = time.monotonic()
            for node in (*others, asked):
                client = Client(node.port, made["access_key_id"], made["secret_access_key"])
                if client.request("GET", "/")[0] == expected:
                    continue
                wait_for(f"{node.name} knows that bob was {verb}d",
                         lambda c=client, e=expected: c.request("GET", "/")[0] == e,
                         limit_s=5, every_s=0.001)
                late.append(f"{verb}d on {asked.name}, known to {node.name} "
                            f"{1000 * (time.monotonic() - done):.0f} ms later")
    print(f"{len(late)} of 120 were late: {late}")


def test_all_nodes_restart_without_token_and_listen(quick, bucket):
    data = random.Random(7).randbytes(300_000)
    for node in quick:
        assert node.client().request("PUT", f"{bucket}/kept-{node.name}", body=data)[0] == 200
    ids = {m["node"]: m["node_id"] for m in quick[0].members().values()}
    for node in quick:
        node.stop()
        wait_for(f"{node.name} has stopped", lambda n=node: "stopped" in n.log())
    for node in quick:  # serve -data-dir DIR -s3 ADDRESS, as after a reboot
        node.start(wait=False)
    for node in quick:
        node.wait_ready()
        members = wait_for(f"{node.name} lists three voters", lambda n=node: has_three_voters(n))
        assert {m["node"]: m["node_id"] for m in members.values()} == ids
        for name, (listen, _) in PORTS.items():
            assert members[name]["address"] == f"127.0.0.1:{listen}"
        for written in PORTS:
            assert node.client().request("GET", f"{bucket}/kept-{written}")[2] == data
    for node in quick:
        status, _, body = node.client().request("PUT", f"{bucket}/after-{node.name}", body=b"x")
        assert status == 200, (node.name, body)
    for node in quick:
        assert node.stop() == 0, node.log()
