"""Whether a managed network makes sense, before anybody looks whether its name is free: pure."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from common.errors import InvalidRequestError
from common.network_views import VXLAN_OVERHEAD_BYTES, VXLAN_PORT, NetworkKind, NetworkRequest

NAME_MAX_CHARS = 63
DEVICE_MAX_CHARS = 15  # the kernel's IFNAMSIZ, less its zero
ETHERNET_MTU = 1_500
MTU_MIN = 576  # what every host must take whole (RFC 791); a smaller one breaks DHCP
MTU_MAX = 9_216  # as much as switches take
VLAN_MAX = 4_094
VNI_MAX = 2**24 - 1
PORT_MAX = 65_535
PEERS_MAX = 64

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_MAX_CHARS - 1}}}")
_DEVICE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{DEVICE_MAX_CHARS - 1}}}")
_OTHERS_DEVICES = re.compile(
    r"lo|vnet\d+|vxlan\d+|.*\.\d+"
)  # the kernel's, libvirt's, and those that we make


def completed(request: NetworkRequest) -> NetworkRequest:
    """The request with the defaults of its kind; raises InvalidRequestError for one that makes no sense."""
    for problem in _problems(request):
        raise InvalidRequestError(reason=problem)
    if request.kind is NetworkKind.VLAN:
        return replace(request, mtu=request.mtu or ETHERNET_MTU)
    return replace(
        request,
        mtu=request.mtu or ETHERNET_MTU - VXLAN_OVERHEAD_BYTES,
        port=request.port or VXLAN_PORT,
        group=None if request.group is None else str(ipaddress.ip_address(request.group)),
        peers=tuple(sorted({str(ipaddress.ip_address(peer)) for peer in request.peers})),
    )


def _problems(request: NetworkRequest) -> Iterator[str]:
    if not _NAME.fullmatch(request.name):
        yield f"A network's name has 1 to {NAME_MAX_CHARS} letters, digits, dots, dashes or underscores."
    if not _DEVICE.fullmatch(request.bridge):
        yield f"A bridge's name has 1 to {DEVICE_MAX_CHARS} letters, digits, dots, dashes or underscores."
    if _OTHERS_DEVICES.fullmatch(request.bridge):
        yield f"No bridge can be named {request.bridge}: other devices have such names."
    if request.mtu is not None and not MTU_MIN <= request.mtu <= MTU_MAX:
        yield f"The MTU must be between {MTU_MIN} and {MTU_MAX}."
    if request.kind is NetworkKind.VLAN:
        yield from _vlan_problems(request)
    else:
        yield from _vxlan_problems(request)


def _vlan_problems(request: NetworkRequest) -> Iterator[str]:
    if not 1 <= request.segment <= VLAN_MAX:
        yield f"A VLAN id is between 1 and {VLAN_MAX}."
    if request.physical is None:
        yield "A VLAN needs the device that carries it: --physical."
    elif not _DEVICE.fullmatch(request.physical):
        yield f"{request.physical!a} cannot be the name of a device."
    elif request.physical == request.bridge:
        yield f"{request.bridge} cannot be the bridge and what carries it."
    if request.group is not None or request.port is not None or request.peers:
        yield "A VLAN has neither multicast group nor port nor peers: those are a VXLAN's."


def _vxlan_problems(request: NetworkRequest) -> Iterator[str]:
    if not 1 <= request.segment <= VNI_MAX:
        yield f"A VNI is between 1 and {VNI_MAX}."
    if request.physical is not None:
        yield "A VXLAN goes by each host's [network]vtep_address, not by a device: --physical is a VLAN's."
    if request.port is not None and not 1 <= request.port <= PORT_MAX:
        yield f"A port is between 1 and {PORT_MAX}."
    if request.group is not None and not _is_multicast(request.group):
        yield f"{request.group!a} is no multicast address."
    if request.group is not None and request.peers:
        yield "Peers are sent to one by one, and with a multicast group nobody is: give one of the two."
    if len(request.peers) > PEERS_MAX:
        yield f"At most {PEERS_MAX} peers are possible."
    yield from (f"{peer!a} is no address of a peer." for peer in request.peers if not _is_unicast(peer))


def _is_multicast(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_multicast
    except ValueError:
        return False


def _is_unicast(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)
