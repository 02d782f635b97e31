"""Nodes of a benchmark: real processes on loopback, and the load generator of the binary.

The binary is the first argument of the script; BENCH_QUICK=1 makes everything short.
"""
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(sys.argv[1])
QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
OUT = os.path.join(ROOT, "build", "bench")
ENV = dict(os.environ, HAMSTER_ACCESS_KEY_ID="hamster", HAMSTER_SECRET_ACCESS_KEY="keep-this-one-secret")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def verb(*words, check=True):
    run = subprocess.run([BINARY, *words], env=ENV, capture_output=True, text=True, check=False)
    if check and run.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {run.stderr.strip()}")
    return run.stdout


class Node:
    def __init__(self, root, name):
        self.name = name
        self.dir = os.path.join(root, name)
        self.s3 = f"127.0.0.1:{free_port()}"
        self.listen = f"127.0.0.1:{free_port()}"
        self.process = None

    def start(self, token=None):
        words = ["serve", "-data-dir", self.dir, "-s3", self.s3, "-admin", "none", "-listen",
                 self.listen, "-node", self.name]
        if token:
            words += ["-token", token]
        log = open(self.dir + ".log", "a", encoding="utf-8")
        before = log.tell()
        self.process = subprocess.Popen([BINARY, *words], env=ENV, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while "ready" not in self.said(before):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.said(before))
            time.sleep(0.05)

    def said(self, since):
        with open(self.dir + ".log", encoding="utf-8") as log:
            log.seek(since)
            return log.read()

    def status(self):
        """Empty while it cannot answer."""
        text = verb("status", "-data-dir", self.dir, "-json", check=False)
        return json.loads(text) if text else {}

    def members(self):
        return self.status().get("cluster", {}).get("members", [])

    def rss(self, field="VmRSS"):
        for line in open(f"/proc/{self.process.pid}/status", encoding="utf-8"):
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)


class Cluster:
    def __init__(self, nodes):
        os.makedirs(OUT, exist_ok=True)
        self.root = tempfile.mkdtemp(dir=OUT, prefix="cluster-")
        self.nodes = [Node(self.root, f"n{i + 1}") for i in range(nodes)]

    def __enter__(self):
        verb("init", "-data-dir", self.nodes[0].dir, "-node", "n1", "-listen", self.nodes[0].listen)
        self.nodes[0].start()
        for node in self.nodes[1:]:
            self.join(node)
        return self

    def join(self, node):
        node.start(verb("token", "-data-dir", self.nodes[0].dir).strip())
        self.wait_for_members(self.nodes.index(node) + 1)

    def wait_for_members(self, count, seconds=600):
        """All of them up, and as many voters as a cluster of that size has, or more: three of four."""
        deadline = time.monotonic() + seconds
        while True:
            members = self.nodes[0].members()
            voters = [m for m in members if m["role"] in ("leader", "voter")]
            is_up = len(members) == count and all(m["state"] == "up" for m in members)
            if is_up and len(voters) >= min(count, 3):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} members expected: {members}")
            time.sleep(0.1)

    def leader(self):
        name = next(m["node"] for m in self.nodes[0].members() if m["leader"])
        return next(n for n in self.nodes if n.name == name)

    def __exit__(self, *_):
        for node in reversed(self.nodes):
            node.stop()
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(self.root)


def bench_words(node, mode, flags):
    return [BINARY, "bench", mode, "-json", "-endpoint", f"http://{node.s3}", *map(str, flags)]


def begin_bench(node, mode, *flags):
    """A load to be ended by whoever began it."""
    return subprocess.Popen(bench_words(node, mode, flags), env=ENV, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def bench(node, mode, *flags):
    words = bench_words(node, mode, flags)
    run = subprocess.run(words, env=ENV, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(words[1:])}: {run.stderr.strip()} {run.stdout[-500:]}")
    return json.loads(run.stdout)


def say(text):
    """What is under way, for who waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def rate(report):
    return report["requests_per_second"]


def latency(report):
    return {name: us / 1000 for name, us in report["latency_us"].items()}


def median_of(values):
    return statistics.median(values)


def write_document(name, text):
    """Into docs/, unless the run was a quick one."""
    print(text)
    if not QUICK:
        with open(os.path.join(ROOT, "docs", name), "w", encoding="utf-8") as out:
            out.write(text)
