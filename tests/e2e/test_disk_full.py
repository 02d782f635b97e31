"""A full disk: writes answer 507, reads and deletes go on, and space returned is space used."""
import os
import subprocess

import pytest
from hamster_process import Hamster
from s3_client import Client

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(mount)], check=True)
    yield str(mount)
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(client, size, limit=4000):
    """Puts until refused; the number stored and the answer that refused."""
    data = os.urandom(size)
    for number in range(limit):
        status, _, body = client.request("PUT", f"/full/{size}/{number}", body=data)
        if status != 200:
            return data, number, status, body
    raise AssertionError("the disk never filled up")


def test_full_disk(small_disk):
    with Hamster(data_dir=os.path.join(small_disk, "data")) as node:
        client = Client(node.port)
        assert client.request("PUT", "/full")[0] == 200
        data, stored, status, body = fill(client, 8 * MIB)
        assert status == 507 and b"InsufficientStorage" in body, (status, body)
        assert stored > 10
        # Small ones are refused as well in the end, never half done.
        small, small_stored, status, body = fill(client, 4096, limit=200_000)
        assert status == 507, (status, body)

        assert client.request("GET", f"/full/{8 * MIB}/0")[2] == data
        status, _, body = client.request("GET", "/full", {"list-type": "2", "max-keys": "5"})
        assert status == 200 and b"<KeyCount>5</KeyCount>" in body

        # A restart on the full disk works, and everything stored is still there.
        node.kill()
        node.start()
        client = Client(node.port)
        assert client.request("GET", f"/full/{8 * MIB}/{stored - 1}")[2] == data
        for number in range(stored):
            assert client.request("DELETE", f"/full/{8 * MIB}/{number}")[0] == 204
        for number in range(small_stored):
            assert client.request("GET", f"/full/4096/{number}")[2] == small
        # Space returns by itself; bounded by tries, each waiting for the node's own rounds.
        import time
        for _ in range(600):
            status, _, _ = client.request("PUT", "/full/again", body=data)
            if status == 200:
                break
            time.sleep(0.5)
        assert status == 200
        assert client.request("GET", "/full/again")[2] == data
