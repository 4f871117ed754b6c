"""A dest prepares all that a guest has with it beside each other: as fast as the slowest, whatever number there is of it."""

import threading

import pytest

from common.migration import PreArguments, RollbackArguments
from common.states import Result, Verb
from common.transfer import Declarations, ManagedNetwork, TransferPlan, VolumeConnection
from compute_agent import belongings
from compute_agent.network_settings import NetworkSettings
from compute_agent.volume_settings import VolumeSettings
from tests.fakes.host import Hosts

VOLUMES, NETWORKS = 8, 4
WAIT_S = 20.0
ADDRESS = "10.77.0.12"
ALL_AT_ONCE = VOLUMES + NETWORKS


class MeetingGrants:
    """Nobody is let in before all are there."""

    def __init__(self, meeting: threading.Barrier) -> None:
        self._meeting = meeting

    def concerns(self, access) -> bool:
        return True

    def grant(self, access) -> bool:
        self._meeting.wait(WAIT_S)
        return True

    def withdraw(self, access) -> None:
        return


@pytest.fixture
def meeting():
    """Passed when all of them are under way at the same time; broken, if one waits for the end of another."""
    return threading.Barrier(ALL_AT_ONCE)


@pytest.fixture
def hosts(tmp_path, meeting, monkeypatch):
    monkeypatch.setattr(belongings, "driver_of", lambda _settings: MeetingGrants(meeting))
    hosts = Hosts(
        tmp_path,
        networks=NetworkSettings(vtep_address=ADDRESS),
        volumes=VolumeSettings(initiator="iqn.2026-01.example:compute2"),
    )
    hosts.add_guest()
    links = hosts.dest.links
    links.add("eth0")
    links.addresses[ADDRESS] = "eth0"
    make = links.make

    def meet_and_make(wanted):
        if wanted.kind == "vxlan":
            meeting.wait(WAIT_S)
        make(wanted)

    links.make = meet_and_make
    yield hosts
    hosts.stop()


def arguments():
    volumes = tuple(
        VolumeConnection(
            target=f"vd{chr(ord('b') + number)}",
            driver="iscsi",
            name=f"iqn.2026-01.example:{number}/1",
            servers=("controller:3260",),
            initiator=f"iqn.2026-01.example:compute1-{number}",
        )
        for number in range(VOLUMES)
    )
    networks = tuple(
        ManagedNetwork(
            name=f"red{number}",
            kind="vxlan",
            bridge=f"br-red{number}",
            segment=number + 1,
            mtu=1450,
            properties={"port": "4789"},
        )
        for number in range(NETWORKS)
    )
    return PreArguments(
        name="web1", plan=TransferPlan(volumes=volumes), declared=Declarations(networks=networks)
    )


def test_eight_volumes_and_four_networks_are_prepared_at_once(hosts, meeting):
    prepared = hosts.dest.do(hosts.command(Verb.PRE, 3, arguments()))

    assert prepared.result is Result.OK, prepared.detail
    assert not meeting.broken

    undone = hosts.dest.do(hosts.command(Verb.ROLLBACK, 4, RollbackArguments(name="web1")))
    assert undone.result is Result.OK, undone.detail
    assert list(hosts.dest.core.arrivals.all()) == []
