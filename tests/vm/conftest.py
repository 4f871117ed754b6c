"""One VM lab for all tests of this directory: three whole machines with systemd."""

import os
from collections.abc import Iterator

import pytest

from lab.vm import VmLab


@pytest.fixture(scope="session")
def vm_lab() -> Iterator[VmLab]:
    """The machines as an administrator finds them; they end with this process, however that ends."""
    lab = VmLab.up(owner_pid=os.getpid())
    try:
        yield lab
    finally:
        VmLab.down()
