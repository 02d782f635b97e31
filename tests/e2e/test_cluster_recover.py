"""`hamster recover`: most voters are lost for good, and one of the rest goes on alone."""
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from cluster import Cluster, all_there, hamster, wait_for
from hamster_process import BINARY, environment


@pytest.fixture
def three(tmp_path):
    with Cluster(tmp_path) as cluster:
        status, _, body = cluster.any().client().request("PUT", "/bucket")
        assert status == 200, body
        cluster.wait_profile("2+1")
        yield cluster


def put_many(node, prefix, count):
    """{path: body} of what was acknowledged."""
    client = node.client(30)
    stored = {}
    for n in range(count):
        path = f"/bucket/{prefix}-{n}"
        body = random.Random(path).randbytes(n * 500 + 1)
        status, _, text = client.request("PUT", path, body=body)
        assert status == 200, (path, text)
        stored[path] = body
    return stored


def recover(node, *extra, answer=""):
    return subprocess.run([BINARY, "recover", "-data-dir", node.data_dir, *extra],
                          env=environment(), input=answer, capture_output=True, text=True,
                          timeout=60)


def given_up(run):
    """The names and addresses in what it says before it asks."""
    return dict(re.findall(r"^  (\S+) +(\S+:\d+) +on \S+$", run.stderr, re.M))


def what_is_left(node, stored):
    """The bodies of which a copy lies on the node: small ones lie on two nodes of three. Of the rest
    it answers errors, never other bytes."""
    client = node.client(30)
    left = {}
    for path, body in stored.items():
        status, _, got = client.request("GET", path)
        if status == 200:
            assert got == body, path
            left[path] = body
        else:
            assert status in (500, 503), (path, status, got)
        assert client.request("HEAD", path)[0] in (200, 500, 503), path
    return left


def serves_alone(node, stored):
    """What is left of them."""
    node.start()
    members = node.members()
    assert {n: m["role"] for n, m in members.items()} == {node.name: "leader"}, members
    wait_for("new objects are for one node",
             lambda: node.status()["cluster"]["layout"]["profile"] == "1+0")
    left = what_is_left(node, stored)
    assert len(left) >= len(stored) // 3, (len(left), len(stored))
    client = node.client(30)
    listed = client.request("GET", "/bucket", {"list-type": "2"})[2].decode()
    for path in stored:
        assert f"<Key>{path.removeprefix('/bucket/')}</Key>" in listed, path
    for size in (5, 3_000_000):
        path = f"/bucket/later-{time.monotonic_ns()}"
        assert client.request("PUT", path, body=b"l" * size)[0] == 200
        assert client.request("GET", path)[2] == b"l" * size
    return left


def restored(cluster):
    """Shards that the nodes have copied from each other since they started, once three vote."""
    status = cluster.any().status()["cluster"]
    members = status["members"]
    if len(members) != 3 or any(m["role"] == "learner" or not m["repair"] for m in members):
        return 0
    return sum(m["repair"]["restored_shards"] for m in members)


def beyond_repair(cluster):
    members = cluster.any().status()["cluster"]["members"]
    return sum(m["repair"]["beyond_repair"] for m in members if m["repair"])


def test_it_refuses_while_another_voter_answers(three):
    last, up, dead = three.nodes
    stored = put_many(last, "own", 20)
    dead.kill()
    running = recover(last, "-force")
    assert running.returncode == 1, running  # the node itself runs
    last.kill()
    for extra in ((), ("-force",)):
        run = recover(last, *extra, answer="yes\n")
        assert run.returncode == 1 and run.stdout == "", run
        assert f"{up.name} answers at {up.listen}" in run.stderr, run.stderr
        assert "given up for good" not in run.stderr, run.stderr
    # It has changed nothing: with the other one it is a cluster.
    last.start()
    three.wait_voters(2)
    dead.start()
    three.wait_voters(3)
    for node in three.nodes:
        all_there(node, stored)


def test_it_refuses_where_there_is_nothing_to_recover(tmp_path):
    with Cluster(tmp_path, size=1) as cluster:
        alone = cluster.nodes[0]
        alone.stop()
        run = recover(alone, "-force")
        assert run.returncode == 1 and "votes alone already" in run.stderr, run
        empty = hamster("recover", "-data-dir", str(tmp_path / "nothing"), "-force")
        assert empty.returncode == 1 and empty.stderr.startswith("hamster: "), empty
        alone.start()


def test_it_refuses_on_a_learner(tmp_path):
    with Cluster(tmp_path, size=4) as cluster:
        learner = next(cluster.node(n) for n, m in cluster.members().items()
                       if m["role"] == "learner")
        for node in cluster.nodes:
            node.kill()
        run = recover(learner, "-force")
        assert run.returncode == 1 and "does not vote" in run.stderr, run


