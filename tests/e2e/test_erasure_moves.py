"""Growth moves what it must, and not much more."""
import hashlib

from bodies import Stored, content, put_until_known, read_all
from cluster import Cluster, wait_for

BODIES = 500
SIZE = 150_000   # larger than a small body: one shard for each slot of the profile


def restored(cluster):
    """Bytes of shards that the nodes have copied or rebuilt since they started."""
    return sum(m["repair"]["restored_bytes"] for m in cluster.members().values())


def test_growth_moves_little(tmp_path):
    with Cluster(tmp_path, 3) as cluster:
        cluster.wait_profile("2+1")
        assert cluster.any().client().request("PUT", "/bodies")[0] == 200
        stored = Stored()
        for number in range(BODIES):
            path = f"/bodies/{hashlib.md5(bytes([number % 256, number // 256])).hexdigest()}"
            put_until_known([cluster.nodes[number % 3].client()], path, content(path, SIZE))
            stored.expect(path, path, SIZE)
        cluster.wait_redundant()
        shards = BODIES * SIZE * 3 / 2
        for profile in ("2+1", "3+2", "4+2", "4+2"):
            before = restored(cluster)
            new = cluster.grow()
            wait_for("the new node has slots", lambda n=new: cluster.members()[n.name]["slots"])
            cluster.wait_profile(profile)
            cluster.wait_redundant()
            nodes = len(cluster.nodes)
            moved = restored(cluster) - before
            ideal = shards / nodes
            print(f"{nodes} nodes: {moved} bytes moved, {moved / ideal:.2f} of the new node's share",
                  flush=True)
            assert moved <= 1.3 * ideal, (nodes, moved, ideal)
        for node in cluster.nodes:
            read_all(node, stored, list(stored.sizes)[::10])
