"""Bridges, VLANs and VXLANs that this host makes and removes, by netlink. Each carries an alias that says whose it is.

A link gets its name only together with its alias, and has another name until then: after a crash at any line, a link with
a name of ours and without our alias is somebody else's.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from compute_agent.errors import LinkError
from compute_agent.links import AF_BRIDGE, BRIDGE, VXLAN, HostLinks, Link, Links, dumped, index_of, link_of
from compute_agent.netlink import NTF_SELF, NUD_NOARP, NUD_PERMANENT, NetlinkError

VLAN = "vlan"

_UNFINISHED = "limosa-new"  # with four hexadecimal digits behind it: 14 of the 15 characters of a name
_EVERYBODY = "00:00:00:00:00:00"  # a VXLAN sends to the remotes of this entry what it would flood
_IPV6_SWITCH = "/proc/sys/net/ipv6/conf/{name}/disable_ipv6"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A link that is to be made."""

    name: str
    kind: str  # BRIDGE, VLAN, VXLAN
    alias: str
    mtu: int
    segment: int = 0  # VLAN id, VNI
    device: str = ""  # that carries the VLAN; of a VXLAN: that has the local address
    local: str = ""  # VXLAN: address of this host
    group: str = ""  # VXLAN: multicast address
    port: int = 0  # VXLAN: UDP


class LinkMaker(Links, Protocol):
    """See `HostLinkMaker`; the tests' fake is the other. Every method raises LinkError."""

    def make(self, wanted: NewLink) -> None:
        """Make a link and bring it up. The host itself does not speak on it: it has no IPv6 address either."""

    def join(self, name: str, *, bridge: str) -> None:
        """Make it a port of the bridge, and up; nothing happens if it is."""

    def remove_ours(self, name: str, *, alias: str) -> bool:
        """Remove the link if it carries this alias; whether it was there."""

    def remove_unfinished(self) -> None:
        """Remove what `make` has left unfinished: for whoever knows that nobody is making anything."""

    def flood_to(self, vxlan: str, addresses: Iterable[str]) -> None:
        """Have the VXLAN send to these hosts, and no others, what is for everybody or for a MAC that it does not know."""

    def flooded(self, vxlan: str) -> tuple[str, ...]:
        """Where it sends that, sorted."""

    def device_of(self, address: str) -> Link | None:
        """The link that has this address."""


class HostLinkMaker(HostLinks):
    """In the network namespace that the agent runs in."""

    def make(self, wanted: NewLink) -> None:
        self._run(lambda netlink: _make(netlink, wanted))

    def join(self, name: str, *, bridge: str) -> None:
        def join(netlink: Any) -> None:
            netlink.link("set", index=index_of(netlink, name), master=index_of(netlink, bridge))
            netlink.link("set", index=index_of(netlink, name), state="up")

        self._run(join)

    def remove_ours(self, name: str, *, alias: str) -> bool:
        return self._run(lambda netlink: _remove(netlink, name, alias))

    def remove_unfinished(self) -> None:
        def remove(netlink: Any) -> None:
            for message in dumped(netlink.get_links):
                if message.get_attr("IFLA_IFNAME").startswith(_UNFINISHED):
                    netlink.link("del", index=message["index"])

        self._run(remove)

    def flood_to(self, vxlan: str, addresses: Iterable[str]) -> None:
        wanted = set(addresses)

        def flood(netlink: Any) -> None:
            index = index_of(netlink, vxlan)
            known = set(_flooded(netlink, index))
            for command, remotes in (("append", wanted - known), ("del", known - wanted)):
                for remote in sorted(remotes):
                    netlink.neigh(command, **_entry(index, remote))

        self._run(flood)

    def flooded(self, vxlan: str) -> tuple[str, ...]:
        return self._run(lambda netlink: tuple(sorted(_flooded(netlink, index_of(netlink, vxlan)))))

    def device_of(self, address: str) -> Link | None:
        return self._run(lambda netlink: _device_of(netlink, address))


# ---- in the native thread


def _make(netlink: Any, wanted: NewLink) -> None:
    unfinished = f"{_UNFINISHED}{secrets.token_hex(2)}"
    netlink.link("add", ifname=unfinished, kind=wanted.kind, **_details(netlink, wanted))
    index = index_of(netlink, unfinished)
    try:
        # Not with `add`: a bridge would take another MTU from its first port. And it must be down to be renamed.
        netlink.link("set", index=index, mtu=wanted.mtu)
        netlink.link("set", index=index, ifname=wanted.name, IFLA_IFALIAS=wanted.alias)
        _keep_host_out(wanted.name)
        netlink.link("set", index=index, state="up")
    except (NetlinkError, OSError):
        netlink.link("del", index=index)
        raise


def _details(netlink: Any, wanted: NewLink) -> dict[str, Any]:
    if wanted.kind == VLAN:
        return {"link": index_of(netlink, wanted.device), "vlan_id": wanted.segment}
    if wanted.kind != VXLAN:
        return {}
    six = "6" if ":" in wanted.local else ""
    details: dict[str, Any] = {
        "vxlan_id": wanted.segment,
        "vxlan_port": wanted.port,
        "vxlan_learning": 1,
        "vxlan_link": index_of(netlink, wanted.device),
        f"vxlan_local{six}": wanted.local,
    }
    if wanted.group:
        details[f"vxlan_group{six}"] = wanted.group
    return details


def _keep_host_out(name: str) -> None:
    """Guests must not reach the host by a link-local address that it never asked for."""
    switch = Path(_IPV6_SWITCH.format(name=name))
    if switch.exists():  # not in a kernel without IPv6
        switch.write_text("1\n", encoding="ascii")


def _remove(netlink: Any, name: str, alias: str) -> bool:
    for index in netlink.link_lookup(ifname=name):
        (message,) = netlink.get_links(index)
        if message.get_attr("IFLA_IFALIAS") != alias:
            raise LinkError(reason=f"{name} is not ours")
        netlink.link("del", index=index)
        return True
    return False


def _flooded(netlink: Any, index: int) -> Iterable[str]:
    for entry in dumped(lambda: netlink.get_neighbours(family=AF_BRIDGE, ifindex=index)):
        if entry.get_attr("NDA_LLADDR") == _EVERYBODY and entry.get_attr("NDA_DST"):
            yield entry.get_attr("NDA_DST")


def _entry(index: int, remote: str) -> dict[str, Any]:
    return {
        "family": AF_BRIDGE,
        "ifindex": index,
        "lladdr": _EVERYBODY,
        "dst": remote,
        "flags": NTF_SELF,
        "state": NUD_PERMANENT | NUD_NOARP,
    }


def _device_of(netlink: Any, address: str) -> Link | None:
    for message in dumped(netlink.get_addr):
        if address in (message.get_attr("IFA_LOCAL"), message.get_attr("IFA_ADDRESS")):
            (link,) = netlink.get_links(message["index"])
            return link_of(link, {})
    return None


__all__ = ["BRIDGE", "VLAN", "VXLAN", "HostLinkMaker", "LinkMaker", "NewLink"]
