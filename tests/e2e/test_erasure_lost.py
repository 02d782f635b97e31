"""More nodes are lost for good than the profile bears: what can be rebuilt is, the rest is given up
when somebody says so, called lost, and named by no other bytes."""
from bodies import MIB, fill, read_all, read_or_refuse, sample
from cluster import Cluster, wait_for

LIMIT_S = 180
SIZES = [100, 70_000, 128 * 1024 + 1, MIB, 4 * MIB + 1]


def repair_of(cluster):
    """{node: its repair} of those that are up."""
    return {n: m["repair"] for n, m in cluster.members().items() if m["state"] != "down"}


def beyond_repair(cluster):
    return sum(r["beyond_repair"] for r in repair_of(cluster).values() if r)


def pick_lost(cluster):
    """A voter that does not lead, and the learner: a majority of the voters is left."""
    members = cluster.members()
    learner = next(n for n, m in members.items() if m["role"] == "learner")
    voter = next(n for n, m in members.items() if m["role"] == "voter")
    return cluster.node(voter), cluster.node(learner)


def remove(cluster, node, *flags):
    return cluster.any().verb("remove", node.name, *flags)


def fill_much(cluster):
    """So many bodies that some have two shards on any two of four nodes."""
    cluster.wait_profile("2+1")
    stored = fill(cluster, "first", sizes=SIZES)
    for label in ("second", "third", "fourth", "fifth"):
        more = fill(cluster, label, sizes=SIZES, multipart=False)
        for path, size in more.sizes.items():
            stored.expect(path, path, size)
    cluster.wait_redundant(LIMIT_S)
    return stored


def wait_down(cluster, *nodes):
    for node in nodes:
        node.kill()
    wait_for("they are down", lambda: all(
        cluster.members()[n.name]["state"] == "down" for n in nodes))


def refused_by_all(cluster, stored):
    """Of these one shard of three is left."""
    refused = set.intersection(*(set(read_or_refuse(node, stored)) for node in cluster.running()))
    assert 0 < len(refused) < len(stored.sizes), refused
    return refused


def forget_lost(cluster, stored, refused):
    """What is lost is deleted; the rest is whole."""
    client = cluster.any().client(60)
    for path in refused:
        assert client.request("DELETE", path)[0] == 204, path
        del stored.sizes[path]
    cluster.wait_redundant(LIMIT_S)
    for node in cluster.running():
        read_all(node, stored, sample(stored, 15, node.name))


def test_two_disks_are_lost_of_a_profile_that_bears_one(tmp_path):
    with Cluster(tmp_path, 4) as cluster:
        stored = fill_much(cluster)
        replaced, drained = pick_lost(cluster)
        run = remove(cluster, drained, "-lost", "-force")
        assert run.returncode == 1 and "answers, so nothing of it is lost" in run.stderr, run
        wait_down(cluster, replaced, drained)
        run = remove(cluster, drained, "-lost", "-force")
        assert run.returncode == 1 and f"drain {drained.name}` first" in run.stderr, run
        heir = cluster.grow("-replaces", replaced.name)
        run = cluster.any().verb("drain", drained.name)
        assert run.returncode == 0, run

        refused = refused_by_all(cluster, stored)
        run = remove(cluster, drained)
        assert run.returncode == 1 and "is not empty yet" in run.stderr, run
        run = remove(cluster, drained, "-lost")
        assert run.returncode == 1 and "say -force to agree" in run.stderr, run
        assert "lost for good" in run.stderr and drained.name in cluster.members(), run
        assert beyond_repair(cluster) == 0, "they might come back"

        run = remove(cluster, drained, "-lost", "-force")
        assert run.returncode == 0 and "no member any more" in run.stdout, run
        again = remove(cluster, drained, "-lost", "-force")
        assert again.returncode == 1 and "no member is called" in again.stderr, again
        run = remove(cluster, replaced, "-lost", "-force")
        assert run.returncode == 0, run
        assert set(cluster.members()) == {n.name for n in cluster.running()}
        for node in (replaced, drained):
            cluster.forget(node)
        wait_for(lambda: f"the loss is told: {repair_of(cluster)}",
                 lambda: beyond_repair(cluster) > 0, LIMIT_S)
        assert any(m["state"] == "degraded" for m in cluster.members().values())

        # Neither more nor less is lost, and the alarm ends with what it is about.
        for node in cluster.running():
            assert set(read_or_refuse(node, stored)) == refused, node.name
        forget_lost(cluster, stored, refused)
        assert heir.name in cluster.members()
        cluster.followers()[0].kill()
        read_all(cluster.any(), stored)


def test_nobody_comes_for_two_lost_disks(tmp_path):
    """Two of four are left, one of them without the vote of a lost one that nobody can take over."""
    with Cluster(tmp_path, 4) as cluster:
        stored = fill_much(cluster)
        lost = pick_lost(cluster)
        wait_down(cluster, *lost)
        refused = refused_by_all(cluster, stored)
        for node in lost:
            run = cluster.any().verb("drain", node.name, "-reencode")
            assert run.returncode == 0, run
        wait_until_steady(cluster)
        for node in lost:
            run = remove(cluster, node, "-lost", "-force")
            assert run.returncode == 0, run
            cluster.forget(node)
        cluster.wait_voters(2)
        told = cluster.layout()
        assert told["profile"] == "1+1" and "add nodes" in told["hindrance"], told
        for node in cluster.running():
            assert set(read_or_refuse(node, stored)) == refused, node.name
        later = fill(cluster, "later", sizes=SIZES, multipart=False)
        forget_lost(cluster, stored, refused)
        for node in cluster.running():
            read_all(node, later)


def wait_until_steady(cluster, looks=20):
    """What can be read is stored for two nodes: the number of wide bodies does not change any more."""
    counts = []

    def is_steady():
        layout = cluster.layout()
        if layout is None or layout["profile"] != "1+1" or layout["reencode"] is None:
            return False
        counts.append(sum(s["blobs"] for s in layout["stored"] if s["profile"] == "2+1"))
        return len(counts) > looks and len(set(counts[-looks:])) == 1 and counts[-1] < counts[0]
    wait_for(lambda: f"wide bodies become narrow: {counts}", is_steady, LIMIT_S, every_s=0.5)
