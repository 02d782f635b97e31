"""Joining a cluster: every wrong token and every clash has a clear end, and burns no good token."""
import os
import re
import shutil
import socket
import stat
import time

import pytest
from cluster import Cluster, hamster, steady_port, wait_for


@pytest.fixture
def one(tmp_path):
    """A founder that newcomers knock at."""
    with Cluster(tmp_path / "one", size=1) as cluster:
        yield cluster


@pytest.fixture
def other(tmp_path):
    with Cluster(tmp_path / "other", size=1) as cluster:
        yield cluster


def refused(node, token, *extra):
    """Tries to join; the message of the refusal. The process must end by itself."""
    node.start(*extra, token=token, wait=False)
    code = node.wait_end()
    log = node.log()
    assert code in (1, 2), (code, log)
    assert "hamster: " in log and "assert" not in log.lower(), log
    return log


def admitted(cluster, node, token, *extra):
    node.start(*extra, token=token)
    wait_for(f"{node.name} is up", lambda: cluster.any().members()[node.name]["state"] == "up")
    return node


def spoilt(token):
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    return {
        "garbage": "garbage",
        "empty-version": "hamster1.",
        "truncated": token[:-9],
        "cut in the middle": token[:middle],
        "one letter changed": token[:middle] + other + token[middle + 1:],
        "a letter more": token + "A",
        "other version": token.replace("hamster1.", "hamster9.", 1),
        "line break inside": token[:middle] + "\n" + token[middle:],
        "10,000 letters": "hamster1." + "A" * 10_000,
    }


@pytest.mark.parametrize("kind", spoilt("x" * 40))
def test_a_spoilt_token_is_refused(one, kind):
    token = one.any().token()
    node = one.new_node("spoilt-" + re.sub("[ ,]", "-", kind))
    log = refused(node, spoilt(token)[kind])
    assert "token" in log, log
    # Nothing was burnt, and the directory serves for the next try.
    admitted(one, node, token)


def test_an_expired_token_is_refused(one):
    token = one.any().token("-ttl", "1s")
    time.sleep(2.5)  # past its end, however the clocks are rounded
    node = one.new_node("late")
    log = refused(node, token)
    assert "expired" in log and "hamster token" in log, log
    admitted(one, node, one.any().token())


@pytest.mark.parametrize("ttl", ["0s", "31d", "-1s", "soon", "99999999999d"])
def test_a_senseless_life_of_a_token_is_refused(one, ttl):
    run = one.any().verb("token", f"-ttl={ttl}")
    assert run.returncode in (1, 2) and run.stdout == "", (run.returncode, run.stdout, run.stderr)
    assert "ttl" in run.stderr or "token lives" in run.stderr, run.stderr


def test_a_reused_token_is_refused(one):
    token = one.any().token()
    first = admitted(one, one.new_node("first"), token)
    second = one.new_node("second")
    log = refused(second, token)
    assert "used" in log and "hamster token" in log, log
    assert "second" not in one.any().members()
    one.nodes.remove(second)


def test_a_token_is_of_use_again_to_the_node_it_admitted(one):
    """The same command once more, as a service manager would run it."""
    token = one.any().token()
    node = admitted(one, one.new_node("again"), token)
    assert node.stop() == 0
    admitted(one, node, token)


@pytest.mark.parametrize("after_ms", [0, 100, 200, 300, 500])
def test_a_newcomer_is_taken_out_at_once(one, after_ms):
    """While it becomes a voter; neither the removal nor the promotion may be stuck for it."""
    node = admitted(one, one.new_node("brief"), one.any().token())
    time.sleep(after_ms / 1000)  # no condition is waited for: every moment is to be hit
    run = one.nodes[0].verb("remove", node.name)
    if run.returncode != 0:  # it has places already
        assert f"drain {node.name}" in run.stderr, run.stderr
        run = one.nodes[0].verb("drain", node.name, "-reencode", "-wait", limit_s=120)
        assert run.returncode == 0, (run.stdout, run.stderr)
        run = one.nodes[0].verb("remove", node.name)
    assert run.returncode == 0, run.stderr
    node.close()
    assert list(one.members(one.nodes[0])) == ["n1"]
    assert one.nodes[0].client().request("GET", "/")[0] == 200


