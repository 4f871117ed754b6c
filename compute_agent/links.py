"""The host's network links and forwarding entries, by netlink.

Every operation opens a netlink socket of its own in a native thread, and is bounded: nothing is kept that could be wrong
a moment later.
"""

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from common import concurrency
from compute_agent.errors import LinkError
from compute_agent.netlink import (
    NTF_MASTER,
    NTF_SELF,
    NUD_PERMANENT,
    NUD_REACHABLE,
    IPRoute,
    NetlinkDumpInterrupted,
    NetlinkError,
)

TIMEOUT_S = 5.0  # an operation takes 3 ms on a quiet host
DUMP_TRIES = 50  # of one list, while others change what it lists

# Kinds of links, as the kernel's IFLA_INFO_KIND has them. A guest's tap is a `tun`.
BRIDGE = "bridge"
TAP = "tun"
VXLAN = "vxlan"

AF_BRIDGE = 7
_IFF_UP = 1

T = TypeVar("T")
RunBlocking = Callable[[Callable[[], T]], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One network device of this host."""

    name: str
    index: int
    kind: str  # bridge, tun, vxlan, vlan, veth, ...; empty: a physical one
    mtu: int
    mac: str
    is_up: bool
    master: str = ""  # name of the bridge that it is a port of
    alias: str = ""  # what whoever made it says of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """Where a bridge, or a VXLAN device, sends what is for a MAC."""

    mac: str
    port: str  # name of the bridge's port, or of the VXLAN device itself
    remote: str = ""  # of a VXLAN device: the address of the host behind which the MAC is
    is_permanent: bool = False  # not learned


class Links(Protocol):
    """See `HostLinks`; the tests' fake is the other. Every method raises LinkError."""

    def all(self) -> tuple[Link, ...]:
        """Every link."""

    def find(self, name: str) -> Link | None:
        """The link of this name."""

    def forwarding(self, mac: str, *, bridge: str) -> Forwarding | None:
        """Through which port the bridge sends to this MAC; None: it does not know, and floods."""

    def remote(self, mac: str, *, vxlan: str) -> Forwarding | None:
        """To which host the VXLAN device sends what is for this MAC; None: it does not know."""

    def learn(self, mac: str, *, port: str) -> None:
        """Have the bridge of this port send to this MAC through it, as if a frame had come from there."""


class HostLinks:
    """Those of the network namespace that the agent runs in."""

    def __init__(self, run: RunBlocking[Any] | None = None) -> None:
        self._run_blocking = run or _run_in_native_thread

    def all(self) -> tuple[Link, ...]:
        return self._run(_all)

    def find(self, name: str) -> Link | None:
        return next((link for link in self.all() if link.name == name), None)

    def forwarding(self, mac: str, *, bridge: str) -> Forwarding | None:
        return self._run(lambda netlink: _get(netlink, mac, master=index_of(netlink, bridge)))

    def remote(self, mac: str, *, vxlan: str) -> Forwarding | None:
        return self._run(lambda netlink: _get(netlink, mac, ifindex=index_of(netlink, vxlan), flags=NTF_SELF))

    def learn(self, mac: str, *, port: str) -> None:
        def replace(netlink: Any) -> None:
            index = index_of(netlink, port)
            netlink.neigh(
                "replace",
                family=AF_BRIDGE,
                ifindex=index,
                lladdr=mac.lower(),
                flags=NTF_MASTER,
                state=NUD_REACHABLE,  # `dynamic`: it ages, and yields to the next frame that says otherwise
            )

        self._run(replace)

    def _run(self, operation: Callable[[Any], T]) -> T:
        def call() -> T:
            with IPRoute() as netlink:
                return operation(netlink)

        try:
            result: T = self._run_blocking(call)
        except NetlinkError as error:
            raise LinkError(reason=os.strerror(error.code)) from error
        except OSError as error:
            raise LinkError(reason=error.strerror or str(error)) from error
        except concurrency.BlockingCallTimeout as error:
            raise LinkError(reason=f"the kernel did not answer within {TIMEOUT_S:g} s") from error
        return result


# ---- in the native thread


def _run_in_native_thread(call: Callable[[], T]) -> T:
    return concurrency.call_blocking(call, timeout_s=TIMEOUT_S)


def _all(netlink: Any) -> tuple[Link, ...]:
    messages = dumped(netlink.get_links)
    names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
    return tuple(link_of(message, names) for message in messages)


def dumped(ask: Callable[[], Iterable[Any]]) -> tuple[Any, ...]:
    """All that the kernel lists, as it was at one moment: where something was changed meanwhile, it is asked again."""
    for _ in range(DUMP_TRIES - 1):
        try:
            return tuple(ask())
        except NetlinkDumpInterrupted:
            continue
    return tuple(ask())


def link_of(message: Any, names: dict[int, str]) -> Link:
    information = message.get_attr("IFLA_LINKINFO")
    return Link(
        name=message.get_attr("IFLA_IFNAME"),
        index=message["index"],
        kind=(information.get_attr("IFLA_INFO_KIND") or "") if information else "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        mac=message.get_attr("IFLA_ADDRESS") or "",
        is_up=bool(message["flags"] & _IFF_UP),
        master=names.get(message.get_attr("IFLA_MASTER") or 0, ""),
        alias=message.get_attr("IFLA_IFALIAS") or "",
    )


def _get(netlink: Any, mac: str, **where: int) -> Forwarding | None:
    try:
        entries = netlink.neigh("get", family=AF_BRIDGE, lladdr=mac.lower(), **where)
    except NetlinkError as error:
        if error.code == errno.ENOENT:
            return None
        raise
    return next((_forwarding(netlink, entry, mac) for entry in entries), None)


def _forwarding(netlink: Any, entry: Any, mac: str) -> Forwarding:
    (port,) = netlink.get_links(entry["ifindex"])
    return Forwarding(
        mac=mac.lower(),
        port=port.get_attr("IFLA_IFNAME"),
        remote=entry.get_attr("NDA_DST") or "",
        is_permanent=bool(entry["state"] & NUD_PERMANENT),
    )


def index_of(netlink: Any, name: str) -> int:
    found: list[int] = list(netlink.link_lookup(ifname=name))
    if not found:
        raise LinkError(reason=f"there is no link {name}")
    return found[0]
