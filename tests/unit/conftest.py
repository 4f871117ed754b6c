"""What the tests of single parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.host import Hosts


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts in one world, with a guest on the first."""
    hosts = Hosts(tmp_path)
    hosts.add_guest()
    yield hosts
    hosts.stop()
