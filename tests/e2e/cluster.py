"""A cluster of real hamster processes on loopback, for tests.

Every node has its own directory, log and ports below one home directory, and only processes that
were started here are signalled. Not thread-safe, except for `Node.client()`.
"""
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time

from hamster_process import BINARY, environment
from s3_client import Client

LIMIT_S = 60  # a hang, not a promise: only then a test gives up waiting
CLI_LIMIT_S = 60


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_given = set()


PORTS = 1250
_range = []


def claim_range():
    """Files of tests run side by side, each in a process with ports of its own: which, and the lock
    that is held as long as the process lives."""
    for number in range(16):
        lock = open(os.path.join(tempfile.gettempdir(), f"hamster-ports-{number}"), "w",
                    encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, lock
        except BlockingIOError:
            lock.close()
    raise RuntimeError("too many test processes at once")


def steady_port():
    """A free port below the range from which the kernel takes ports of outgoing connections: a
    node that is down for a while finds it free again."""
    if not _range:
        _range.append(claim_range())
    first = 12000 + _range[0][0] * PORTS
    while True:
        port = random.randrange(first, first + PORTS)
        if port not in _given and port_is_free(port):
            _given.add(port)
            return port


def wait_for(what, condition, limit_s=LIMIT_S, every_s=0.05):
    """What the condition returns once it is true; fails with `what` (a text, or what makes one)
    after the limit."""
    deadline = time.monotonic() + limit_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"waited {limit_s} s in vain for: {told}")
        time.sleep(every_s)


def hamster(*args, cwd=None, limit_s=CLI_LIMIT_S):
    """Runs a verb to its end."""
    return subprocess.run([BINARY, *[str(a) for a in args]], env=environment(), cwd=cwd,
                          capture_output=True, text=True, timeout=limit_s)