def test_two_nodes_at_once_with_one_token(one):
    token = one.any().token()
    nodes = [one.new_node(f"racer{n}") for n in range(4)]
    for node in nodes:
        node.start(token=token, wait=False)
    ended = wait_for("three of them were refused", lambda: (
        lambda e: e if len(e) >= 3 else None)([n for n in nodes if not n.is_running()]))
    assert len(ended) == 3
    winner = next(n for n in nodes if n.is_running())
    winner.wait_ready()
    assert [m for m in one.any().members() if m.startswith("racer")] == [winner.name]
    for node in ended:
        assert "used" in node.log(), node.log()
        one.nodes.remove(node)


def test_a_token_of_another_cluster(one, other):
    """The founder of `one` answers at the address; the token pins another CA."""
    node = one.new_node("stray")
    admitted(other, node, other.any().token())
    assert "stray" not in one.any().members()
    # This directory belongs to the other cluster now; a token of `one` cannot change that.
    node.stop()
    log = refused(node, one.any().token())
    assert re.search("another cluster|other cluster|belongs to", log), log


def test_a_token_whose_cluster_is_gone_and_another_listens_there(tmp_path, one):
    with Cluster(tmp_path / "gone", size=1) as first:
        token = first.any().token()
        port = first.nodes[0].listen_port
        first.nodes[0].stop()
        second = Cluster(tmp_path / "came")
        try:
            founder = second.new_node()
            founder.listen_port = port
            founder.init().start()
            node = second.new_node("lost")
            log = refused(node, token)
            assert "another cluster" in log, log
            assert list(founder.members()) == ["n1"]
        finally:
            second.close()


def test_nobody_listens_where_the_token_says(tmp_path):
    with Cluster(tmp_path, size=1) as cluster:
        token = cluster.any().token()
        founder = cluster.nodes[0]
        founder.stop()
        node = cluster.new_node("early")
        begun = time.monotonic()
        log = refused(node, token)
        assert founder.listen in log and "token is not used up" in log, log
        assert time.monotonic() - begun < 30
        founder.start()
        admitted(cluster, node, token)


def test_a_name_that_is_taken(one):
    token = one.any().token()
    first = admitted(one, one.new_node("twin"), token)
    token = one.any().token()
    second = one.new_node("twin")
    second.data_dir += "-2"
    second.log_path += "-2"
    log = refused(second, token)
    assert "twin" in log and "-node" in log, log
    # Not burnt: with another name it is good.
    second.name = "single"
    admitted(one, second, token)
    assert first.is_running()


def test_a_node_takes_the_place_of_a_member(one):
    """Of one that is there, once. A stranger learns no names in this way."""
    old = one.grow()
    token = one.any().token()
    new = one.new_node("new")
    log = refused(new, token, "-replaces", "nobody")
    assert "is to be replaced is no member" in log, log
    log = refused(new, spoilt(token)["one letter changed"], "-replaces", old.name)
    assert "replaced" not in log, log
    admitted(one, new, token, "-replaces", old.name)
    assert one.any().members()["new"]["replaces"] == old.name
    assert "takes the place of " + old.name in hamster(
        "status", "-data-dir", one.any().data_dir).stdout
    log = refused(one.new_node("second"), one.any().token(), "-replaces", old.name)
    assert "new replaces that node already" in log, log
    run = hamster("serve", "-data-dir", new.data_dir, "-replaces", old.name)
    assert run.returncode == 2 and "-token" in run.stderr, run


@pytest.mark.parametrize("name", ["a b", "x" * 200, "ä", "../up", "a/b", "n\n1"])
def test_a_name_that_is_none(one, name):
    token = one.any().token()
    node = one.new_node("odd")
    run = hamster("serve", "-data-dir", node.data_dir, f"-node={name}", "-listen", node.listen,
                  "-token", token, "-s3", f"127.0.0.1:{node.port}", "-admin", "none")
    assert run.returncode == 2 and "name" in run.stderr, (run.returncode, run.stderr)
    one.nodes.remove(node)


