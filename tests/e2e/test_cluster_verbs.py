"""The verbs of a cluster: status, can-stop, transfer-leadership, remove; and moved addresses."""
import json
import os
import re
import subprocess
import time

import pytest
from cluster import Cluster, steady_port, wait_for
from hamster_process import BINARY, environment


@pytest.fixture
def three(tmp_path):
    with Cluster(tmp_path) as cluster:
        status, _, body = cluster.any().client().request("PUT", "/bucket")
        assert status == 200, body
        yield cluster


@pytest.fixture
def settled(three):
    """Three nodes whose layout is made: before that, no node can be stopped or taken out."""
    three.wait_profile("2+1")
    return three


def drain(cluster, node):
    asked = next(n for n in cluster.running() if n is not node)
    run = asked.verb("drain", node.name, "-reencode", "-wait", limit_s=120)
    assert run.returncode == 0, (run.stdout, run.stderr)


def serves(cluster, but=()):
    """Every node writes, and every other reads it."""
    nodes = [n for n in cluster.running() if n not in but]
    for writer in nodes:
        key = f"/bucket/serves-{writer.name}-{time.monotonic_ns()}"
        status, _, body = writer.client().request("PUT", key, body=key.encode())
        assert status == 200, (writer.name, body)
        for reader in nodes:
            assert reader.client().request("GET", key)[2] == key.encode(), reader.name


# ---- status ---------------------------------------------------------------------------------

def test_status_tells_the_same_on_every_node(three):
    assert three.grow("-capacity", "20GiB").name == "n4"
    members = wait_for("n4 is up", lambda: (
        lambda m: m if m and m["n4"]["state"] == "up" and m["n4"]["lag"] == 0
        and m["n4"]["disk_free_bytes"] else None)(
            three.any().members()))
    assert sorted(m["role"] for m in members.values()) == ["leader", "learner", "voter", "voter"]
    assert (members["n4"]["zone"], members["n4"]["capacity_bytes"]) == ("", 20 << 30)
    for node in three.nodes:
        status = node.status()
        assert (status["node"], status["state"]) == (node.name, "serving")
        assert status["s3"] == f"127.0.0.1:{node.port}"
        cluster = status["cluster"]
        assert cluster["leader"] == three.leader().name and cluster["changing"] is False
        assert cluster["term"] >= 1 and cluster["commit"] >= 1
        assert isinstance(cluster["notes"], list)
        for member in cluster["members"]:
            other = three.node(member["node"])
            expected = {"address": other.listen, "s3": f"127.0.0.1:{other.port}", "state": "up",
                        "full": False, "trouble": "", "corrupt_slices": 0, "silent_ms": 0,
                        "version": status["version"], "leader": other is three.leader()}
            assert {k: member[k] for k in expected} == expected
            assert re.fullmatch("[0-9a-f]{32}", member["node_id"])
            assert member["host"] == os.uname().nodename
            assert member["capacity_bytes"] > 0 and member["disk_free_bytes"] > 0, member
            assert member["uptime_seconds"] >= 0 and member["blobs"] >= 0
    shown = three.any().verb("status").stdout
    assert re.search(r"^n4 +learner +up +\S+ +- +20\.0 GiB", shown, re.M), shown


def test_status_does_not_make_up_what_nobody_said(tmp_path):
    with Cluster(tmp_path, size=1) as cluster:
        founder, node = cluster.nodes[0], cluster.new_node()
        run = node.verb("join", "-node", node.name, "-listen", node.listen, "-token",
                        founder.token())
        assert run.returncode == 0, run.stderr
        member = founder.members()[node.name]
        assert member["disk_free_bytes"] is None and member["uptime_seconds"] is None, member
        shown = founder.verb("status").stdout
        assert re.search(rf"^{node.name} .* [\d.]+ [A-Z]iB +-  ", shown, re.M), shown
        assert re.search(r"^n1 .* [\d.]+ [A-Z]iB +[\d.]+ [A-Z]iB  ", shown, re.M), shown
        node.start()
        cluster.wait_voters(2)
        wait_for("it said how it is", lambda: founder.members()[node.name]["disk_free_bytes"])


def test_status_sees_a_dead_node_within_seconds(three):
    victim = three.followers()[0]
    victim.kill()
    begun = time.monotonic()
    other = three.any()
    wait_for(f"{victim.name} is down", lambda: other.members()[victim.name]["state"] == "down",
             limit_s=15)
    print(f"down after {time.monotonic() - begun:.1f} s")
    shown = other.verb("status").stdout
    assert re.search(rf"^{victim.name} +voter +down", shown, re.M), shown
    assert "losing one more stops writes" in shown
    victim.start()
    three.wait_voters(3)


