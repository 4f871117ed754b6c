"""The driver nwfilter on a fake libvirtd."""

import pytest

from common.facts import InterfaceFacts
from common.transfer import Filtering, FilterRule, PortRules
from compute_agent.firewall import nwfilter_xml
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guests import FilteredGuest, filtered
from compute_agent.firewall.nwfilter import NwfilterDriver
from compute_agent.firewall.rule_text import RuleUnfitError
from tests.fakes.domain import guest_xml
from tests.fakes.hypervisor import FakeWorld

INSTANCE, OTHER = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5", "0b77af9f-482a-4f4c-85a2-71c2c1833cc5"
MAC, OTHER_MAC = "52:54:00:00:00:01", "52:54:00:00:00:02"
NAME = "limosa-525400000001"


@pytest.fixture
def hypervisor():
    return FakeWorld("compute1").hosts["compute1"]


@pytest.fixture
def driver(hypervisor):
    return NwfilterDriver(hypervisor)


def add_guest(hypervisor, uuid: str, mac: str, more: str = "") -> None:
    parts = f"<mac address='{mac}'/><source bridge='br0'/><target dev='vnet0'/>{more}"
    interface = f"<interface type='bridge'>{parts}</interface>"
    hypervisor.add_guest(guest_xml(uuid, uuid=uuid, devices=interface))


def guest(uuid: str = INSTANCE, mac: str = MAC, revision: int = 1) -> FilteredGuest:
    ports = (PortRules(mac=mac, groups=("web",)),)
    return filtered(
        uuid, Filtering(revision=revision, ports=ports), (InterfaceFacts(mac=mac, type="bridge"),)
    )


def filter_of(hypervisor, uuid: str) -> str:
    return hypervisor.guest_facts(uuid).interfaces[0].nwfilter


def test_a_guest_has_its_filter_and_a_free_one_none(hypervisor, driver):
    add_guest(hypervisor, INSTANCE, MAC)
    add_guest(hypervisor, OTHER, OTHER_MAC)

    driver.apply([guest(revision=7)])

    assert (filter_of(hypervisor, INSTANCE), filter_of(hypervisor, OTHER)) == (NAME, "")
    shown = driver.in_force(INSTANCE)
    assert (shown.driver, shown.revision, shown.ports[0].mac, shown.ports[0].tap) == (
        "nwfilter",
        7,
        MAC,
        "vnet0",
    )
    assert driver.in_force(OTHER).revision is None

    driver.apply([])
    assert (filter_of(hypervisor, INSTANCE), hypervisor.filter_xml) == ("", {})


def test_the_filter_of_a_guest_that_is_to_come_is_there_before_it(hypervisor, driver):
    driver.apply([guest()])

    assert list(hypervisor.filter_xml) == [NAME]


def test_a_filter_that_somebody_else_gave_stays_and_the_others_are_in_force(hypervisor, driver):
    add_guest(hypervisor, INSTANCE, MAC, "<filterref filter='clean-traffic'/>")
    add_guest(hypervisor, OTHER, OTHER_MAC)

    with pytest.raises(FirewallError, match="has a filter of its own, clean-traffic"):
        driver.apply([guest(), guest(OTHER, OTHER_MAC)])

    assert filter_of(hypervisor, INSTANCE) == "clean-traffic"
    assert filter_of(hypervisor, OTHER) == "limosa-525400000002"


def test_a_libvirtd_that_is_silent_is_told(hypervisor, driver):
    hypervisor.go_down()

    for ask in (lambda: driver.apply([guest()]), lambda: driver.in_force(INSTANCE)):
        with pytest.raises(FirewallError):
            ask()


def test_a_protocol_that_libvirt_does_not_filter_is_refused():
    rules = PortRules(
        mac=MAC, groups=("web",), rules=(FilterRule(direction="ingress", family=4, protocol="47"),)
    )

    with pytest.raises(RuleUnfitError):
        nwfilter_xml.render(rules, note="")


def test_the_same_rules_are_the_same_text_under_one_name_and_uuid():
    assert nwfilter_xml.render(PortRules(mac=MAC.upper(), groups=()), note="n") == nwfilter_xml.render(
        PortRules(mac=MAC, groups=()), note="n"
    )