def test_a_cluster_port_in_use(one):
    token = one.any().token()
    node = one.new_node("crowded")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", node.listen_port))
        taken.listen()
        log = refused(node, token)
        assert node.listen in log and "-listen" in log, log
        assert "crowded" not in one.any().members()
    node.listen_port = steady_port()
    admitted(one, node, token)


def test_an_s3_port_in_use(one):
    token = one.any().token()
    node = one.new_node("busy")
    wanted = node.port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted))
        taken.listen()
        log = refused(node, token)
        assert str(wanted) in log, log
    # The same command again, now that the port is free.
    admitted(one, node, token)


def test_a_directory_that_holds_something_else(one, tmp_path):
    token = one.any().token()
    node = one.new_node("guest")
    os.makedirs(node.data_dir)
    with open(os.path.join(node.data_dir, "letters.txt"), "w") as f:
        f.write("mine")
    log = refused(node, token)
    assert "empty" in log, log
    assert os.listdir(node.data_dir) == ["letters.txt"]
    shutil.rmtree(node.data_dir)
    admitted(one, node, token)


@pytest.mark.parametrize("after_ms", range(0, 240, 20))
def test_killed_in_the_middle_of_joining(one, after_ms):
    """At any moment: the same command either goes on or says that a new token is needed."""
    token = one.any().token()
    node = one.new_node("fragile")
    node.start(token=token, wait=False)
    time.sleep(after_ms / 1000)  # no condition is waited for: every moment is to be hit
    if node.is_running():
        node.kill()
    node.start(token=token, wait=False)
    wait_for("ready or refused", lambda: " ready: " in node.log() or not node.is_running())
    if not node.is_running():
        assert "token" in node.log(), node.log()
        admitted(one, node, one.any().token())
    node.wait_ready()


def test_a_minted_token_and_the_keys_of_a_node_are_secret(one):
    node = admitted(one, one.new_node("keys"), one.any().token())
    for member in (one.nodes[0], node):
        for folder, folders, names in os.walk(member.data_dir):
            for name in folders + names:
                path = os.path.join(folder, name)
                mode = stat.S_IMODE(os.lstat(path).st_mode)
                assert mode & 0o077 == 0, (path, oct(mode))
    with open(os.path.join(one.nodes[0].data_dir, "node.key")) as f:
        mine = f.read()
    with open(os.path.join(node.data_dir, "node.key")) as f:
        assert f.read() != mine


def test_join_as_a_verb_and_any_member_mints_and_admits(tmp_path):
    with Cluster(tmp_path, size=2) as cluster:
        second = cluster.nodes[1]
        answer = second.json("token", "-ttl", "10m")
        assert answer["token"].startswith("hamster1.") and answer["expires"].endswith("Z")
        third = cluster.new_node()
        run = hamster("join", "-data-dir", third.data_dir, "-node", third.name, "-listen",
                      third.listen, "-zone", "east", "-capacity", "10GiB", "-token",
                      answer["token"])
        assert run.returncode == 0, run.stderr
        assert "hamster serve" in run.stdout
        # The founder may be away when a newcomer is admitted.
        third.start()
        cluster.wait_voters(3)
        member = second.members()["n3"]
        assert (member["zone"], member["capacity_bytes"]) == ("east", 10 << 30)
        token = third.token()
        cluster.nodes[0].stop()
        fourth = cluster.new_node()
        fourth.start(token=token)
        wait_for("n4 is up", lambda: (third.members() or {})["n4"]["state"] == "up")


def test_a_single_node_with_data_grows(tmp_path):
    with Cluster(tmp_path, size=1) as cluster:
        founder = cluster.nodes[0]
        client = founder.client()
        assert client.request("PUT", "/before")[0] == 200
        bodies = {f"/before/{n}": os.urandom(n * n * 300) for n in range(40)}
        for key, body in bodies.items():
            assert client.request("PUT", key, body=body)[0] == 200
        for _ in range(2):
            cluster.grow()
        cluster.wait_voters(3)
        for node in cluster.nodes:
            reader = node.client()
            for key, body in bodies.items():
                assert reader.request("GET", key)[2] == body, (node.name, key)
            assert reader.request("PUT", f"/before/{node.name}", body=b"x")[0] == 200