def test_status_without_a_quorum_says_so(three):
    last = three.nodes[2]
    for node in three.nodes[:2]:
        node.kill()

    def told():
        status = last.status()
        return status and "no leader" in json.dumps(status.get("cluster", {}))
    wait_for("the last node says that there is no leader", told, limit_s=30)
    # Neither written nor read without a majority; and never for ever.
    client = last.client(timeout=40)
    begun = time.monotonic()
    status, _, body = client.request("PUT", "/bucket/alone", body=b"x")
    assert status == 503, (status, body)
    status, _, body = client.request("GET", "/bucket/alone")
    assert status == 503, (status, body)
    assert time.monotonic() - begun < 30
    for verb in (("token",), ("can-stop", "-node", "n1"), ("transfer-leadership",),
                 ("remove", "n1")):
        run = last.verb(*verb)
        assert run.returncode == 1 and run.stderr.startswith("hamster: "), (verb, run)
        assert "leader" in run.stderr, (verb, run.stderr)


def test_status_watch_goes_on_through_an_outage(three):
    node = three.nodes[0]
    watch = subprocess.Popen([BINARY, "status", "-watch", "-data-dir", node.data_dir],
                             env=environment(), stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
    try:
        time.sleep(3)
        node.stop()
        time.sleep(3)
        assert watch.poll() is None
        node.start()
        time.sleep(3)
    finally:
        watch.kill()
    shown = watch.communicate()[0]
    assert shown.count("NODE ") >= 2 and "no node is running" in shown, shown


# ---- can-stop -------------------------------------------------------------------------------

def test_can_stop(settled):
    for asked in settled.nodes:
        for node in settled.nodes:
            run = asked.verb("can-stop", "-node", node.name)
            assert (run.returncode, run.stdout[:3]) == (0, "Yes"), (asked.name, node.name, run)
    victim = settled.followers()[0]
    victim.kill()  # asked at once: the leader must look, not remember
    for asked in settled.running():
        for node in settled.running():
            run = asked.verb("can-stop", "-node", node.name)
            assert run.returncode == 1 and run.stdout.startswith("No: "), (asked.name, run)
            assert "voters are left" in run.stdout or victim.name in run.stdout, run.stdout
            answer = json.loads(asked.verb("can-stop", "-node", node.name, "-json").stdout)
            assert answer["can_stop"] is False and answer["reason"]
        # The one that is down already may stay so.
        assert asked.verb("can-stop", "-node", victim.name).returncode == 0
        run = asked.verb("can-stop", "-node", "nobody")
        assert run.returncode == 1 and "nobody" in run.stderr and run.stdout == "", run
    victim.start()
    settled.wait_voters(3)
    settled.wait_redundant()
    assert settled.any().verb("can-stop", "-node", victim.name).returncode == 0


def test_a_node_that_can_be_stopped_can_be_stopped(settled):
    """The maintenance of every node in turn, under can-stop, with no write refused for long."""
    for node in settled.nodes:
        asked = next(n for n in settled.nodes if n is not node)
        wait_for(f"{node.name} can be stopped",
                 lambda a=asked, n=node: a.verb("can-stop", "-node", n.name).returncode == 0)
        assert node.stop() == 0
        begun = time.monotonic()
        status, _, body = asked.client().request("PUT", "/bucket/while", body=b"x")
        assert status == 200 and time.monotonic() - begun < 2, (status, body)
        node.start()
    settled.wait_voters(3)
    serves(settled)


# ---- transfer-leadership --------------------------------------------------------------------

def test_transfer_leadership(three):
    for asked in three.nodes:
        for node in three.nodes:
            answer = asked.json("transfer-leadership", "-to", node.name)
            assert answer["leader"] == node.name
            assert wait_for("a leader", lambda n=node: three.leader(n)) is node
            status, _, body = asked.client().request("PUT", "/bucket/key", body=b"x")
            assert status == 200, body
    before = three.leader()
    answer = three.any().json("transfer-leadership")
    assert answer["leader"] != before.name
    run = three.any().verb("transfer-leadership", "-to", "nobody")
    assert run.returncode == 1 and "nobody" in run.stderr
    leader = three.leader()
    down = three.followers()[0]
    down.kill()
    run = leader.verb("transfer-leadership", "-to", down.name)
    assert run.returncode == 1 and run.stderr.startswith("hamster: "), run
    serves(three)
    assert three.leader() is leader


# ---- remove ---------------------------------------------------------------------------------

def cut_off(cluster, node, others):
    """The removed node serves nothing, says why, and its directory is refused."""
    wait_for(f"{node.name} says that it was removed",
             lambda: "this node was removed" in node.log() or not node.is_running(), limit_s=20)
    if node.is_running():
        for method, path in (("PUT", "/bucket/from-removed"), ("GET", "/bucket"), ("GET", "/")):
            try:
                status, _, body = node.client(20).request(method, path, body=b"")
            except OSError:
                continue
            assert status in (403, 503), (method, path, status, body)
        node.close()
    node.start(wait=False)
    code = node.wait_end(20)
    assert code == 1 and "removed" in node.log(), (code, node.log())
    for other in others:
        assert other.client().request("HEAD", "/bucket/from-removed")[0] == 404


@pytest.mark.parametrize("size", [2, 3, 4])
def test_an_empty_node_is_removed_online(tmp_path, size):
    with Cluster(tmp_path, size=size) as cluster:
        assert cluster.any().client().request("PUT", "/bucket")[0] == 200
        node, others = cluster.nodes[-1], cluster.nodes[:-1]
        drain(cluster, node)
        wait_for("it is drained", lambda: others[0].members()[node.name]["state"] == "drained")
        assert others[0].json("remove", node.name)["removed"] == node.name
        for other in others:
            wait_for("it is gone", lambda o=other: sorted(o.members() or ()) ==
                     [n.name for n in others])
        cut_off(cluster, node, others)
        serves(cluster, but=[node])
        # The name may be used again, by a new directory with a new id.
        again = cluster.new_node(node.name)
        again.data_dir += "-new"
        again.start(token=others[0].token())
        wait_for("it is up", lambda: others[0].members()[again.name]["state"] == "up")


@pytest.mark.parametrize("asked_at", ["leader", "follower"])
def test_the_leader_is_removed_online(settled, asked_at):
    leader = settled.leader()
    others = settled.followers()
    run = others[0].verb("remove", leader.name)
    assert run.returncode == 1 and f"drain {leader.name}" in run.stderr, run
    drain(settled, leader)
    run = (leader if asked_at == "leader" else others[0]).verb("remove", leader.name)
    assert run.returncode == 0, run.stderr
    wait_for("another leads", lambda: len(others[0].members() or ()) == 2)
    cut_off(settled, leader, others)
    serves(settled, but=[leader])


def test_a_dead_node_is_removed(settled):
    node = settled.followers()[0]
    node.kill()
    others = settled.running()
    drain(settled, node)
    answer = others[0].json("remove", node.name)
    assert answer["removed"] == node.name
    serves(settled)
    # It was not there when it happened.
    node.start(wait=False)
    code = node.wait_end(20)
    assert code == 1 and "removed" in node.log(), (code, node.log())


def test_a_node_that_holds_objects_is_not_removed(settled):
    """How it is drained and then removed: test_erasure_lifecycle.py."""
    node = settled.followers()[0]
    assert node.client().request("PUT", "/bucket/held", body=b"x" * 100_000)[0] == 200
    for asked in settled.nodes:
        run = asked.verb("remove", node.name)
        assert run.returncode == 1, run
        assert f"drain {node.name}" in run.stderr, run.stderr
        assert asked.members()[node.name]["state"] == "up"
    serves(settled)


def test_remove_refuses_what_makes_no_sense(three):
    for name in ("nobody", "n1 ", "0" * 32):
        run = three.any().verb("remove", name)
        assert run.returncode in (1, 2) and run.stderr.startswith("hamster: "), run
    victim = three.followers()[0]
    victim.kill()
    # Two voters are up of three: the removal of one of these would leave one.
    up = three.running()
    run = up[0].verb("remove", up[1].name)
    assert run.returncode == 1, run
    assert re.search(f"voter|down|drain {up[1].name}", run.stderr), run.stderr
    victim.start()
    three.wait_voters(3)
    serves(three)
    three.wait_redundant()
    assert all(m["state"] == "up" for m in three.members().values())


def test_the_last_node_is_not_removed(tmp_path):
    with Cluster(tmp_path, size=1) as cluster:
        run = cluster.any().verb("remove", "n1")
        assert run.returncode == 1 and run.stderr.startswith("hamster: "), run
        assert cluster.any().client().request("PUT", "/bucket")[0] == 200


# ---- addresses ------------------------------------------------------------------------------

def test_a_changed_address_propagates(three):
    for node in three.nodes:
        assert node.stop() == 0
        node.listen_port = steady_port()
        node.start("-listen", node.listen, "-zone", f"zone-{node.name}")
        others = [n for n in three.nodes if n is not node]
        for other in others:
            wait_for(f"{other.name} knows the new address of {node.name}", lambda o=other, n=node:
                     (o.members() or {n.name: {"address": ""}})[n.name]["address"] == n.listen)
        three.wait_voters(3)
    serves(three)
    for node in three.nodes:
        assert node.stop() == 0
    for node in three.nodes:
        node.start(wait=False)
    three.wait_voters(3)
    for name, member in three.members().items():
        assert (member["address"], member["zone"]) == (three.node(name).listen, f"zone-{name}")
    serves(three)


def test_all_addresses_change_at_once(three):
    """A move of the whole cluster: each node knows only the old addresses of the others."""
    for node in three.nodes:
        assert node.stop() == 0
    for node in three.nodes[1:]:  # one stays where the others look for it
        node.listen_port = steady_port()
    for node in three.nodes:
        node.start("-listen", node.listen, wait=False)
    three.wait_voters(3)
    serves(three)


def test_who_stayed_is_behind_when_all_others_move(tmp_path):
    """Four of five nodes move, and the one that stayed lacks entries: it cannot lead, and the four
    know where the others are from it alone."""
    with Cluster(tmp_path, 5) as five:
        stayed, *moved = five.nodes
        assert stayed.stop() == 0
        wait_for("a write without n1",
                 lambda: moved[0].client().request("PUT", "/bucket")[0] == 200)
        for node in moved:
            node.kill()
            node.listen_port = steady_port()
        for node in five.nodes:
            node.start("-listen", node.listen, wait=False)
        five.wait_voters(5)
        serves(five)
