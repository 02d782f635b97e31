"""kill -9 under load: nothing acknowledged is lost or altered; it starts again in seconds."""
import hashlib
import http.client
import os
import random
import signal
import threading
import time

from hamster_process import Hamster
from s3_client import Client

ROUNDS = int(os.environ.get("KILL_ROUNDS", "20"))
CLIENTS = 64


def content(key, round_number, size):
    seed = hashlib.sha256(f"{key}/{round_number}".encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Writer(threading.Thread):
    """Puts, overwrites and deletes its own keys until the server dies; remembers what must hold."""

    def __init__(self, port, number, truth):
        super().__init__(daemon=True)
        self.client = Client(port, timeout=30)
        self.number = number
        self.truth = truth        # key -> set of contents it may have (one, unless in doubt)
        self.acknowledged = 0
        self.problem = None

    def run(self):
        rng = random.Random(self.number * 7919 + len(self.truth))
        try:
            while True:
                self.one(rng)
        except (OSError, http.client.HTTPException):
            pass
        except AssertionError as e:
            self.problem = e
        finally:
            self.client.close()

    def one(self, rng):
        key = f"/load/{self.number}/{rng.randrange(40)}"
        before = self.truth.get(key, {None})
        if rng.random() < 0.1:
            self.truth[key] = before | {None}  # in doubt until answered
            status, _, body = self.client.request("DELETE", key)
            assert status == 204, (status, body)
            self.truth[key] = {None}
        else:
            size = rng.choice([0, 1, 100, 4096, 5000, 130_000, 300_000])
            data = content(key, rng.random(), size)
            digest = hashlib.sha256(data).hexdigest()
            self.truth[key] = before | {digest}
            status, _, body = self.client.request("PUT", key, body=data)
            assert status == 200, (status, body)
            self.truth[key] = {digest}
        self.acknowledged += 1


def verify(port, truths):
    client = Client(port)
    checked = 0
    for truth in truths:
        for key, allowed in truth.items():
            status, _, body = client.request("GET", key)
            assert status in (200, 404), (key, status, body)
            seen = hashlib.sha256(body).hexdigest() if status == 200 else None
            assert seen in allowed, f"{key}: {seen} is none of {allowed}"
            truth[key] = {seen}
            checked += 1
    client.close()
    return checked


def test_kill_under_load():
    with Hamster() as node:
        status, _, body = Client(node.port).request("PUT", "/load")
        assert status == 200, body
        truths = [{} for _ in range(CLIENTS)]
        acknowledged = 0
        slowest = 0.0
        for _ in range(ROUNDS):
            writers = [Writer(node.port, n, truths[n]) for n in range(CLIENTS)]
            for writer in writers:
                writer.start()
            time.sleep(0.5 + random.random())  # how long the load runs; nothing is asserted on it
            node.kill(signal.SIGKILL)
            for writer in writers:
                writer.join()
                assert writer.problem is None, writer.problem
            acknowledged += sum(w.acknowledged for w in writers)
            node.start(wait=False)
            slowest = max(slowest, node.wait_ready())
            verify(node.port, truths)
        print(f"{ROUNDS} kills, {acknowledged} acknowledged, slowest start {slowest:.2f} s")
        assert acknowledged > 0
