import subprocess

import pytest
from hamster_process import aws_environment


@pytest.fixture
def env(hamster, tmp_path):
    return aws_environment(hamster, tmp_path)


@pytest.fixture
def run(env, tmp_path):
    """Runs a client; its output. Fails with everything it printed when it does not exit with 0."""
    def call(*args, ok=True, cwd=None, extra_env=None, input=None):
        done = subprocess.run([str(a) for a in args], env={**env, **(extra_env or {})},
                              cwd=cwd or tmp_path, capture_output=True, timeout=600, input=input)
        text = done.stdout.decode(errors="replace")
        if ok:
            assert done.returncode == 0, f"{args}\n{text}\n{done.stderr.decode(errors='replace')}"
            return text
        return done.returncode, text + done.stderr.decode(errors="replace")
    return call


@pytest.fixture
def tree(tmp_path):
    """A directory of files of many sizes and names."""
    import random
    rng = random.Random(1)
    root = tmp_path / "tree"
    sizes = {"empty": 0, "one": 1, "small.txt": 1000, "a b/c+d&e.txt": 5000, "ünï/cödé.bin": 70_000,
             "deep/er/and/deeper": 300_000, "big.bin": 20 << 20, "percent%20.txt": 10}
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size))
    return root


def same(left, right):
    a = {p.relative_to(left): p.read_bytes() for p in left.rglob("*") if p.is_file()}
    b = {p.relative_to(right): p.read_bytes() for p in right.rglob("*") if p.is_file()}
    assert sorted(a) == sorted(b)
    for name, content in a.items():
        assert content == b[name], name
