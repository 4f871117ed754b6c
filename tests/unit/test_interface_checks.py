"""What a guest's interfaces are connected to, compared on both hosts."""

from dataclasses import replace

import pytest

from common.checks import Severity
from common.facts import InterfaceFacts
from common.migration import DestinationFacts
from common.transfer import Declarations, ManagedNetwork
from compute_agent import checks
from compute_agent.checks import interfaces, resources
from compute_agent.definitions import facts_of
from compute_agent.network_settings import NetworkSettings
from tests.fakes.host import MIGRATION, Hosts

MAC = "52:54:00:4c:00:64"
PLAIN = InterfaceFacts(mac=MAC, type="bridge", source="br-lan", tap="vnet3")
XML = f"""
    <interface type='bridge'><mac address='{MAC}'/><source bridge='br-lan'/><target dev='vnet3'/></interface>"""
OF_NETWORK = InterfaceFacts(mac=MAC, type="network", source="virbr0", network="lan", tap="vnet3")
OPEN_VSWITCH = replace(PLAIN, virtualport="openvswitch")


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    hosts.add_guest(devices=XML)
    yield hosts
    hosts.stop()


@pytest.fixture
def links(hosts):
    return hosts.dest.links


def dest_look(hosts, *found, declared=None, names=None):
    hypervisor = hosts.dest.hypervisor
    return checks.DestLook(
        hypervisor=hypervisor,
        network=hosts.world.network,
        links=hosts.dest.links,
        settings=replace(hosts.dest.settings, networks=names or NetworkSettings()),
        instance=hosts.uuid,
        guest=replace(hosts.source.hypervisor.guest_facts(hosts.uuid), interfaces=found),
        dest=hypervisor.host_facts(),
        source=None,
        source_host="compute1",
        declared=declared or Declarations(),
    )


def source_look(hosts, *mtus):
    hypervisor = hosts.source.hypervisor
    definition = hypervisor.definition(hosts.uuid)
    return checks.SourceLook(
        hypervisor=hypervisor,
        network=hosts.world.network,
        links=hosts.source.links,
        settings=hosts.source.settings,
        instance=hosts.uuid,
        guest=facts_of(definition),
        definition=definition,
        observed=hosts.source.core.observation.source(hosts.uuid, MIGRATION),
        source=hypervisor.host_facts(),
        reach=DestinationFacts(connect_address="compute2", host="compute2", mtus=mtus),
        dest=None,
        dest_host="compute2",
    )


# ---- on the dest


def test_a_bridge_that_is_missing_is_told_with_those_that_are_there(hosts, links):
    links.add_bridge("br-data", uplink="eth0")

    [finding] = interfaces.check_interfaces(dest_look(hosts, PLAIN))

    assert finding.code == "bridge_missing"
    assert finding.sentence == (
        f"An interface of web1 ({MAC}) is in the bridge br-lan, which compute2 does not have."
    )
    assert "It has: br-data." in finding.hint


def test_a_bridge_of_the_same_name_is_found(hosts, links):
    links.add_bridge("br-lan", uplink="eth0")

    assert list(interfaces.check_interfaces(dest_look(hosts, PLAIN))) == []


def test_a_bridge_is_found_by_what_it_is_called_here(hosts, links):
    links.add_bridge("br0", uplink="eth0")
    names = NetworkSettings(bridge_mappings={"br-lan": "br0"})

    assert list(interfaces.check_interfaces(dest_look(hosts, PLAIN, names=names))) == []
    assert [each.evidence["bridge"] for each in interfaces.check_interfaces(dest_look(hosts, PLAIN))] == [
        "br-lan"
    ]


def test_a_bridge_that_is_made_before_the_guest_comes_is_not_missing(hosts):
    network = ManagedNetwork(name="blue", kind="vxlan", bridge="br-lan", segment=42, mtu=1450)

    assert (
        list(interfaces.check_interfaces(dest_look(hosts, PLAIN, declared=Declarations(networks=(network,)))))
        == []
    )


