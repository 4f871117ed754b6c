"""On the dest: whether a guest with security groups can be filtered there."""

from dataclasses import replace

import pytest

from common.checks import Severity
from common.facts import InterfaceFacts
from common.transfer import Declarations, Filtering, PortRules
from compute_agent import checks
from compute_agent.checks import filtering
from compute_agent.firewall.settings import FirewallSettings

MAC = "52:54:00:00:00:01"
TAP = InterfaceFacts(mac=MAC, type="bridge", source="br0", tap="vnet0")
PORT = PortRules(mac=MAC, groups=("web",), addresses=("192.0.2.1",))


@pytest.fixture
def found(hosts, monkeypatch):
    """What is found against a guest with this interface and these ports, by a driver with these problems."""

    def find(*ports: PortRules, interface: InterfaceFacts = TAP, problems: tuple[str, ...] = ()):
        monkeypatch.setattr(
            "compute_agent.firewall.nftables.NftablesDriver.problems", lambda _self, _filtering: problems
        )
        guest = hosts.source.hypervisor.guest_facts(hosts.uuid)
        look = checks.DestLook(
            hypervisor=hosts.dest.hypervisor,
            network=hosts.world.network,
            links=hosts.dest.links,
            settings=replace(hosts.dest.settings, firewall=FirewallSettings(driver="nftables")),
            instance=hosts.uuid,
            guest=replace(guest, interfaces=(interface,)),
            dest=hosts.dest.hypervisor.host_facts(),
            source=None,
            source_host="compute1",
            declared=Declarations(filtering=Filtering(revision=1, ports=ports)),
        )
        return list(filtering.check_filtering(look))

    return find


def test_a_guest_without_groups_is_not_looked_at(found):
    assert found(interface=replace(TAP, type="hostdev"), problems=("nothing works here",)) == []


def test_a_guest_on_a_bridge_can_be_filtered(found):
    assert found(PORT) == []


def test_a_host_that_cannot_filter_is_told_with_each_reason(found):
    findings = found(PORT, problems=("nft is missing", "br_netfilter is off"))

    assert [(each.code, each.evidence["reason"]) for each in findings] == [
        ("firewall_unfit", "nft is missing"),
        ("firewall_unfit", "br_netfilter is off"),
    ]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"virtualport": "openvswitch"}, "openvswitch"),
        ({"type": "direct"}, "direct"),
        ({"type": "hostdev"}, "hostdev"),
    ],
)
def test_an_interface_that_goes_past_the_firewall_refuses(found, change, kind):
    [finding] = found(PORT, interface=replace(TAP, **change))

    assert (finding.code, finding.evidence["type"]) == ("interface_not_filterable", kind)


def test_a_tap_that_no_rule_can_name_refuses(found):
    [finding] = found(PORT, interface=replace(TAP, tap='web"0'))

    assert finding.code == "firewall_unfit"


def test_without_addresses_it_is_warned_that_connections_are_not_moved(found):
    [finding] = found(replace(PORT, addresses=()))

    assert (finding.code, finding.severity) == ("connections_not_moved", Severity.WARNS)


def test_groups_of_an_interface_that_is_not_there_are_no_reason(found):
    assert found(replace(PORT, mac="52:54:00:00:00:09")) == []
