"""What the tests of the services share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A conductor and two agents on one bus, with a guest on the first."""
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()
