"""A cluster grows, drains, replaces and shrinks under load: no request fails after a client's
retries, no object is lost, and not many more bytes are moved than must be."""
import time

from bodies import Writer, fill, read_all, sample
from cluster import Cluster, wait_for

LIMIT_S = 300
SAMPLE = 40
SIZES = [0, 100, 70_000, 1 << 20, (9 << 20) + 5]


def verb(cluster, *args):
    run = cluster.any().verb(*args, limit_s=LIMIT_S)
    assert run.returncode == 0, (args, run.stdout, run.stderr)
    return run.stdout


def check(cluster, stored, label):
    """Redundancy is back, and what was acknowledged is there: some of it through every node."""
    begun = time.monotonic()
    cluster.wait_redundant(LIMIT_S)
    told = list(stored.sizes)
    for node in cluster.running():
        read_all(node, stored, sample(stored, SAMPLE, node.name))
    print(f"{label}: {len(told)} bodies, {time.monotonic() - begun:.1f} s", flush=True)


def has_left(cluster, node):
    asked = next(n for n in cluster.running() if n is not node)
    wait_for(f"{node.name} has left", lambda: node.name not in (asked.members() or {node.name}),
             LIMIT_S)
    node.wait_end()
    cluster.forget(node)


def test_grow_optimize_drain_replace_and_remove_under_load(tmp_path):
    with Cluster(tmp_path, 1) as cluster:
        stored = fill(cluster, "one", sizes=SIZES)
        writers = [Writer(cluster, stored, number, pause_s=0.2) for number in range(2)]
        for writer in writers:
            writer.start()
        for count, profile in ((3, "2+1"), (6, "4+2"), (7, "4+2")):
            while len(cluster.nodes) < count:
                cluster.grow()
            cluster.wait_profile(profile, LIMIT_S)
            check(cluster, stored, f"{count} nodes")

        verb(cluster, "optimize")
        kinds = {s["profile"] for s in cluster.layout()["stored"]}
        assert kinds <= {"4+2", "1+2"}, kinds
        check(cluster, stored, "optimized")

        leader = cluster.leader()
        verb(cluster, "drain", leader.name, "-wait")
        assert cluster.members()[leader.name]["state"] == "drained"
        check(cluster, stored, "the leader is drained")
        cluster.forget(leader)
        verb(cluster, "remove", leader.name)
        leader.wait_end()
        check(cluster, stored, "and removed")

        old = cluster.followers()[0]
        cluster.grow("-replaces", old.name)
        has_left(cluster, old)
        check(cluster, stored, "a node that was up is replaced")

        dead = cluster.followers()[0]
        dead.kill()
        cluster.grow("-replaces", dead.name)
        has_left(cluster, dead)
        check(cluster, stored, "a node that was dead is replaced")

        for writer in writers:
            writer.stop()
            print(f"{writer.written} bodies written, {writer.retries} retries")
        check(cluster, stored, "the end")
        read_all(cluster.any(), stored)


def test_shrink_past_a_profile(tmp_path):
    with Cluster(tmp_path, 3) as cluster:
        cluster.wait_profile("2+1")
        stored = fill(cluster, "first", sizes=SIZES)
        leaving = cluster.followers()[0]
        run = cluster.any().verb("drain", leaving.name)
        assert run.returncode != 0 and "-reencode" in run.stderr, run
        assert cluster.members()[leaving.name]["state"] == "up"
        verb(cluster, "drain", leaving.name, "-reencode", "-wait")
        assert {s["profile"] for s in cluster.layout()["stored"]} <= {"1+1"}
        cluster.forget(leaving)
        verb(cluster, "remove", leaving.name)
        leaving.wait_end()
        check(cluster, stored, "two nodes are left")
