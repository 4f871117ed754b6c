"""The words of one rule in nft's language. Pure; what is not an address, a MAC or a number does not get into a rule."""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from common.errors import LimosaError
from common.transfer import FilterRule
from compute_agent.firewall.guests import can_be_named

INGRESS, EGRESS = "ingress", "egress"
FAMILY_WORD = {4: "ip", 6: "ip6"}
NUMBERS_WITH_PORTS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
PROTOCOL_MAX = 255
PORT_MAX = 65_535

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class RuleUnfitError(LimosaError):
    """Something that was declared cannot be made a rule."""

    message = "{value} cannot be put into a rule: it is no {what}"


def mac(text: str) -> str:
    """As nft reads it."""
    if not _MAC.fullmatch(text.lower()):
        raise RuleUnfitError(value=repr(text), what="MAC")
    return text.lower()


def tap(text: str) -> str:
    """The name of an interface of the host, as nft reads it."""
    if not can_be_named(text):
        raise RuleUnfitError(value=repr(text), what="name of an interface that a rule can have")
    return f'"{text}"'


def networks(texts: Iterable[str], *, family: int) -> tuple[str, ...]:
    """Those of that family; none overlaps another, which nft would refuse."""
    found = [network for network in map(_network, texts) if network.version == family]
    return tuple(str(network) for network in ipaddress.collapse_addresses(found))  # type: ignore[type-var]


def matches(rule: FilterRule, *, requires_syn: bool = False) -> str | None:
    """What a packet of this rule looks like; None where none can: it names remotes of another family only."""
    words = [f"ether type {FAMILY_WORD[rule.family]}"]
    if rule.remotes:
        remotes = networks(rule.remotes, family=rule.family)
        if not remotes:
            return None
        side = "saddr" if rule.direction == INGRESS else "daddr"
        words.append(f"{FAMILY_WORD[rule.family]} {side} {{ {', '.join(remotes)} }}")
    words += _protocol(rule)
    if requires_syn and _is_tcp(rule):
        words.append("tcp flags & (fin | syn | rst | ack) == syn")
    return " ".join(words)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise RuleUnfitError(value=repr(text), what="address or network") from error


def _is_tcp(rule: FilterRule) -> bool:
    return rule.protocol in ("tcp", "6")


def _protocol(rule: FilterRule) -> Iterator[str]:
    if rule.protocol == "any":
        return
    if rule.protocol in ("icmp", "1", "58", "icmpv6", "ipv6-icmp"):
        yield from _icmp(rule)
        return
    word = rule.protocol if rule.protocol in NUMBERS_WITH_PORTS.values() else _number(rule.protocol)
    yield f"meta l4proto {word}"
    ports = _ports(rule)
    if ports:
        yield f"th dport {ports}"


def _icmp(rule: FilterRule) -> Iterator[str]:
    word = "icmp" if rule.family == 4 else "icmpv6"
    yield f"meta l4proto {'icmp' if rule.family == 4 else 'ipv6-icmp'}"
    if rule.port_min is not None:
        yield f"{word} type {_byte(rule.port_min)}"
    if rule.port_max is not None:
        yield f"{word} code {_byte(rule.port_max)}"


def _ports(rule: FilterRule) -> str:
    low, high = rule.port_min, rule.port_max
    if low is None and high is None:
        return ""
    low, high = low if low is not None else 0, high if high is not None else PORT_MAX
    if not 0 <= low <= high <= PORT_MAX:
        raise RuleUnfitError(value=f"{low}-{high}", what="range of ports")
    return str(low) if low == high else f"{low}-{high}"


def _number(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and int(text) <= PROTOCOL_MAX):
        raise RuleUnfitError(value=repr(text), what="protocol")
    return str(int(text))


def _byte(number: int) -> str:
    if not 0 <= number <= 255:
        raise RuleUnfitError(value=str(number), what="type or code of ICMP")
    return str(number)
