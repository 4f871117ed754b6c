"""What is known and changed of a host's links: the fake, and the kernel in a network namespace of its own."""

from collections.abc import Iterator

import pytest

from compute_agent.errors import LinkError
from tests.contract.link_sites import FakeLinkSite, KernelLinkSite, LinkSite

MAC = "52:54:00:4c:00:99"


@pytest.fixture(params=["fake", "kernel"])
def site(request: pytest.FixtureRequest) -> Iterator[LinkSite]:
    site: LinkSite = FakeLinkSite() if request.param == "fake" else KernelLinkSite()
    try:
        yield site
    finally:
        site.close()


def test_a_link_is_found_by_its_name_with_kind_mtu_and_master(site: LinkSite) -> None:
    site.add_bridge("br-a", mtu=1400)
    site.add_port("port-a", bridge="br-a")

    bridge, port = site.links.find("br-a"), site.links.find("port-a")

    assert bridge is not None
    assert (bridge.kind, bridge.mtu, bridge.master, bridge.is_up) == ("bridge", 1400, "", True)
    assert port is not None
    assert (port.kind, port.master) == ("veth", "br-a")
    assert {"br-a", "port-a"} <= {link.name for link in site.links.all()}


def test_a_link_that_is_not_there_is_not_found(site: LinkSite) -> None:
    assert site.links.find("br-none") is None


def test_a_bridge_learns_where_a_mac_is_and_learns_anew(site: LinkSite) -> None:
    site.add_bridge("br-a", mtu=1500)
    site.add_port("port-a", bridge="br-a")
    site.add_port("port-b", bridge="br-a")
    assert site.links.forwarding(MAC, bridge="br-a") is None

    for port in ("port-a", "port-b", "port-b"):
        site.links.learn(MAC.upper(), port=port)
        found = site.links.forwarding(MAC, bridge="br-a")
        assert found is not None
        assert (found.mac, found.port, found.is_permanent) == (MAC, port, False)


def test_a_vxlan_device_tells_behind_which_host_a_mac_is(site: LinkSite) -> None:
    site.add_vxlan("vx-a")
    assert site.links.remote(MAC, vxlan="vx-a") is None

    site.tell_vxlan("vx-a", MAC, "192.0.2.2")

    found = site.links.remote(MAC, vxlan="vx-a")
    assert found is not None
    assert (found.port, found.remote) == ("vx-a", "192.0.2.2")


def test_what_names_no_link_is_an_error_that_says_so(site: LinkSite) -> None:
    with pytest.raises(LinkError, match="there is no link br-none"):
        site.links.forwarding(MAC, bridge="br-none")
    with pytest.raises(LinkError, match="there is no link tap-none"):
        site.links.learn(MAC, port="tap-none")


def test_a_link_in_no_bridge_learns_nothing(site: LinkSite) -> None:
    site.add_bridge("br-a", mtu=1500)

    with pytest.raises(LinkError):
        site.links.learn(MAC, port="br-a")
