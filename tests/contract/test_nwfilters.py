"""libvirt's network filters: made, named by an interface, replaced and removed."""

from collections.abc import Iterator

import pytest

from common.transfer import FilterRule, PortRules
from compute_agent.firewall import nwfilter_xml
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError, HypervisorOperationError
from tests.contract.hypervisor_sites import NOBODY, Site
from tests.fakes.domain import guest_xml

MAC = "52:54:00:00:00:01"
NAME = nwfilter_xml.name_of(MAC)
INTERFACE = f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br-data'/></interface>"
RULES = PortRules(
    mac=MAC,
    groups=("web",),
    addresses=("192.0.2.1", "2001:db8::1"),
    rules=(
        FilterRule(
            direction="ingress", family=4, protocol="tcp", port_min=22, port_max=80, remotes=("192.0.2.0/24",)
        ),
        FilterRule(direction="ingress", family=4, protocol="icmp", port_min=8, port_max=0),
        FilterRule(direction="ingress", family=6, protocol="icmp", port_min=128, remotes=("2001:db8::/32",)),
        FilterRule(direction="egress", family=4, protocol="any"),
        FilterRule(direction="egress", family=6, protocol="udp"),
        FilterRule(
            direction="egress", family=4, protocol="132", port_min=1, port_max=1, remotes=("0.0.0.0/0",)
        ),
        FilterRule(direction="ingress", family=6, protocol="50"),
    ),
)


@pytest.fixture
def guest(site: Site) -> Iterator[str]:
    yield site.add_guest(guest_xml("web1", devices=INTERFACE))
    for name in site.source.filters_named(nwfilter_xml.PREFIX):
        site.source.set_interface_filter(site.source.find_by_name("web1") or "", MAC, "")
        site.source.remove_filter(name)


def render(revision: int) -> str:
    return nwfilter_xml.render(RULES, note=f"instance web1 revision {revision}")


def test_a_filter_is_made_replaced_named_and_removed(site: Site, guest: str) -> None:
    hypervisor = site.source
    assert hypervisor.filters_named(nwfilter_xml.PREFIX) == {}

    hypervisor.define_filter(render(1))
    hypervisor.define_filter(render(1))
    hypervisor.set_interface_filter(guest, MAC.upper(), NAME)
    hypervisor.set_interface_filter(guest, MAC, NAME)
    hypervisor.define_filter(render(2))

    [(name, xml)] = hypervisor.filters_named(nwfilter_xml.PREFIX).items()
    assert (name, "revision 2" in xml) == (NAME, True)
    assert hypervisor.filters_named("other-") == {}
    definition = hypervisor.definition(guest)
    assert f"filter='{NAME}'" in definition.live_xml.replace('"', "'")
    assert f"filter='{NAME}'" in (definition.inactive_xml or "").replace('"', "'")
    assert [each.nwfilter for each in hypervisor.guest_facts(guest).interfaces] == [NAME]
    with pytest.raises(HypervisorOperationError):
        hypervisor.remove_filter(NAME)

    hypervisor.set_interface_filter(guest, MAC, "")
    hypervisor.remove_filter(NAME)
    hypervisor.remove_filter(NAME)
    assert hypervisor.filters_named(nwfilter_xml.PREFIX) == {}
    assert [each.nwfilter for each in hypervisor.guest_facts(guest).interfaces] == [""]


def test_an_interface_that_is_not_there_is_no_error_and_a_guest_is(site: Site, guest: str) -> None:
    site.source.set_interface_filter(guest, "52:54:00:00:00:99", NAME)

    with pytest.raises(DomainNotFoundError):
        site.source.set_interface_filter(NOBODY, MAC, NAME)
