"""One lab of two hosts for all tests of this directory: real libvirtd, QEMU and RabbitMQ."""

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from lab import Lab
from lab.volumes import VolumeServers

FAKES = "tests.fakes"


class _NoFakes(MetaPathFinder):
    """Refuses to import any fake: what is shown here is shown on the real thing."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == FAKES or fullname.startswith(f"{FAKES}."):
            raise ImportError(f"{fullname} has no place in the lab's tests")
        return None


@pytest.fixture(scope="package", autouse=True)
def no_fakes() -> Iterator[None]:
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(FAKES)}
    finder = _NoFakes()
    sys.meta_path.insert(0, finder)
    yield
    sys.meta_path.remove(finder)
    sys.modules.update(hidden)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab with its services; it ends with this process, however that ends."""
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        yield lab
    finally:
        Lab.down()


@pytest.fixture(scope="session")
def volume_servers(lab: Lab) -> VolumeServers:
    """Begun when the first volume is asked for, ended with the lab."""
    return VolumeServers(lab)


@pytest.fixture
def guest_name(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for a guest of this test, which is deleted afterwards wherever it is then."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:24].strip("-")
    try:
        yield name
    finally:
        lab.guest_delete(name)
