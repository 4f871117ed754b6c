"""Managed networks, over the bus: declared by administrators, told to agents, and put into migrations that need them."""

from dataclasses import replace

import pytest

from client.exit_codes import ExitCode
from common.errors import (
    HostNotFoundError,
    InvalidRequestError,
    NetworkExistsError,
    NetworkInUseError,
    NetworkNotFoundError,
    NotPermittedError,
)
from common.facts import InterfaceFacts
from common.network_views import NetworkKind, NetworkRequest
from common.states import Verb
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import GUEST
from tests.fakes.limosa import Run

RED = NetworkRequest(name="red", kind=NetworkKind.VXLAN, segment=4242, bridge="br-red")
BLUE = NetworkRequest(name="blue", kind=NetworkKind.VLAN, segment=100, bridge="br-blue", physical="eth1")
IN_RED = InterfaceFacts(mac="52:54:00:00:00:01", type="bridge", source="br-red")


@pytest.fixture
def limosa(cluster):
    return lambda *argv: Run(lambda files: cluster.api, *argv)


def put_web1_into_red(cluster):
    cluster.source.guests[GUEST] = guest_facts(GUEST, interfaces=(IN_RED,))
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_network("red").guests == ("web1",))


def test_a_network_is_declared_shown_and_deleted(cluster):
    made = cluster.api.create_network(RED)

    assert (made.kind, made.segment, made.bridge, made.mtu, made.port) == (
        NetworkKind.VXLAN, 4242, "br-red", 1450, 4789,
    )  # fmt: skip
    assert (made.attached, made.hosts, made.problems) == ((), (), ())
    cluster.api.create_network(BLUE)
    assert [view.name for view in cluster.api.list_networks()] == ["blue", "red"]
    assert cluster.api.show_network("red") == replace(made, guests=())

    assert cluster.api.delete_network("red").name == "red"
    assert [view.name for view in cluster.api.list_networks()] == ["blue"]
    with pytest.raises(NetworkNotFoundError, match="There is no network red"):
        cluster.api.show_network("red")


def test_declared_twice_alike_is_declared_once(cluster):
    assert cluster.api.create_network(RED) == cluster.api.create_network(RED)
    with pytest.raises(NetworkExistsError, match="Network red has the name red already"):
        cluster.api.create_network(replace(RED, mtu=1400))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(RED, name="crimson", segment=1), "the bridge br-red"),
        (replace(RED, name="crimson", bridge="br-crimson", port=8472), "VNI 4242"),
        (replace(BLUE, name="navy", bridge="br-navy"), "VLAN 100 on eth1"),
    ],
)
def test_no_two_networks_share_a_bridge_or_a_segment(cluster, other, said):
    cluster.api.create_network(RED)
    cluster.api.create_network(BLUE)

    with pytest.raises(NetworkExistsError, match=f"has {said} already"):
        cluster.api.create_network(other)

    cluster.api.create_network(replace(BLUE, name="navy", bridge="br-navy", physical="eth2"))
    assert len(cluster.api.list_networks()) == 3


def test_what_makes_no_sense_is_refused_and_changes_nothing(cluster):
    with pytest.raises(InvalidRequestError, match="A VNI is between"):
        cluster.api.create_network(replace(RED, segment=0))
    assert cluster.api.list_networks() == ()


def test_a_network_in_use_is_not_deleted(cluster):
    cluster.api.create_network(RED)
    put_web1_into_red(cluster)

    with pytest.raises(NetworkInUseError, match="guests are in it: web1"):
        cluster.api.delete_network("red")

    cluster.source.guests[GUEST] = guest_facts(GUEST)
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_network("red").guests == ())
    cluster.api.attach_network("red", "compute2")
    with pytest.raises(NetworkInUseError, match="it is attached to: compute2"):
        cluster.api.delete_network("red")

    cluster.api.detach_network("red", "compute2")
    cluster.api.delete_network("red")


def test_a_network_is_attached_to_hosts_that_exist(cluster):
    cluster.api.create_network(RED)

    assert cluster.api.attach_network("red", "compute2").attached == ("compute2",)
    assert cluster.api.attach_network("red", "compute2").attached == ("compute2",)
    with pytest.raises(HostNotFoundError, match="compute9"):
        cluster.api.attach_network("red", "compute9")
    with pytest.raises(NetworkNotFoundError, match="green"):
        cluster.api.attach_network("green", "compute2")

    assert cluster.api.detach_network("red", "compute2").attached == ()
    assert cluster.api.detach_network("red", "compute2").attached == ()


# ---- what agents are told, and tell


