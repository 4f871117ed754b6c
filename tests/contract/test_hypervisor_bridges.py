"""Which bridges domains are connected to: the contract of compute_agent.hypervisor.bridges, for libvirt and for the fake."""

import pytest

from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from tests.contract.hypervisor_sites import Site
from tests.contract.predicaments import Predicaments
from tests.fakes.domain import guest_xml

HERE = "br-data"  # exists on the lab's hosts


def interface(bridge: str) -> str:
    return f"<interface type='bridge'><source bridge='{bridge}'/></interface>"


def test_guests_that_are_off_count_whether_their_bridge_exists_or_not(site: Site) -> None:
    assert site.source.bridge_users() == {}

    site.add_guest(guest_xml("one", devices=interface("br-none")), is_running=False)
    site.add_guest(guest_xml("two", devices=interface("br-none") + interface(HERE)), is_running=False)
    site.add_guest(guest_xml("three"), is_running=False)

    assert site.source.bridge_users() == {"br-none": ("one", "two"), HERE: ("two",)}


def test_a_guest_that_runs_counts_by_what_it_has_and_by_what_it_will_be_started_with(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web", devices=interface(HERE)))
    site.source.define(guest_xml("web", uuid=uuid, devices=interface("br-later")))

    assert site.source.bridge_users() == {HERE: ("web",), "br-later": ("web",)}


def test_a_transient_guest_counts_while_it_runs(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web", devices=interface(HERE)), is_persistent=False)
    assert site.source.bridge_users() == {HERE: ("web",)}

    site.source.destroy(uuid)
    assert site.source.bridge_users() == {}


@pytest.mark.parametrize("is_active", [True, False])
def test_a_guest_in_a_libvirt_network_counts_for_the_networks_bridge(
    site: Site, predicaments: Predicaments, is_active: bool
) -> None:
    predicaments.add_network("blue", is_active=is_active)
    for name, network in (("one", "blue"), ("two", "nobody's")):
        in_network = f'<interface type="network"><source network="{network}"/></interface>'
        site.dest.define(guest_xml(name, devices=in_network))

    assert site.dest.bridge_users() == {"br0": ("one",)}


def test_a_silent_libvirt_is_not_taken_for_nobody(site: Site) -> None:
    site.kill_libvirtd()
    try:
        with pytest.raises(HypervisorUnreachableError):
            site.source.bridge_users()
    finally:
        site.start_libvirtd()
