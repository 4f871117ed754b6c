"""Which rules of a security group make sense: pure. What makes none is refused with a sentence that says why."""

from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Final

from common.errors import InvalidRequestError
from common.firewall_views import RuleRequest
from common.states import Direction
from conductor.filtering import GroupRule

PORT_MAX: Final = 65_535
ICMP_MAX: Final = 255
PROTOCOL_MAX: Final = 255
FAMILIES: Final = (4, 6)

ANY, TCP, UDP, ICMP = "any", "tcp", "udp", "icmp"
_WITH_PORTS: Final = (TCP, UDP)
# By name, so that nobody need know the numbers of IANA's list; shown as numbers, all but those that have ports or types.
_NUMBERS: Final = {
    "igmp": 2,
    "ipip": 4,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ospf": 89,
    "vrrp": 112,
    "sctp": 132,
}
_NAMES: Final = {6: TCP, 17: UDP}
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_ICMP_OF_FAMILY: Final = {4: 1, 6: 58}

OUTWARDS: Final = tuple(
    GroupRule(direction=Direction.EGRESS, family=family, protocol=ANY) for family in FAMILIES
)
"""What a new group begins with: its members may send to all."""


def sensible(request: RuleRequest) -> GroupRule:
    """The rule as it is kept, spelt in one way only; raises InvalidRequestError for one that makes no sense."""
    if request.remote is not None and request.remote_group is not None:
        raise _senseless("A rule is about a CIDR or about a group, not about both.")
    protocol, only_family = _protocol(request.protocol)
    network = None if request.remote is None else _network(request.remote)
    family = _family(request, only_family, network)
    if network is not None and network.is_multicast and request.direction is Direction.INGRESS:
        raise _senseless(f"Nobody sends from {network}: it is multicast.")
    port_min, port_max = _types(request) if protocol == ICMP else _ports(request, protocol)
    return GroupRule(
        direction=request.direction,
        family=family,
        protocol=protocol,
        port_min=port_min,
        port_max=port_max,
        remote=None if network is None or network.prefixlen == 0 else str(network),
        remote_group=request.remote_group,
    )


def _protocol(text: str) -> tuple[str, int | None]:
    """Its one name here, and the family where it is of one only."""
    word = text.strip().lower()
    if word in (ANY, *_WITH_PORTS):
        return word, None
    if word == ICMP:
        return ICMP, None
    if word in ("icmpv6", "ipv6-icmp"):
        return ICMP, 6
    if word in _NUMBERS:
        return str(_NUMBERS[word]), None
    if not (word.isascii() and word.isdigit() and int(word) <= PROTOCOL_MAX):
        names = ", ".join((ANY, *_WITH_PORTS, ICMP, "icmpv6", *_NUMBERS))
        raise _senseless(
            f"There is no protocol {text:.80}; known are {names}, and the numbers up to {PROTOCOL_MAX}."
        )
    number = int(word)
    for family, icmp in _ICMP_OF_FAMILY.items():
        if number == icmp:
            return ICMP, family
    return _NAMES.get(number, str(number)), None


def _family(request: RuleRequest, only_family: int | None, network: IPv4Network | IPv6Network | None) -> int:
    if request.family not in (None, *FAMILIES):
        raise _senseless(f"A rule is of IP version 4 or 6, not {request.family}.")
    asked = request.family or only_family
    if only_family not in (None, asked):
        raise _senseless(
            f"The protocol {request.protocol} is of IPv{only_family}, and the rule of IPv{asked}."
        )
    if network is not None and asked not in (None, network.version):
        raise _senseless(f"{network} is of IPv{network.version}, and the rule of IPv{asked}.")
    return asked or (4 if network is None else network.version)


def _network(text: str) -> IPv4Network | IPv6Network:
    """One address counts as a network of its own."""
    if "%" in text:  # the zone of one host, which means nothing to another
        raise _no_network(text)
    try:
        network = ip_network(text)
    except ValueError:
        raise _no_network(text) from None
    if network.version == 6 and network.subnet_of(_MAPPED):
        raise _senseless(f"{network} is IPv4 written as IPv6; packets bear it as IPv4, and so must the rule.")
    return network


def _no_network(text: str) -> InvalidRequestError:
    try:
        inside = ip_interface(text)
    except ValueError:
        inside = None
    if inside is None or "%" in text:
        return _senseless(f"{text:.80} is neither an address nor a CIDR.")
    return _senseless(
        f"{text} has bits beyond its prefix: the network is {inside.network}, the one address {inside.ip}."
    )


def _ports(request: RuleRequest, protocol: str) -> tuple[int | None, int | None]:
    if (request.icmp_type, request.icmp_code) != (None, None):
        raise _senseless(f"Types and codes are of icmp; {request.protocol} has none.")
    if (request.port_min, request.port_max) == (None, None):
        return None, None
    if protocol not in _WITH_PORTS:
        raise _senseless(
            f"Ports need a protocol that has them, tcp or udp; this rule is about {request.protocol}."
        )
    first, last = request.port_min, request.port_max
    if first is None or last is None:
        raise _senseless("Of a range of ports the first and the last are given, or none.")
    for port in (first, last):
        if not 1 <= port <= PORT_MAX:
            raise _senseless(f"{port} is not a port: those are 1 to {PORT_MAX}.")
    if first > last:
        raise _senseless(f"The ports {first} to {last} are in the wrong order.")
    return (None, None) if (first, last) == (1, PORT_MAX) else (first, last)


def _types(request: RuleRequest) -> tuple[int | None, int | None]:
    if (request.port_min, request.port_max) != (None, None):
        raise _senseless("icmp has no ports; it has a type and a code.")
    for word, number in (("type", request.icmp_type), ("code", request.icmp_code)):
        if number is not None and not 0 <= number <= ICMP_MAX:
            raise _senseless(f"{number} is not a {word} of icmp: those are 0 to {ICMP_MAX}.")
    if request.icmp_code is not None and request.icmp_type is None:
        raise _senseless(f"Code {request.icmp_code} means nothing without a type.")
    return request.icmp_type, request.icmp_code


def _senseless(reason: str) -> InvalidRequestError:
    return InvalidRequestError(reason=reason)
