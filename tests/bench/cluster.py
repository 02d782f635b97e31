#!/usr/bin/env python3
"""Measures three nodes on this machine beside one: commits, linearizable reads, a late joiner.

usage: tests/bench/cluster.py BINARY        (part of make bench)
Prints the table and writes docs/performance-cluster.md.
  BENCH_QUICK=1     a short run, to see that everything works; the document stays as it is
  BENCH_VERSIONS=n  versions in the store that the joiner catches up on (default 1,000,000)
Exit code 0 when everything could be measured.
"""
import os
import platform
import threading
import time

from nodes import QUICK, Cluster, Node, bench, latency, median_of, rate, write_document

VERSIONS = int(os.environ.get("BENCH_VERSIONS", "20000" if QUICK else "1000000"))
SECONDS = 2 if QUICK else 8
ROUNDS = 1 if QUICK else 3


def throughput():
    """Commits of empty objects: nothing but metadata. One node and three, in turns."""
    rows = {"one": [], "leader": [], "follower": []}
    heads = {"leader": [], "follower": []}
    with Cluster(1) as one, Cluster(3) as three:
        leader = three.leader()
        follower = next(n for n in three.nodes if n is not leader)
        for _ in range(ROUNDS):
            for name, node in (("one", one.nodes[0]), ("leader", leader), ("follower", follower)):
                rows[name].append(rate(bench(node, "put", "-size", 1, "-clients", 64, "-duration",
                                             f"{SECONDS}s")))
            for name, node in (("leader", leader), ("follower", follower)):
                heads[name].append(latency(bench(node, "stat", "-size", 1, "-clients", 1, "-objects",
                                                 100, "-duration", f"{SECONDS}s")))
    return {name: median_of(values) for name, values in rows.items()}, heads


def tail_during(node, seconds_or_event):
    """p99 of small PUTs, in runs of one second, until the event is set (or so many seconds)."""
    tails = []
    deadline = time.monotonic() + (seconds_or_event if isinstance(seconds_or_event, (int, float)) else 1e9)
    while time.monotonic() < deadline:
        report = bench(node, "put", "-size", 1, "-clients", 8, "-duration", "1s", "-bucket", "tails")
        tails.append(latency(report)["p99"])
        if isinstance(seconds_or_event, threading.Event) and seconds_or_event.is_set():
            break
    return tails


def late_join():
    with Cluster(1) as cluster:
        first = cluster.nodes[0]
        bench(first, "put", "-size", 1, "-clients", 64, "-requests", VERSIONS, "-keep", "-objects", VERSIONS)
        before = tail_during(first, 5)
        rss_before = first.rss()
        late = Node(cluster.root, "n2")
        cluster.nodes.append(late)
        done = threading.Event()
        failure = []

        def join():
            try:
                cluster.join(late)
            except Exception as error:  # noqa: BLE001  (told by the main thread)
                failure.append(error)
            done.set()

        peak = {"first": 0, "late": 0}
        start = time.monotonic()
        joiner = threading.Thread(target=join)
        joiner.start()
        watcher_stop = threading.Event()

        def watch():
            while not watcher_stop.is_set():
                for name, node in (("first", first), ("late", late)):
                    try:
                        peak[name] = max(peak[name], node.rss())
                    except (OSError, AttributeError):
                        pass
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        during = tail_during(first, done)
        joiner.join()
        took = time.monotonic() - start
        watcher_stop.set()
        watcher.join()
        if failure:
            raise failure[0]
        snapshot = "installed a snapshot" in open(late.dir + ".log", encoding="utf-8").read()
        return {"versions": VERSIONS, "seconds": took, "by_snapshot": snapshot,
                "rss_before": rss_before, "rss_first": peak["first"], "rss_late": peak["late"],
                "p99_before": median_of(before), "p99_during": median_of(during),
                "p99_worst": max(during)}


def document(rates, heads, join):
    mib = 1 << 20
    p50 = {name: median_of([h["p50"] for h in values]) for name, values in heads.items()}
    p99 = {name: median_of([h["p99"] for h in values]) for name, values in heads.items()}
    return "\n".join([
        "# Performance of a cluster",
        "",
        "Written by `make bench` (tests/bench/cluster.py). All nodes and the clients share one machine"
        f" of {os.cpu_count()} cores ({platform.machine()}), so three nodes do three times the work of"
        " one on the same cores, and sync to the same device: the ratios are a lower bound.",
        "",
        "| commits of 1-byte objects, 64 clients | per second | of one node |",
        "|---|---|---|",
        f"| one node | {rates['one']:,.0f} | |",
        f"| three nodes, through the leader | {rates['leader']:,.0f} | {rates['leader'] / rates['one']:.2f} |",
        f"| three nodes, through a follower | {rates['follower']:,.0f} | {rates['follower'] / rates['one']:.2f} |",
        "",
        "| linearizable HEAD, 1 client | p50 ms | p99 ms |",
        "|---|---|---|",
        f"| on the leader | {p50['leader']:.3f} | {p99['leader']:.3f} |",
        f"| on a follower | {p50['follower']:.3f} | {p99['follower']:.3f} |",
        "",
        f"A node that joins a store of {join['versions']:,} versions, while 8 clients write through the"
        f" first node: {join['seconds']:.1f} s until it votes"
        f" ({'by snapshot' if join['by_snapshot'] else 'by the log'}).",
        "",
        "| | before | while it joins |",
        "|---|---|---|",
        f"| p99 of small PUTs, ms (median of seconds; worst) | {join['p99_before']:.1f} | "
        f"{join['p99_during']:.1f}; {join['p99_worst']:.1f} |",
        f"| memory of the first node, MiB | {join['rss_before'] / mib:.0f} | {join['rss_first'] / mib:.0f} at most |",
        f"| memory of the joiner, MiB | | {join['rss_late'] / mib:.0f} at most |",
        "",
    ])


def main():
    rates, heads = throughput()
    join = late_join()
    write_document("performance-cluster.md", document(rates, heads, join))


main()