def test_the_last_voter_goes_on_alone(three):
    last, *others = three.nodes
    stored = put_many(last, "own", 40)
    lost = {}
    for node in others:
        lost |= put_many(node, f"of-{node.name}", 10)
    three.wait_voters(3)  # the last one knows of all
    for node in [*others, last]:
        node.kill()

    for answer in ("", "no\n", "y\n", "YES\n"):
        run = recover(last, answer=answer)
        assert run.returncode == 1 and "nothing has been changed" in run.stderr, (answer, run)
        assert given_up(run) == {n.name: n.listen for n in others}, run.stderr
        assert "2 of 3 voters do not answer" in run.stderr and run.stdout == "", run
    run = recover(last, answer="yes\n")
    assert run.returncode == 0 and run.stdout.startswith("Done. Next: hamster serve"), run
    assert given_up(run) == {n.name: n.listen for n in others}, run.stderr
    for extra in ((), ("-force",)):  # once more: nothing happens
        run = recover(last, *extra, answer="yes\n")
        assert run.returncode == 1 and "votes alone already" in run.stderr, run
    left = serves_alone(last, stored | lost)

    # The ids are spent: from its old directory a lost node learns that it is none.
    old = others[0]
    old.start(wait=False)
    assert old.wait_end() == 1 and "this node was removed" in old.log(), old.log()
    # With empty directories they come back, under their old names.
    for node in others:
        shutil.rmtree(node.data_dir)
        node.start(token=last.token())
    # One copy was left of each; of the other bodies none was, which is an alarm, not a backlog: both
    # slots of each of them are beyond repair.
    wait_for(lambda: f"there are two again: {three.any().status()}",
             lambda: restored(three) >= len(left))
    gone = len(stored | lost) - len(left)
    wait_for(lambda: f"the loss of {gone} bodies is reported: {three.any().status()}",
             lambda: beyond_repair(three) == 2 * gone)
    for node in three.nodes:
        all_there(node, left)
        assert what_is_left(node, stored | lost) == left
    last.stop()  # what was left is on two nodes again
    for node in others:
        all_there(node, left)
    status, _, body = others[0].client(30).request("PUT", "/bucket/without-it", body=b"x")
    assert status == 200, body


def test_it_is_killed_at_any_moment_and_run_again(three, tmp_path):
    last, *others = three.nodes
    stored = put_many(last, "own", 10)
    lost = put_many(others[0], "lost", 5)
    three.wait_voters(3)
    for node in [*others, last]:
        node.kill()
    kept = str(tmp_path / "kept")
    shutil.copytree(last.data_dir, kept, ignore=shutil.ignore_patterns("*.sock"))
    begun = time.monotonic()
    assert recover(last, "-force").returncode == 0
    takes = time.monotonic() - begun

    rounds = int(os.environ.get("ROUNDS", 12))
    outcomes = {"undone": 0, "done": 0}
    vote = os.path.join(last.data_dir, "meta", "vote")
    for n in range(rounds):
        shutil.rmtree(last.data_dir)
        shutil.copytree(kept, last.data_dir)
        before = os.stat(vote).st_ino  # replaced right before the entry is written
        process = subprocess.Popen([BINARY, "recover", "-data-dir", last.data_dir, "-force"],
                                   env=environment(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        if n % 3 == 0:
            time.sleep(takes * n / rounds)
        else:
            while process.poll() is None and os.stat(vote).st_ino == before:
                pass
            time.sleep(0.0004 * (n - 1))
        process.kill()
        process.wait(timeout=60)
        run = recover(last, "-force")
        if run.returncode == 0:
            outcomes["undone"] += 1
            assert set(given_up(run)) == {n.name for n in others}, run.stderr
        else:
            outcomes["done"] += 1
            assert "votes alone already" in run.stderr, run
        serves_alone(last, stored | lost)
        last.kill()
    print(f"\nrecover took {takes:.2f} s; killed {rounds} times: {outcomes}")
    assert outcomes["undone"] > 0  # at least the first one


def test_a_voter_that_was_down_is_given_up_too(three):
    """Two of three are lost, one of them long before, and the survivor was not up to date then."""
    last, first_lost, second_lost = three.nodes
    first_lost.kill()
    stored = wait_for("writes go on", lambda: put_many(last, "own", 30))
    last.kill()
    second_lost.kill()
    run = recover(last, "-force")
    assert run.returncode == 0 and len(given_up(run)) == 2, run
    serves_alone(last, stored)


def test_a_learner_that_knows_more_says_so_and_stops(tmp_path):
    """The survivor goes on without what it never heard of. A learner that has applied it holds
    another history: it must neither serve it nor pretend to follow."""
    with Cluster(tmp_path, size=4) as cluster:
        roles = wait_for("all have slots", lambda: (
            lambda m: m if all(n["slots"] for n in m.values()) else None)(cluster.members()))
        learner = next(cluster.node(n) for n, m in roles.items() if m["role"] == "learner")
        leader = cluster.leader()
        last, other = [n for n in cluster.nodes if n not in (learner, leader)]
        assert leader.client().request("PUT", "/bucket")[0] == 200
        stored = put_many(last, "own", 10)
        wait_for("all have it all", lambda: all(
            m["lag"] == 0 for m in (leader.members() or {"?": {"lag": 1}}).values()))
        last.signal(signal.SIGSTOP)
        ahead = put_many(leader, "ahead", 10)
        wait_for("the learner has it", lambda: leader.members()[learner.name]["lag"] == 0)
        for node in (last, other, leader):
            node.kill()
        run = recover(last, "-force")
        assert run.returncode == 0 and set(given_up(run)) == {leader.name, other.name}, run
        last.start()
        left = what_is_left(last, stored)
        later = put_many(last, "later", 5)  # at the places of what it does not know
        told = wait_for("it says that it cannot follow", lambda: (
            lambda m: m and m[learner.name]["trouble"])(last.members()))
        assert "recover" in told and "Remove it" in told, told
        assert last.members()[learner.name]["state"] == "degraded"
        for path in [*ahead, *later, *stored]:
            status, _, body = learner.client(40).request("GET", path)
            assert status == 503, (path, status, body)
        # Its places are needed until there are others for them: it stays a member, and serves nothing.
        run = last.verb("remove", learner.name)
        assert run.returncode == 1 and f"drain {learner.name}" in run.stderr, run
        all_there(last, left | later)
        for path in ahead:
            assert last.client().request("GET", path)[0] == 404, path