@pytest.mark.parametrize(
    ("interface", "kind", "is_fit"),
    [
        (PLAIN, "bridge", True),
        (PLAIN, "", False),
        (PLAIN, "openvswitch", False),
        (OPEN_VSWITCH, "openvswitch", True),
        (OPEN_VSWITCH, "tun", True),
        (OPEN_VSWITCH, "bridge", False),
    ],
)
def test_a_link_of_another_kind_is_no_bridge(hosts, links, interface, kind, is_fit):
    links.add("br-lan", kind)

    found = list(interfaces.check_interfaces(dest_look(hosts, interface)))

    assert [finding.code for finding in found] == ([] if is_fit else ["link_unfit"])


def test_an_mtu_of_the_guest_that_the_bridge_does_not_take_refuses(hosts, links):
    links.add_bridge("br-lan", uplink="eth0", mtu=1500)
    [finding] = interfaces.check_interfaces(dest_look(hosts, replace(PLAIN, mtu=9000)))

    assert (finding.code, finding.evidence["needed"], finding.evidence["mtu"]) == (
        "mtu_smaller",
        "9000",
        "1500",
    )


def test_the_bridge_of_a_network_is_looked_at_by_the_name_that_the_network_has_here(hosts, links):
    dest = hosts.dest.hypervisor
    dest.networks["office"], dest.bridges["office"] = True, "br7"
    names = NetworkSettings(network_mappings={"lan": "office"})
    look = dest_look(hosts, OF_NETWORK, names=names)
    look = replace(look, guest=replace(look.guest, networks=("lan",)))

    assert [finding.evidence["bridge"] for finding in interfaces.check_interfaces(look)] == ["br7"]
    assert list(resources.check_resources(look)) == []
    links.add_bridge("br7", uplink="eth0", mtu=1400)
    assert list(interfaces.check_interfaces(look)) == []
    assert interfaces.mtus(interfaces.place_of(look), (OF_NETWORK,)) == ((MAC, 1400),)


def test_a_network_without_a_bridge_is_nothing_to_look_at(hosts):
    hosts.dest.hypervisor.networks["lan"] = True

    assert list(interfaces.check_interfaces(dest_look(hosts, OF_NETWORK))) == []


def test_the_device_below_a_macvtap_must_be_there(hosts, links):
    direct = replace(PLAIN, type="direct", source="eth1")
    assert [finding.code for finding in interfaces.check_interfaces(dest_look(hosts, direct))] == [
        "parent_missing"
    ]

    links.add("eth1")
    assert list(interfaces.check_interfaces(dest_look(hosts, direct))) == []


def test_a_guest_without_an_interface_asks_for_no_links(hosts, links):
    links.problem = "broken"

    assert list(interfaces.check_interfaces(dest_look(hosts))) == []


# ---- on the source


@pytest.mark.parametrize(("there", "codes"), [(1500, []), (9000, []), (1400, ["mtu_smaller"])])
def test_the_tap_here_is_compared_with_the_bridge_there(hosts, there, codes):
    hosts.source.links.add_bridge("br-lan", uplink="eth0")
    hosts.source.links.add_tap("vnet3", bridge="br-lan")

    found = list(interfaces.check_mtus(source_look(hosts, (MAC, there))))

    assert [finding.code for finding in found] == codes
    assert [finding.host for finding in found] == ["compute2"] * len(codes)


def test_a_dest_that_tells_no_mtu_is_not_compared(hosts):
    hosts.source.links.problem = "broken"

    assert list(interfaces.check_mtus(source_look(hosts))) == []


def test_links_that_cannot_be_looked_at_on_the_source_are_warned_of(hosts):
    hosts.source.links.problem = "broken"

    [finding] = interfaces.check_mtus(source_look(hosts, (MAC, 1500)))

    assert (finding.code, finding.severity) == ("mtu_unknown", Severity.WARNS)
