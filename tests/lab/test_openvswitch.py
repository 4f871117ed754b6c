"""A guest behind Open vSwitch moves, and is seen to be reached, as one in a bridge of the kernel's does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import network, openvswitch
from lab.lab import Lab
from tests.lab import observer

NAME = "behind-ovs"
PLAIN = f"<source bridge='{network.GUEST_BRIDGE}'/>"
XML = Path("/run/behind-ovs.xml")


@pytest.fixture
def guest(lab: Lab) -> Iterator[str]:
    """Started anew in a bridge of Open vSwitch on compute1; returns its boot id. compute2 has none yet."""
    openvswitch.start(lab.host("compute1"))
    lab.guest_create(NAME, "compute1")
    lab.virsh("compute1", "destroy", NAME)
    xml = lab.virsh("compute1", "dumpxml", "--inactive", NAME).replace(PLAIN, openvswitch.INTERFACE_SOURCE)
    lab.host("compute1").seen_from_outside(XML).write_text(xml)
    lab.virsh("compute1", "define", str(XML))
    lab.virsh("compute1", "start", NAME)
    first = lab.probe(NAME, timeout_s=60)
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


def test_it_is_refused_without_a_bridge_there_and_moves_there_and_back_with_one(lab: Lab, guest: str) -> None:
    refused = lab.limosa("live-migration", NAME, "compute2", check=False)
    assert refused.returncode == 4
    assert f"is in the bridge {openvswitch.BRIDGE}, which compute2 does not have" in refused.stderr

    openvswitch.start(lab.host("compute2"))
    with lab.connection(NAME) as connection:
        for dest in ("compute2", "compute1"):
            shown = observer.migrate(lab, NAME, dest)
            story = lab.limosa("migration", "log", shown["id"]).stdout
            assert (shown["status"], shown["network_verified"]) == ("completed", True), story
            assert shown["network_gap_ms"] > 0

    assert connection.report.has_survived, connection.report
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=guest)
