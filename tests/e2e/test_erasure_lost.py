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


def test_two_disks_are_lost_of_a_profile_that_bears_one(tmp_path):
    with Cluster(tmp_path, 4) as cluster:
        cluster.wait_profile("2+1")
        stored = fill(cluster, "first", sizes=SIZES)
        for label in ("second", "third", "fourth", "fifth"):
            more = fill(cluster, label, sizes=SIZES, multipart=False)
            for path, size in more.sizes.items():
                stored.expect(path, path, size)
        cluster.wait_redundant(LIMIT_S)

        replaced, drained = pick_lost(cluster)
        run = remove(cluster, drained, "-lost", "-force")
        assert run.returncode == 1 and "answers, so nothing of it is lost" in run.stderr, run
        for node in (replaced, drained):
            node.kill()
        wait_for("both are down", lambda: all(
            cluster.members()[n.name]["state"] == "down" for n in (replaced, drained)))
        run = remove(cluster, drained, "-lost", "-force")
        assert run.returncode == 1 and f"drain {drained.name}` first" in run.stderr, run
        heir = cluster.grow("-replaces", replaced.name)
        run = cluster.any().verb("drain", drained.name)
        assert run.returncode == 0, run

        # Of some one shard of three is left.
        refused = set.intersection(*(set(read_or_refuse(node, stored))
                                     for node in cluster.running()))
        assert 0 < len(refused) < len(stored.sizes), refused
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
        client = cluster.any().client(60)
        for path in refused:
            assert client.request("DELETE", path)[0] == 204, path
            del stored.sizes[path]
        cluster.wait_redundant(LIMIT_S)
        assert heir.name in cluster.members()
        for node in cluster.running():
            read_all(node, stored, sample(stored, 15, node.name))
        cluster.followers()[0].kill()
        read_all(cluster.any(), stored)

