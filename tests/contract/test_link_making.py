"""Links that are made and removed: the fake, and the kernel in a network namespace of its own."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from compute_agent.errors import LinkError
from compute_agent.link_making import BRIDGE, VLAN, VXLAN, HostLinkMaker, NewLink
from tests.contract.link_sites import FakeLinkSite, KernelLinkSite, LinkSite

ALIAS = "limosa red"
LOOKS = 200
BR_RED = NewLink(name="br-red", kind=BRIDGE, alias=ALIAS, mtu=1400)
VXLAN42 = NewLink(
    name="vxlan42", kind=VXLAN, alias=ALIAS, mtu=1400, segment=42, device="eth1", local="192.0.2.1", port=4789
)


@pytest.fixture(params=["fake", "kernel"])
def site(request: pytest.FixtureRequest) -> Iterator[LinkSite]:
    site: LinkSite = FakeLinkSite() if request.param == "fake" else KernelLinkSite()
    try:
        site.add_device("eth1", "192.0.2.1/24")
        yield site
    finally:
        site.close()


def names(site: LinkSite) -> set[str]:
    return {link.name for link in site.links.all()} - {"lo"}


def test_a_bridge_is_made_with_its_mtu_and_keeps_it_when_a_port_joins(site: LinkSite) -> None:
    site.links.make(BR_RED)
    site.links.make(replace(VXLAN42, mtu=1300))
    site.links.join("vxlan42", bridge="br-red")
    site.links.join("vxlan42", bridge="br-red")

    bridge, vxlan = site.links.find("br-red"), site.links.find("vxlan42")

    assert bridge is not None
    assert (bridge.kind, bridge.mtu, bridge.alias, bridge.is_up) == ("bridge", 1400, ALIAS, True)
    assert vxlan is not None
    assert (vxlan.kind, vxlan.mtu, vxlan.alias, vxlan.master) == ("vxlan", 1300, ALIAS, "br-red")
    assert names(site) == {"eth1", "br-red", "vxlan42"}


def test_a_vxlan_by_multicast_is_made_as_well(site: LinkSite) -> None:
    site.links.make(replace(VXLAN42, group="239.1.2.3"))

    found = site.links.find("vxlan42")
    assert found is not None
    assert found.kind == "vxlan"


def test_it_floods_to_those_that_it_was_told_last(site: LinkSite) -> None:
    site.links.make(VXLAN42)
    assert site.links.flooded("vxlan42") == ()

    site.links.flood_to("vxlan42", ("192.0.2.3", "192.0.2.2"))
    assert site.links.flooded("vxlan42") == ("192.0.2.2", "192.0.2.3")
    site.links.flood_to("vxlan42", ("192.0.2.4", "192.0.2.3"))
    assert site.links.flooded("vxlan42") == ("192.0.2.3", "192.0.2.4")
    site.links.flood_to("vxlan42", ())
    assert site.links.flooded("vxlan42") == ()


def test_a_name_that_is_taken_stays_as_it_is_and_nothing_else_is_left(site: LinkSite) -> None:
    site.add_bridge("br-red", mtu=1500)

    with pytest.raises(LinkError, match="File exists"):
        site.links.make(BR_RED)

    assert names(site) == {"eth1", "br-red"}
    found = site.links.find("br-red")
    assert found is not None
    assert (found.mtu, found.alias) == (1500, "")


def test_what_needs_a_device_that_is_missing_is_not_made(site: LinkSite) -> None:
    for wanted in (
        replace(VXLAN42, device="eth9"),
        NewLink(name="eth9.7", kind=VLAN, alias=ALIAS, mtu=1500, segment=7, device="eth9"),
    ):
        with pytest.raises(LinkError, match="there is no link eth9"):
            site.links.make(wanted)

    assert names(site) == {"eth1"}


def test_only_what_carries_the_alias_is_removed(site: LinkSite) -> None:
    site.links.make(BR_RED)
    site.add_bridge("br-theirs", mtu=1500)

    with pytest.raises(LinkError, match="br-theirs is not ours"):
        site.links.remove_ours("br-theirs", alias=ALIAS)
    with pytest.raises(LinkError, match="br-red is not ours"):
        site.links.remove_ours("br-red", alias="limosa blue")
    assert site.links.remove_ours("br-red", alias=ALIAS)
    assert not site.links.remove_ours("br-red", alias=ALIAS)

    assert names(site) == {"eth1", "br-theirs"}


def test_the_link_that_has_an_address_is_found(site: LinkSite) -> None:
    found = site.links.device_of("192.0.2.1")
    assert found is not None
    assert found.name == "eth1"
    assert site.links.device_of("192.0.2.9") is None


# ---- the kernel alone


@pytest.fixture
def kernel() -> Iterator[KernelLinkSite]:
    site = KernelLinkSite()
    try:
        site.add_device("eth1", "192.0.2.1/24")
        yield site
    finally:
        site.close()


def test_what_a_crash_left_unfinished_is_removed(kernel: KernelLinkSite) -> None:
    kernel.add_bridge("limosa-new01ab", mtu=1500)

    kernel.links.remove_unfinished()

    assert names(kernel) == {"eth1"}


def test_a_vlan_is_made_or_the_kernels_reason_is_told(kernel: KernelLinkSite) -> None:
    """Not every kernel has 802.1Q: then nothing is left, and whoever asked is told."""
    wanted = NewLink(name="eth1.7", kind=VLAN, alias=ALIAS, mtu=1500, segment=7, device="eth1")
    try:
        kernel.links.make(wanted)
    except LinkError as error:
        assert "not supported" in str(error)
        assert names(kernel) == {"eth1"}
    else:
        found = kernel.links.find("eth1.7")
        assert found is not None
        assert (found.kind, found.alias, found.is_up) == ("vlan", ALIAS, True)


def test_links_are_listed_while_others_come_and_go(kernel: KernelLinkSite) -> None:
    """The kernel says of such a list that it was interrupted, and pyroute2 raises: it must be asked again."""

    def look_while_they_change() -> None:
        here = HostLinkMaker(
            lambda call: call()
        )  # this thread is in the site's namespace, and so is what it starts
        stopping = threading.Event()

        def change() -> None:
            for number in itertools.count():
                if stopping.is_set():
                    break
                name = f"br-{number % 20}"
                here.make(replace(BR_RED, name=name)) if here.find(name) is None else here.remove_ours(
                    name, alias=ALIAS
                )

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for _ in range(LOOKS):
                assert "eth1" in {link.name for link in here.all()}
        finally:
            stopping.set()
            changing.join(10)

    kernel.run(look_while_they_change)
