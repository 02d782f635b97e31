"""Damage on one node's disk: no wrong byte is ever answered, and what was damaged is restored."""
import glob
import json
import os
import random
import shutil

from bodies import Writer, fill, read_all
from cluster import Cluster, wait_for

FLIPS = 1000


def segments_of(node):
    found = sorted(glob.glob(os.path.join(node.data_dir, "shards", "segments", "*")))
    assert found, node.data_dir
    return found


def flip_bits(node, count, seed):
    """Flips one bit in each of `count` random places of the node's segments, while it runs."""
    files = segments_of(node)
    sizes = [os.path.getsize(f) for f in files]
    rng = random.Random(seed)
    for _ in range(count):
        file = rng.choices(files, sizes)[0]
        with open(file, "r+b") as f:
            at = rng.randrange(os.path.getsize(file))
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ (1 << rng.randrange(8))]))


def scrub(node):
    """Reads all that the node has; the damaged shards found since it started."""
    run = node.verb("scrub", "-json", limit_s=300)
    assert run.returncode == 0, (run.stdout, run.stderr)
    return json.loads(run.stdout)["damaged_shards"]


def read_with_its_shards(cluster, restored, stored):
    """One other node is down: the rest is not enough for any body without what was restored."""
    next(n for n in cluster.nodes if n is not restored).kill()
    for node in cluster.running():
        read_all(node, stored)


def test_a_thousand_flipped_bits(tmp_path):
    with Cluster(tmp_path, 3) as cluster:
        cluster.wait_profile("2+1")
        stored = fill(cluster, "first", multipart=False)  # no garbage: that is not restored
        victim = cluster.followers()[0]
        flip_bits(victim, FLIPS, seed=1)
        writer = Writer(cluster, stored)
        writer.start()
        for node in cluster.nodes:
            read_all(node, stored)
        writer.stop()
        found = [scrub(victim)]
        print("damaged shards found:", found)

        def finds_nothing_new():
            found.append(scrub(victim))
            return found[-1] == found[-2]
        wait_for(lambda: f"all that was damaged is restored: {found}", finds_nothing_new)
        cluster.wait_redundant()
        read_with_its_shards(cluster, victim, stored)


def test_a_segment_file_is_gone(tmp_path):
    with Cluster(tmp_path, 3) as cluster:
        cluster.wait_profile("2+1")
        stored = fill(cluster, "first")
        victim = cluster.followers()[0]
        victim.kill()
        os.unlink(max(segments_of(victim), key=os.path.getsize))
        victim.start("-accept-lost-segments")
        for node in cluster.nodes:
            read_all(node, stored)
        cluster.wait_redundant()
        read_with_its_shards(cluster, victim, stored)


def test_a_data_directory_is_emptied(tmp_path):
    """The machine comes back under a new identity, in the place of the lost one."""
    with Cluster(tmp_path, 3) as cluster:
        cluster.wait_profile("2+1")
        stored = fill(cluster, "first")
        lost = cluster.followers()[0]
        lost.kill()
        shutil.rmtree(lost.data_dir)
        for node in cluster.running():
            read_all(node, stored)
        new = cluster.grow("-replaces", lost.name)
        wait_for(f"{lost.name} has left", lambda: lost.name not in cluster.members(), limit_s=180)
        cluster.forget(lost)
        cluster.wait_voters(3)
        cluster.wait_redundant()
        read_with_its_shards(cluster, new, stored)
