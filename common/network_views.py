"""Networks that Limosa manages: as an administrator declares them, as they are shown, and as a host is told of them."""

from dataclasses import dataclass
from enum import StrEnum

from common.transfer import ManagedNetwork

VXLAN_PORT = 4789  # IANA's; the kernel's own default is an older one
VXLAN_OVERHEAD_BYTES = 50  # over IPv4; over IPv6 20 more
IPV6_FURTHER_BYTES = 20


class NetworkKind(StrEnum):
    """How the guests of one network are kept apart from all others on the wire."""

    VLAN = "vlan"  # 802.1Q on a device of each host
    VXLAN = "vxlan"  # in UDP between the hosts' tunnel addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """Declare a network. What is not given has the default of its kind."""

    name: str
    kind: NetworkKind
    segment: int  # VLAN id or VNI
    bridge: str  # as the guests' XML names it, on every host
    mtu: int | None = None
    physical: str | None = None  # of a VLAN: the device that carries it, or the name that hosts map to theirs
    group: str | None = None  # of a VXLAN: multicast address; None: each host sends to all others
    port: int | None = None  # of a VXLAN
    peers: tuple[str, ...] = ()  # of a VXLAN: tunnel addresses of what else is in it, as a router


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    name: str
    kind: NetworkKind
    segment: int
    bridge: str
    mtu: int
    physical: str | None
    group: str | None
    port: int | None
    peers: tuple[str, ...]
    attached: tuple[str, ...]  # hosts where it is to stand, whether a guest needs it or not
    hosts: tuple[str, ...]  # where it stands, as their agents report
    problems: tuple[str, ...]  # what keeps it from standing where it should
    guests: tuple[str, ...] | None  # whose interfaces are in its bridge; None: not looked for, as in a list
    created_at: str
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetworks:
    """What one host is to know of the managed networks."""

    networks: tuple[ManagedNetwork, ...] = ()  # all that are declared
    attached: tuple[str, ...] = ()  # names of those that are to stand here in any case
    vteps: tuple[str, ...] = ()  # tunnel addresses of all other hosts
