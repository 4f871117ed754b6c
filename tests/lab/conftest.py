"""One lab of two hosts for all tests of this directory: real libvirtd, QEMU and RabbitMQ."""

import os
from collections.abc import Iterator

import pytest

from lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab with its services; it ends with this process, however that ends."""
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        yield lab
    finally:
        Lab.down()


@pytest.fixture
def guest_name(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for a guest of this test, which is deleted afterwards wherever it is then."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:24].strip("-")
    try:
        yield name
    finally:
        lab.guest_delete(name)
