import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from hamster_process import BINARY, Hamster  # noqa: E402


def pytest_configure():
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is missing: run `make build` first", returncode=3)


@pytest.fixture(scope="module")
def hamster():
    with Hamster() as node:
        yield node


@pytest.fixture
def fresh():
    with Hamster() as node:
        yield node
