"""Bodies of all kinds in a cluster, and a look whether all of them are what was acknowledged.

Bodies follow from their names, so nothing has to be kept to check them: `content(name, size)`.
"""
import hashlib
import http.client
import random
import re
import threading
import time

MIB = 1 << 20
# Around the edges of what is stored in different ways: nothing, inline, one slice, a stripe and a
# byte more or less, many stripes.
SIZES = [0, 1, 100, 4096, 65536, 128 * 1024, 128 * 1024 + 1, MIB - 1, MIB, MIB + 1, 4 * MIB,
         4 * MIB + 1, 9 * MIB + 12345, 30 * MIB + 7]
PART = 5 * MIB
PATIENCE_S = 60   # a hang, not a promise
UNKNOWN = (500, 502, 503, 504)


def content(name, size):
    rng = random.Random(name)
    return b"".join(rng.randbytes(min(MIB, size - at)) for at in range(0, size, MIB))


def etag_of(body):
    return '"' + hashlib.md5(body).hexdigest() + '"'


class Stored:
    """What is acknowledged: {path: size}, with the paths made up here. Thread-safe enough: paths
    are only added."""

    def __init__(self, bucket="bodies"):
        self.bucket = bucket
        self.sizes = {}
        self.names = {}

    def expect(self, path, name, size):
        self.names[path] = name
        self.sizes[path] = size

    def body(self, path):
        return content(self.names[path], self.sizes[path])


def put_until_known(clients, path, body, headers=None):
    """Writes until the outcome is known, through one node after the other, as an SDK would."""
    deadline = time.monotonic() + PATIENCE_S
    answer = None
    for turn in range(10_000):
        client = clients[turn % len(clients)]
        try:
            status, _, answer = client.request("PUT", path, headers=headers or {}, body=body)
            if status == 200:
                return turn
            assert status in UNKNOWN, (path, status, answer)
        except (OSError, http.client.HTTPException) as error:
            answer = error
        assert time.monotonic() < deadline, f"{path}: not written in {PATIENCE_S} s: {answer}"
        time.sleep(0.05)


def get_until_known(clients, path, expected):
    """Reads until one node answers; what it answers must be right."""
    deadline = time.monotonic() + PATIENCE_S
    for turn in range(10_000):
        try:
            status, _, got = clients[turn % len(clients)].request("GET", path)
            if status == 200:
                assert got == expected, (path, len(got), len(expected))
                return turn
            assert status in UNKNOWN, (path, status, got)
        except (OSError, http.client.HTTPException) as error:
            got = error
        assert time.monotonic() < deadline, f"{path}: not read in {PATIENCE_S} s: {got}"
        time.sleep(0.05)


def sample(stored, count, seed):
    """Paths of `count` bodies, drawn by chance; of all if there are no more."""
    paths = sorted(stored.sizes)
    return random.Random(seed).sample(paths, min(count, len(paths)))