class Node:
    """One node: a directory, and at times a process."""

    def __init__(self, home, name, listen_port=None, s3_port=None, data_dir=None):
        self.name = name
        self.data_dir = data_dir or os.path.join(str(home), name)
        self.log_path = os.path.join(str(home), name + ".log")
        self.listen_port = listen_port or steady_port()
        self.port = s3_port or steady_port()
        self.admin_port = steady_port()
        self.process = None
        self.stopped = False     # by SIGSTOP
        self.prefix = []         # a command the node is started under
        self.log_start = 0       # where the log of this start begins

    @property
    def listen(self):
        return f"127.0.0.1:{self.listen_port}"

    # ---- the process ------------------------------------------------------------------------

    def init(self, *extra):
        run = hamster("init", "-data-dir", self.data_dir, "-node", self.name, "-listen",
                      self.listen, *extra)
        assert run.returncode == 0, run.stderr
        return self

    def start(self, *extra, token=None, wait=True):
        """Serves. With a token as a joiner: with a name and an address."""
        assert not self.is_running(), f"{self.name} runs already"
        args = ["serve", "-data-dir", self.data_dir, "-s3", f"127.0.0.1:{self.port}", "-admin",
                f"127.0.0.1:{self.admin_port}"]
        if token is not None:
            args += ["-node", self.name, "-listen", self.listen, "-token", token]
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen([*self.prefix, BINARY, *args, *extra],
                                            env=environment(), stdout=log, stderr=log,
                                            start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, limit_s=LIMIT_S):
        """Waits for the log line, and until the node can tell about the cluster."""
        wait_for(lambda: f"{self.name} is ready\n{self.log()[-4000:]}", self._is_ready, limit_s)

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
        return " ready: " in self.log() and self.members()

    def wait_end(self, limit_s=LIMIT_S):
        """The exit code of a process that is expected to end by itself."""
        try:
            return self.process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs:\n{self.log()}") from None

    def signal(self, number):
        os.killpg(self.process.pid, number)  # a session of its own, see start
        self.stopped = number == signal.SIGSTOP

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait_end()

    def stop(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_end()

    def close(self):
        if self.is_running():
            self.kill()

    def log(self):
        """What this start has logged."""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(self.log_start)
            return f.read()

    # ---- asking it --------------------------------------------------------------------------

    def client(self, timeout=10):
        return Client(self.port, timeout=timeout)

    def verb(self, *args, limit_s=CLI_LIMIT_S):
        return hamster(*args, "-data-dir", self.data_dir, limit_s=limit_s)

    def json(self, *args):
        """The answer of a verb with -json; it must succeed."""
        run = self.verb(*args, "-json")
        assert run.returncode == 0, f"{args}: {run.stderr}{run.stdout}"
        return json.loads(run.stdout)

    def token(self, *extra):
        run = self.verb("token", *extra)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def status(self):
        """None while the node cannot answer."""
        run = self.verb("status", "-json")
        return json.loads(run.stdout) if run.returncode == 0 else None

    def members(self):
        """{name: member} as the leader sees them; None while there is none."""
        status = self.status()
        cluster = (status or {}).get("cluster") or {}
        if not cluster.get("leader") or "members" not in cluster:
            return None
        return {m["node"]: m for m in cluster["members"]}


def all_there(node, stored):
    """Every body of {path: body} reads back equal through the node."""
    client = node.client(30)
    for path, body in stored.items():
        status, _, got = client.request("GET", path)
        assert (status, got) == (200, body), (node.name, path, status, got[:200])


class Cluster:
    """n1 founds it, the others join. Use as a context manager."""

    def __init__(self, home, size=3):
        self.home = str(home)
        os.makedirs(self.home, exist_ok=True)
        self.nodes = []
        self.made = 0
        self.size = size

    def __enter__(self):
        try:
            self.found()
            while len(self.nodes) < self.size:
                self.grow()
            self.wait_voters({1: 1, 2: 2, 3: 3, 4: 3}.get(self.size, 5))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for node in self.nodes:
            node.close()

    def new_node(self, name=None):
        self.made += 1  # names of nodes that have left are not used again
        node = Node(self.home, name or f"n{self.made}")
        self.nodes.append(node)
        return node

    def found(self):
        return self.new_node().init().start()

    def grow(self, *extra):
        node = self.new_node()
        return node.start(*extra, token=self.any().token())

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def running(self):
        return [n for n in self.nodes if n.is_running() and not n.stopped]

    def any(self):
        return self.running()[0]

    def members(self, of=None):
        return wait_for("a status of the cluster", (of or self.any()).members)

    def leader(self, of=None):
        """The node that leads, as `of` or a running node is told by it."""
        return self.node(next(m["node"] for m in self.members(of).values() if m["leader"]))

    def followers(self):
        leader = self.leader()
        return [n for n in self.running() if n is not leader]

    def wait_voters(self, count, lag=0, limit_s=LIMIT_S, of=None):
        """Until so many voters are up and at most `lag` entries behind."""
        def enough():
            members = (of or self.any()).members()
            fit = [m for m in (members or {}).values()
                   if m["role"] in ("leader", "voter") and m["state"] == "up" and m["lag"] <= lag]
            return members if len(fit) == count else None
        return wait_for(f"{count} voters that are up and caught up", enough, limit_s)

    def layout(self, of=None):
        """What the leader says of the layout; None while there is no leader."""
        status = (of or self.any()).status()
        return ((status or {}).get("cluster") or {}).get("layout")

    def wait_profile(self, profile, limit_s=LIMIT_S):
        """Until new bodies get this profile, and every shard is where the layout has it."""
        told = {}
        def there():
            told.update(self.layout() or {})
            return told.get("profile") == profile and told.get("slots_moving") == 0
        wait_for(lambda: f"the layout of {profile}: {told}", there, limit_s)

    def wait_redundant(self, limit_s=LIMIT_S):
        """Until every node is up and status says that no shard is missing, moving or damaged."""
        told = {}
        def whole():
            status = self.any().status() or {}
            told.update(status.get("cluster") or {})
            layout, members = told.get("layout"), told.get("members")
            return (layout and members and layout["slots_moving"] == 0 and not layout["degraded"]
                    and all(m["state"] in ("up", "drained") and is_whole(m["repair"])
                            for m in members))
        wait_for(lambda: f"redundancy: {told}", whole, limit_s)

    def forget(self, node):
        """Of a node that left: no test asks it any more."""
        self.nodes.remove(node)


def is_whole(repair):
    return repair is not None and not any(repair[kind]["shards"] for kind in ("missing", "moving", "damaged"))
