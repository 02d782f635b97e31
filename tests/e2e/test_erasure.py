"""What a profile promises, on real processes: any m nodes may be down, one more gives clear errors,
and when they are back redundancy returns by itself.

By default a few of the sets of m nodes are tried; with ROUNDS=all every one.
"""
import itertools
import os
import random

import pytest
from bodies import MIB, Writer, content, fill, put_until_known, read_all, read_or_refuse
from cluster import Cluster

ROUNDS = os.environ.get("ROUNDS", "3")


def sets_of(nodes, m, seed):
    """The sets of m nodes to be killed: all, or some that together hit every node."""
    every = list(itertools.combinations(range(nodes), m))
    if ROUNDS == "all":
        return every
    rng = random.Random(seed)
    order = list(range(nodes))
    rng.shuffle(order)
    chosen = [tuple(sorted(order[at:at + m])) for at in range(0, nodes - m + 1, m)]
    return chosen[:int(ROUNDS)]


@pytest.mark.parametrize("size,profile,m", [(3, "2+1", 1), (5, "3+2", 2), (6, "4+2", 2)])
def test_any_m_nodes_may_die(tmp_path, size, profile, m):
    with Cluster(tmp_path, size) as cluster:
        cluster.wait_profile(profile)
        stored = fill(cluster, "first")
        big = "/bodies/big"
        put_until_known([cluster.any().client(120)], big, content(big, 256 * MIB))
        stored.expect(big, big, 256 * MIB)
        for number, dead in enumerate(sets_of(size, m, seed=size)):
            print("down:", [cluster.nodes[n].name for n in dead], flush=True)
            writer = Writer(cluster, stored, number)
            writer.start()
            for n in dead:
                cluster.nodes[n].kill()
            paths = [p for p in list(stored.sizes) if p != big or number == 0]
            for node in cluster.running():
                read_all(node, stored, paths)
            writer.stop()
            read_all(cluster.any(), stored, [p for p in stored.sizes if p != big])
            for n in dead:
                cluster.nodes[n].start(wait=False)
            cluster.wait_redundant()
        read_all(cluster.any(), stored)


@pytest.mark.parametrize("size,profile,m", [(3, "2+1", 1), (6, "4+2", 2)])
def test_one_more_than_m_gives_clear_errors(tmp_path, size, profile, m):
    with Cluster(tmp_path, size) as cluster:
        cluster.wait_profile(profile)
        stored = fill(cluster, "first")
        leader = cluster.leader()
        victims = [n for n in cluster.nodes if n is not leader][:m + 1]
        for node in victims:
            node.kill()
        refused = read_or_refuse(leader, stored)
        assert refused, "more shards are lost than parity can make up for"
        for node in victims:
            node.start(wait=False)
        cluster.wait_redundant()
        for node in cluster.nodes:
            read_all(node, stored)