def put_multipart(client, path, name, size):
    """In parts of 5 MiB, uploaded out of order, one of them twice; the last one is short."""
    status, _, answer = client.request("POST", path, {"uploads": ""})
    assert status == 200, answer
    upload = re.search(r"<UploadId>(.*?)</UploadId>", answer.decode())[1]
    whole = content(name, size)
    pieces = [whole[at:at + PART] for at in range(0, size, PART)]
    order = list(range(len(pieces)))
    random.Random(name).shuffle(order)
    tags = {}
    for number in [order[0], *order]:
        status, headers, answer = client.request(
            "PUT", path, {"partNumber": str(number + 1), "uploadId": upload}, body=pieces[number])
        assert status == 200, answer
        tags[number] = headers["etag"]
    parts = "".join(f"<Part><PartNumber>{n + 1}</PartNumber><ETag>{tags[n]}</ETag></Part>"
                    for n in sorted(tags))
    status, _, answer = client.request(
        "POST", path, {"uploadId": upload},
        body=f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
    assert status == 200 and b"<Error>" not in answer, answer


def fill(cluster, label, sizes=None, multipart=True):
    """One body of each size, a multipart body and a copy of one, each through another node."""
    nodes = cluster.running()
    stored = Stored()
    status, _, answer = nodes[0].client().request("PUT", "/" + stored.bucket)
    assert status in (200, 409), answer
    for turn, size in enumerate(sizes or SIZES):
        path = f"/{stored.bucket}/{label}-{size}"
        client = nodes[turn % len(nodes)].client(120)
        put_until_known([client], path, content(path, size))
        stored.expect(path, path, size)
    if multipart:
        path, size = f"/{stored.bucket}/{label}-parts", 3 * PART + 4321
        put_multipart(nodes[-1].client(120), path, path, size)
        stored.expect(path, path, size)
        copy = path + "-copy"
        status, _, answer = nodes[0].client(120).request(
            "PUT", copy, headers={"x-amz-copy-source": path})
        assert status == 200 and b"<Error>" not in answer, answer
        stored.expect(copy, path, size)
    return stored


def read_all(node, stored, paths=None):
    """Every body reads back equal through the node, in full and in a range."""
    client = node.client(120)
    rng = random.Random(node.name)
    for path in paths or list(stored.sizes):
        body = stored.body(path)
        status, _, got = client.request("GET", path)
        assert status == 200, (node.name, path, status, got[:300])
        assert got == body, (node.name, path, len(got), len(body))
        if len(body) > 1:
            first = rng.randrange(len(body) - 1)
            last = rng.randrange(first, len(body))
            status, _, got = client.request("GET", path,
                                            headers={"range": f"bytes={first}-{last}"})
            assert status == 206, (node.name, path, status, got[:300])
            assert got == body[first:last + 1], (node.name, path, first, last)


def read_or_refuse(node, stored):
    """Beyond what may be lost: whatever is answered with 200 is right in every byte that comes.
    The paths that were refused, or broke off."""
    refused = []
    for path in stored.sizes:
        client = node.client(120)
        body = stored.body(path)
        try:
            status, _, got = client.request("GET", path)
        except http.client.IncompleteRead as cut:
            assert body.startswith(cut.partial), (node.name, path, len(cut.partial))
            refused.append(path)
            continue
        except (OSError, http.client.HTTPException):
            refused.append(path)
            continue
        if status == 200:
            assert got == body, (node.name, path)
        else:
            assert status in UNKNOWN and b"<Code>" in got, (node.name, path, status, got[:300])
            refused.append(path)
    return refused


class Writer(threading.Thread):
    """Keeps writing through the nodes that are up, and reads some of it back. `pause_s` between two
    bodies: a test that takes minutes is about the requests, not about how many there are."""

    def __init__(self, cluster, stored, number=0, size=300_000, pause_s=0.0):
        super().__init__(daemon=True)
        self.pause_s = pause_s
        self.cluster = cluster
        self.stored = stored
        self.rng = random.Random(number)
        self.number = number
        self.size = size
        self.written = 0
        self.retries = 0
        self.problem = None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.wait(self.pause_s):
                self.write_one()
        except BaseException as error:  # told by stop()
            self.problem = error

    def write_one(self):
        path = f"/{self.stored.bucket}/w{self.number}-{self.written}"
        size = self.rng.choice([0, 100, 20_000, self.size, self.size * 5])
        nodes = self.cluster.running()
        self.rng.shuffle(nodes)
        clients = [node.client(30) for node in nodes]
        self.retries += put_until_known(clients, path, content(path, size))
        self.stored.expect(path, path, size)
        self.written += 1
        old = self.rng.choice(list(self.stored.sizes))
        self.retries += get_until_known(clients, old, self.stored.body(old))
        for client in clients:
            client.close()

    def stop(self):
        self.stopping.set()
        self.join(2 * PATIENCE_S)
        assert self.problem is None, self.problem
        assert not self.is_alive(), "a writer hangs"
        assert self.written > 0
        return self
