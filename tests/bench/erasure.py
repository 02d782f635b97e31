#!/usr/bin/env python3
"""Measures 4+2 on six processes of this machine, over mTLS: throughput, degraded reads, repair.

usage: tests/bench/erasure.py BINARY        (part of make bench)
Prints the table and writes docs/performance-erasure.md.
  BENCH_QUICK=1     a short run, to see that everything works; the document stays as it is
Exit code 0 when everything could be measured.
"""
import os
import platform
import threading
import time

from nodes import QUICK, Cluster, begin_bench, bench, latency, median_of, say, write_document

MIB = 1 << 20
GB = 10 ** 9
SECONDS = 3 if QUICK else 15
OBJECTS = 8 if QUICK else 64          # of 64 MiB, for the reads and the repair
ROUNDS = 1 if QUICK else 3
LIMIT_S = 600


def wait_for(what, condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {LIMIT_S} s in vain for: {what}")
        time.sleep(0.2)


def is_whole(repair):
    return repair and not any(repair[kind]["shards"] for kind in ("missing", "moving", "damaged"))


def is_redundant(cluster, node):
    status = node.status().get("cluster", {})
    layout, members = status.get("layout") or {}, status.get("members", [])
    return (layout.get("profile") == "4+2" and layout["slots_moving"] == 0
            and not layout["degraded"] and len(members) == len(cluster.nodes)
            and all(m["state"] == "up" and is_whole(m["repair"]) for m in members))


def bytes_per_s(report):
    return report["bytes_per_second"]


def throughput(node):
    puts, gets = [], []
    for _ in range(ROUNDS):
        puts.append(bytes_per_s(bench(node, "put", "-size", "64MiB", "-clients", 4, "-duration",
                                      f"{SECONDS}s", "-bucket", "puts")))
        gets.append(bytes_per_s(bench(node, "get", "-size", "64MiB", "-clients", 4, "-objects",
                                      OBJECTS, "-reuse", "-duration", f"{SECONDS}s")))
    return median_of(puts), median_of(gets)


def tails(node, until):
    found = []
    while not until.is_set():
        report = bench(node, "put", "-size", "4KiB", "-clients", 8, "-duration", "1s", "-bucket",
                       "tails")
        found.append(latency(report)["p99"])
    return found


def repair(cluster, node, lost):
    """A node comes back that missed all of the bodies: how fast it gets its shards, and what a
    client notices."""
    bench(node, "put", "-size", "64MiB", "-clients", 4, "-requests", OBJECTS, "-objects", OBJECTS,
          "-bucket", "missed", "-keep")
    quiet = threading.Timer(SECONDS, lambda: stop.set())
    stop = threading.Event()
    quiet.start()
    before = tails(node, stop)
    done = threading.Event()
    during = []
    client = threading.Thread(target=lambda: during.extend(tails(node, done)))
    lost.start()
    begun = time.monotonic()
    client.start()
    wait_for("redundancy", lambda: is_redundant(cluster, node))
    took = time.monotonic() - begun
    done.set()
    client.join()
    member = next(m for m in node.members() if m["node"] == lost.name)
    return {"bytes": member["repair"]["restored_bytes"], "seconds": took,
            "p99_before": median_of(before), "p99_during": median_of(during)}


def memory(cluster, node):
    """The peak of each process while 64 clients store objects of 1 GiB each through one node."""
    peak = {n.name: 0 for n in cluster.nodes}
    done = threading.Event()

    def watch():
        while not done.is_set():
            for n in cluster.nodes:
                peak[n.name] = max(peak[n.name], n.rss())
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    # Objects are not finished in this time, and shall not be: 64 of them would fill the disk.
    load = begin_bench(node, "put", "-size", "1GiB", "-clients", 64, "-duration", "1h", "-bucket",
                       "memory")
    try:
        time.sleep(2 * SECONDS)
        ended = load.poll()
    finally:
        load.kill()
        load.wait()
        done.set()
        watcher.join()
    if ended is not None:
        raise RuntimeError("the load ended by itself: " + load.stdout.read()[-500:])
    return peak[node.name], max(v for name, v in peak.items() if name != node.name)


def verdict(repaired):
    rate = repaired["bytes"] / repaired["seconds"] / GB
    effect = repaired["p99_during"] / repaired["p99_before"] - 1
    met = "Met" if rate >= 0.2 and effect <= 0.2 else "Missed"
    return ("Promised are 0.2 GB/s of shards or more with at most 20 % effect on the p99 of clients."
            f" {met} here, where repair, six nodes and the clients take the same"
            f" {os.cpu_count()} cores from each other.")


def document(put, get, degraded, repaired, entry, other):
    return "\n".join([
        "# Performance of erasure coding across nodes",
        "",
        "Written by `make bench` (tests/bench/erasure.py). Six nodes, profile 4+2, and the client share one"
        f" machine of {os.cpu_count()} cores ({platform.machine()}) and its disk; every slice that goes to another"
        " node is encrypted and decrypted (TLS 1.3) on the same cores.",
        "",
        "| bodies of 64 MiB, 4 clients, through one node | GB/s | |",
        "|---|---|---|",
        f"| PUT | {put / GB:.2f} | promised 0.35: {'met' if put >= 0.35 * GB else 'missed'} |",
        f"| GET | {get / GB:.2f} | |",
        f"| GET with two nodes down | {degraded / GB:.2f} | {degraded / get:.2f} of the healthy one |",
        "",
        f"A node that missed {OBJECTS} bodies of 64 MiB comes back: {repaired['bytes'] / MIB:,.0f} MiB of its shards"
        f" restored in {repaired['seconds']:.1f} s"
        f" ({repaired['bytes'] / repaired['seconds'] / GB:.2f} GB/s of shards, four times as much read). p99 of small"
        f" PUTs meanwhile {repaired['p99_during']:.1f} ms, before {repaired['p99_before']:.1f} ms.",
        "",
        verdict(repaired),
        "",
        "| 64 clients store objects of 1 GiB through one node | resident at most, MiB |",
        "|---|---|",
        f"| that node | {entry / MIB:.0f} |",
        f"| the largest of the others | {other / MIB:.0f} |",
        "",
    ])


def main():
    say("six nodes")
    with Cluster(6) as cluster:
        node = cluster.nodes[0]
        wait_for("profile 4+2", lambda: is_redundant(cluster, node))
        say("bodies to read")
        bench(node, "put", "-size", "64MiB", "-clients", 4, "-requests", OBJECTS, "-objects",
              OBJECTS, "-keep")
        say("throughput")
        put, get = throughput(node)
        say("memory")
        entry, other = memory(cluster, node)
        say("two nodes stop")
        lost = cluster.nodes[4:]
        for one in lost:
            one.stop()
        degraded = median_of([bytes_per_s(bench(node, "get", "-size", "64MiB", "-clients", 4,
                                                "-objects", OBJECTS, "-reuse", "-duration",
                                                f"{SECONDS}s")) for _ in range(ROUNDS)])
        lost[1].start()
        say("one comes back, and then the other one, which has missed bodies")
        wait_for(f"{lost[1].name} to be up", lambda: all(
            m["state"] == "up" for m in node.members() or [{"node": "?", "state": "?"}]
            if m["node"] != lost[0].name))
        time.sleep(3)  # every node knows it
        repaired = repair(cluster, node, lost[0])
        write_document("performance-erasure.md",
                       document(put, get, degraded, repaired, entry, other))


main()
