"""The managed networks of a guest that moves: what is found of them before, and what the verbs of both hosts do."""

from dataclasses import replace

import pytest

from common.migration import (
    DestinationFacts,
    GuestTraits,
    PostDestArguments,
    PostSourceArguments,
    PreArguments,
    RollbackArguments,
)
from common.network_views import HostNetworks
from common.states import Result, Verb
from common.transfer import Declarations
from compute_agent import checks
from compute_agent.checks.managed_networks import check_managed_networks
from compute_agent.link_making import BRIDGE
from compute_agent.network_settings import NetworkSettings
from tests.fakes.domain import guest_xml
from tests.fakes.host import Hosts
from tests.fakes.network_host import ADDRESS, BLUE, RED, interface_in

DECLARED = Declarations(networks=(RED,))
RED_LINKS = {"br-red", "vxlan4242"}
TRAITS = GuestTraits(is_persistent=True, has_autostart=False, is_paused=False)


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path, networks=NetworkSettings(vtep_address=ADDRESS))
    hosts.uuid = hosts.source.hypervisor.add_guest(guest_xml("web1", devices=interface_in("br-red"))).uuid
    for host in (hosts.source, hosts.dest):
        host.links.add("eth0")
        host.links.addresses[ADDRESS] = "eth0"
        host.conductor.networks = HostNetworks(networks=(RED,))
        host.core.networks.pull()
    yield hosts
    hosts.stop()


def made(host):
    return {link.name for link in host.links.all()} - {"eth0"}


def prepare(hosts, epoch=3):
    return hosts.dest.do(hosts.command(Verb.PRE, epoch, PreArguments(name="web1", declared=DECLARED)))


# ---- what is found before


def found(hosts, *networks, settings=None, mtu=None):
    hypervisor = hosts.dest.hypervisor
    guest = hosts.source.hypervisor.guest_facts(hosts.uuid)
    look = checks.DestLook(
        hypervisor=hypervisor,
        network=hosts.world.network,
        links=hosts.dest.links,
        settings=replace(hosts.dest.settings, networks=settings or NetworkSettings(vtep_address=ADDRESS)),
        instance=hosts.uuid,
        guest=replace(guest, interfaces=tuple(replace(each, mtu=mtu) for each in guest.interfaces)),
        dest=hypervisor.host_facts(),
        source=None,
        source_host="compute1",
        declared=Declarations(networks=networks),
    )
    return {finding.code: finding.sentence for finding in check_managed_networks(look)}


def test_a_network_that_can_be_made_is_no_finding_and_neither_is_one_that_stands(hosts):
    assert found(hosts, RED) == {}
    assert made(hosts.dest) == set()
    prepare(hosts)
    assert found(hosts, RED) == {}


def test_what_the_host_lacks_is_told_of_each_network(hosts):
    sentences = found(hosts, RED, settings=NetworkSettings())
    assert "vtep_address is not set here" in sentences["network_unusable"]
    assert "there is no device data here" in found(hosts, BLUE)["network_unusable"]


def test_a_bridge_that_somebody_made_is_a_warning(hosts):
    hosts.dest.links.add("br-red", BRIDGE)
    assert "did not make" in found(hosts, RED)["network_not_ours"]


def test_an_interface_with_larger_packets_than_the_network_takes_is_told(hosts):
    assert "has an MTU of 9000" in found(hosts, RED, mtu=9000)["network_mtu_smaller"]
    assert found(hosts, RED, mtu=1450) == {}


def test_a_bridge_that_is_called_otherwise_here_needs_no_network(hosts):
    mapped = NetworkSettings(bridge_mappings={"br-red": "br0"})
    assert found(hosts, RED, settings=mapped) == {}


# ---- what the verbs do


def test_the_network_stands_before_the_guest_is_let_in_and_goes_with_the_roll_back(hosts):
    assert prepare(hosts).result is Result.OK
    assert made(hosts.dest) == RED_LINKS

    undone = hosts.dest.do(hosts.command(Verb.ROLLBACK, 4, RollbackArguments(name="web1")))

    assert (undone.result, undone.detail) == (
        Result.OK,
        "network red was removed: no guest here needs it any more",
    )
    assert made(hosts.dest) == set()


def test_the_roll_back_leaves_what_stood_before(hosts):
    hosts.dest.hypervisor.add_guest(guest_xml("db1", devices=interface_in("br-red")), is_running=False)
    hosts.dest.core.networks.settle()
    before = hosts.dest.links.all()

    prepare(hosts)
    hosts.dest.do(hosts.command(Verb.ROLLBACK, 4, RollbackArguments(name="web1")))

    assert hosts.dest.links.all() == before


def test_a_network_that_cannot_be_made_stops_the_migration_before_anything_moves(hosts):
    hosts.dest.links.make_fails_for = "br-red"

    outcome = prepare(hosts)

    assert outcome.result is Result.ERROR
    assert "Network red cannot stand here: No buffer space available" in outcome.detail
    hosts.dest.do(hosts.command(Verb.ROLLBACK, 4, RollbackArguments(name="web1")))
    assert made(hosts.dest) == set()


def test_a_roll_back_by_the_next_agent_undoes_it_too(hosts):
    prepare(hosts)
    hosts.dest.restart()
    hosts.dest.core.networks.pull()
    assert made(hosts.dest) == RED_LINKS

    hosts.dest.do(hosts.command(Verb.ROLLBACK, 4, RollbackArguments(name="web1")))
    assert made(hosts.dest) == set()


def test_a_guest_that_has_arrived_keeps_its_network_and_the_source_lets_go_of_it(hosts):
    hosts.source.core.networks.settle()
    assert made(hosts.source) == RED_LINKS
    prepare(hosts)
    xml = hosts.source.hypervisor.domains[hosts.uuid].live_xml
    hosts.dest.hypervisor.add_guest(xml)

    arrived = hosts.dest.do(
        hosts.command(Verb.POST_DEST, 5, PostDestArguments(name="web1", traits=TRAITS, declared=DECLARED))
    )
    assert arrived.result is Result.RUNNING
    assert made(hosts.dest) == RED_LINKS
    assert list(hosts.dest.core.arrivals.all()) == []

    hosts.source.hypervisor.destroy(hosts.uuid)
    hosts.source.hypervisor.undefine(hosts.uuid)
    arguments = PostSourceArguments(
        name="web1", dest_facts=DestinationFacts(connect_address="compute2"), declared=DECLARED
    )
    released = hosts.source.do(hosts.command(Verb.POST_SOURCE, 6, arguments))
    assert released.result is Result.OK
    assert "network red was removed" in released.detail
    assert made(hosts.source) == set()
