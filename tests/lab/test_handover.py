"""That a guest's network follows it, and that one which could not is refused before anything moves."""

import json
from collections.abc import Iterator

import pytest

from lab import network
from lab.faults import Victim
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

NAME = "web"
OTHER_BRIDGE = "br-else"


@pytest.fixture
def guest(lab: Lab) -> Iterator[str]:
    """On compute1; returns its boot id."""
    first = lab.guest_create(NAME, "compute1")
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


@pytest.fixture
def other_bridge(lab: Lab) -> Iterator[None]:
    """One on compute1 that compute2 does not have, with a guest in it."""
    ip(lab, "compute1", "link", "add", OTHER_BRIDGE, "type", "bridge")
    ip(lab, "compute1", "link", "set", OTHER_BRIDGE, "up")
    yield
    lab.guest_delete(NAME)
    ip(lab, "compute1", "link", "del", OTHER_BRIDGE)


def ip(lab: Lab, host: str, *words: str) -> str:
    return lab.exec(host, ["ip", *words]).stdout


def port_of(lab: Lab, host: str, mac: str) -> str:
    """Through which port the host's bridge sends to this MAC."""
    entries = json.loads(lab.exec(host, ["bridge", "-j", "fdb", "show", "br", network.GUEST_BRIDGE]).stdout)
    return next((entry["ifname"] for entry in entries if entry["mac"] == mac), "")


def refusal(lab: Lab, dest: str) -> str:
    refused = lab.limosa("live-migration", NAME, dest, check=False)
    assert refused.returncode == 4, refused.stderr
    assert observer.residue(lab) == observer.NOTHING
    return refused.stderr


def test_a_connection_survives_there_and_back_and_both_hosts_see_it_followed(lab: Lab, guest: str) -> None:
    mac = network.guest_mac(network.FIRST_GUEST_NUMBER)
    with lab.connection(NAME) as connection:
        for dest, source in (("compute2", "compute1"), ("compute1", "compute2")):
            shown = observer.migrate(lab, NAME, dest)
            story = lab.limosa("migration", "log", shown["id"]).stdout
            assert (shown["status"], shown["network_verified"]) == ("completed", True), story
            assert shown["network_gap_ms"] > 0
            assert port_of(lab, dest, mac).startswith("vnet")
            assert port_of(lab, source, mac) == "data"
            assert f"its network finds the guest on {dest} after {shown['network_gap_ms']} ms" in story

    assert connection.report.has_survived, connection.report
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=guest)


def test_a_guest_that_says_nothing_is_told_as_not_verified_unless_its_address_is_declared(
    lab: Lab, guest: str
) -> None:
    shown = observer.migrate(lab, NAME, "compute2")

    assert (shown["status"], shown["network_verified"], shown["network_gap_ms"]) == ("completed", False, None)
    assert "was not asked" in lab.limosa("migration", "log", shown["id"]).stdout

    mac = network.guest_mac(network.FIRST_GUEST_NUMBER)
    lab.limosa("port", "set", NAME, mac, "--address", network.guest_address(network.FIRST_GUEST_NUMBER))
    shown = observer.migrate(lab, NAME, "compute1")
    story = lab.limosa("migration", "log", shown["id"]).stdout
    assert (shown["status"], shown["network_verified"]) == ("completed", True), story
    lab.limosa("port", "unset", NAME, mac)
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=guest)


def test_a_bridge_that_the_dest_lacks_is_refused_until_it_is_said_what_it_is_called(
    lab: Lab, other_bridge: None
) -> None:
    interface = (
        f"<interface type='bridge'><source bridge='{OTHER_BRIDGE}'/><model type='virtio'/></interface>"
    )
    first = lab.guest_create(NAME, "compute1", GuestOptions(devices=interface))
    observer.wait_until_found(lab, NAME)
    assert f"is in the bridge {OTHER_BRIDGE}, which compute2 does not have" in refusal(lab, "compute2")

    restart_with(lab, "compute2", f"{OTHER_BRIDGE}:{network.GUEST_BRIDGE}")
    try:
        assert observer.migrate(lab, NAME, "compute2")["status"] == "completed"
        interfaces = lab.virsh("compute2", "domiflist", NAME)
        inactive = lab.virsh("compute2", "domiflist", "--inactive", NAME)
    finally:
        restart_with(lab, "compute2", "")

    assert OTHER_BRIDGE not in interfaces + inactive
    assert interfaces.count(network.GUEST_BRIDGE) == inactive.count(network.GUEST_BRIDGE) == 2
    observer.assert_one_guest(lab, NAME, host="compute2", boot_id=first.boot_id)


def test_a_bridge_that_would_swallow_large_packets_is_refused(lab: Lab, guest: str) -> None:
    ip(lab, "compute2", "link", "set", network.GUEST_BRIDGE, "mtu", "1400")
    try:
        assert "sends packets of up to 1500 bytes, and its bridge on compute2 takes 1400" in refusal(
            lab, "compute2"
        )
    finally:
        ip(lab, "compute2", "link", "set", network.GUEST_BRIDGE, "mtu", "1500")
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=guest)


def restart_with(lab: Lab, host: str, mappings: str) -> None:
    lab.write_config(host, {"network.bridge_mappings": mappings})
    lab.stop(Victim.AGENT, host_name=host)
    lab.start(Victim.AGENT, host_name=host)
    lab.wait_until_agents_are_up()