def test_each_host_is_told_the_networks_its_attachments_and_the_others_tunnel_addresses(cluster):
    for agent, address in ((cluster.source, "10.77.0.11"), (cluster.dest, "10.77.0.12")):
        agent.facts = replace(agent.facts, vtep_address=address)
        agent.report()
    cluster.api.create_network(RED)
    cluster.api.attach_network("red", "compute2")
    cluster.conductor.network_news.spread()

    cluster.until(lambda: cluster.dest.networks.vteps == ("10.77.0.11",))
    told = cluster.dest.networks
    assert [(network.name, network.properties) for network in told.networks] == [("red", {"port": "4789"})]
    assert told.attached == ("red",)
    cluster.until(lambda: cluster.source.networks.vteps == ("10.77.0.12",))
    assert cluster.source.networks.attached == ()


def test_hosts_are_told_when_another_gets_a_tunnel_address_and_not_with_every_report(cluster):
    cluster.dest.facts = replace(cluster.dest.facts, vtep_address="10.77.0.12")
    cluster.dest.report()
    cluster.until(lambda: cluster.conductor.network_news.is_due)
    cluster.conductor.network_news.spread()
    cluster.until(lambda: cluster.source.networks.vteps == ("10.77.0.12",))

    cluster.dest.report()
    cluster.dest.guests[GUEST] = guest_facts(GUEST)  # to see that the report has been read
    cluster.dest.report()
    cluster.until(lambda: cluster.api.show_instance("web1").conflict != ())

    assert not cluster.conductor.network_news.is_due


def test_a_host_is_not_told_what_is_anothers(cluster):
    with pytest.raises(NotPermittedError, match="speak for compute2"):
        cluster.source.conductor.networks_of_host("compute2")


def test_where_it_stands_and_what_keeps_it_away_is_what_the_agents_report(cluster):
    cluster.api.create_network(RED)
    cluster.dest.facts = replace(cluster.dest.facts, networks=("red",))
    cluster.source.facts = replace(
        cluster.source.facts, network_problems=(("red", "there is no device eth1"),)
    )
    cluster.dest.report()
    cluster.source.report()

    cluster.until(lambda: cluster.api.show_network("red").hosts == ("compute2",))
    cluster.until(lambda: cluster.api.show_network("red").problems == ("compute1: there is no device eth1",))


# ---- migrations


def test_a_migration_carries_the_networks_that_its_guest_needs_and_no_others(cluster):
    cluster.api.create_network(RED)
    cluster.api.create_network(BLUE)
    put_web1_into_red(cluster)

    cluster.end_of(cluster.migrate())

    for agent, verb in (
        (cluster.dest, Verb.PRE),
        (cluster.dest, Verb.POST_DEST),
        (cluster.source, Verb.POST_SOURCE),
    ):
        (command,) = [command for command in agent.commands if command.verb is verb]
        (network,) = command.arguments.declared.networks
        assert (network.name, network.bridge, network.segment, network.mtu) == ("red", "br-red", 4242, 1450)


# ---- the command


def test_the_command_declares_attaches_shows_and_deletes(limosa):
    made = limosa(
        "network", "create", "red", "--kind", "vxlan", "--segment", "4242", "--bridge", "br-red",
        "--group", "239.1.2.3", "-f", "json",
    )  # fmt: skip
    assert made.code == 0
    assert (made.json["segment"], made.json["mtu"], made.json["group"]) == (4242, 1450, "239.1.2.3")

    assert limosa("network", "attach", "red", "compute2", "-f", "json").json["attached"] == ["compute2"]
    assert "compute2" in limosa("network", "show", "red").stdout
    assert "br-red" in limosa("network", "list").stdout
    assert limosa("network", "detach", "red", "compute2").code == 0
    assert limosa("network", "delete", "red").code == 0
    assert limosa("network", "list", "-f", "json").json == []


@pytest.mark.parametrize(
    "argv",
    [
        ("create", "red", "--kind", "gre", "--segment", "1", "--bridge", "br-red"),
        ("create", "red", "--kind", "vlan", "--segment", "x", "--bridge", "br-red"),
        ("create", "", "--kind", "vlan", "--segment", "1", "--bridge", "br-red"),
        ("create", "red", "--kind", "vlan", "--segment", "1", "--bridge", "br-red"),
    ],
)
def test_the_command_ends_as_a_wrong_usage_for_what_makes_no_sense(limosa, argv):
    assert limosa("network", *argv).code == ExitCode.USAGE
    assert limosa("network", "list", "-f", "json").json == []


def test_the_command_says_which_network_does_not_exist(limosa):
    shown = limosa("network", "show", "green")
    assert (shown.code, shown.stderr.splitlines()[0]) == (ExitCode.NOT_FOUND, "There is no network green.")
    assert limosa("network", "attach", "green", "compute1").code == ExitCode.NOT_FOUND
