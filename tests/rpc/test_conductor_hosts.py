"""What the conductor answers about hosts, and how administrators enable and disable them, on the bus."""

import pytest

from common.errors import HostNotFoundError, InvalidRequestError
from common.states import HostState, ServiceStatus
from conductor.enabling import REASON_MAX_CHARS
from tests.fakes.cluster import Cluster


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def statuses(cluster):
    return {view.host: (view.status, view.disabled_reason) for view in cluster.api.list_services()}


# ---- enable and disable


def test_a_host_is_disabled_with_a_reason_and_enabled_again(cluster):
    disabled = cluster.api.disable_service("compute2", "new memory on Tuesday")

    assert (disabled.status, disabled.disabled_reason) == (ServiceStatus.DISABLED, "new memory on Tuesday")
    assert disabled.state is HostState.UP
    assert statuses(cluster) == {
        "controller": (ServiceStatus.ENABLED, None),
        "compute1": (ServiceStatus.ENABLED, None),
        "compute2": (ServiceStatus.DISABLED, "new memory on Tuesday"),
    }

    enabled = cluster.api.enable_service("compute2")

    assert (enabled.status, enabled.disabled_reason) == (ServiceStatus.ENABLED, None)
    assert cluster.api.enable_service("compute2").status is ServiceStatus.ENABLED  # again: no harm


def test_what_a_host_tells_of_itself_does_not_enable_it(cluster):
    cluster.api.disable_service("compute2", "a bad disk")

    cluster.dest.start_id, cluster.dest.sequence = "compute2-2", 0
    cluster.dest.report()
    cluster.dest.heartbeat()
    cluster.add_host("compute3")  # heard after them

    assert statuses(cluster)["compute2"] == (ServiceStatus.DISABLED, "a bad disk")


def test_an_unknown_host_is_neither_enabled_nor_disabled(cluster):
    before = statuses(cluster)

    with pytest.raises(HostNotFoundError, match="There is no host compute9"):
        cluster.api.disable_service("compute9", "gone")
    with pytest.raises(HostNotFoundError):
        cluster.api.enable_service("compute9")

    assert statuses(cluster) == before


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[2J", "x" * (REASON_MAX_CHARS + 1)])
def test_a_reason_must_be_one_readable_line(cluster, reason):
    with pytest.raises(InvalidRequestError, match="one line"):
        cluster.api.disable_service("compute2", reason)

    assert statuses(cluster)["compute2"] == (ServiceStatus.ENABLED, None)
