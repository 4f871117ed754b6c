"""The rules of one port as a filter of libvirt's (libvirt.org/formatnwfilter.html). Pure.

One filter a port, named after its MAC, so that it is called the same on all hosts and a guest's XML need not change when it
moves. Rules of its root chain: those of `mac`, `arp`, `ip` and `ipv6` are ebtables', in the order of their priorities, and
what passes them meets the others, which are iptables'.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import quoteattr

from common.transfer import FilterRule, PortRules
from compute_agent.firewall import rule_text
from compute_agent.firewall.rule_text import EGRESS, RuleUnfitError

PREFIX = "limosa-"
_FAMILY_SUFFIX = {4: "", 6: "-ipv6"}
_PROTOCOLS = {
    **{word: word for word in ("tcp", "udp", "sctp", "udplite", "esp", "ah", "igmp")},
    "6": "tcp",
    "17": "udp",
    "132": "sctp",
    "136": "udplite",
    "50": "esp",
    "51": "ah",
    "2": "igmp",
    "any": "all",
}
_ICMP = ("icmp", "icmpv6", "ipv6-icmp", "1", "58")
_WITH_PORTS = ("tcp", "udp", "sctp", "udplite")
_ETHERTYPES = ("ipv4", "ipv6", "arp", "0x8035")  # the last: RARP, which QEMU sends when a guest has arrived
_ANY_PREFIX = 0


def name_of(mac: str) -> str:
    return PREFIX + rule_text.mac(mac).replace(":", "")


def render(rules: PortRules, *, note: str) -> str:
    """The filter's XML; `note` stands in the rule that drops what nothing lets through. Raises RuleUnfitError."""
    name = name_of(rules.mac)
    lines = "\n".join(f"  {line}" for line in (*_frames(rules), *_packets(rules, note)))
    return f"<filter name='{name}' chain='root'>\n  <uuid>{uuid5(NAMESPACE_URL, name)}</uuid>\n{lines}\n</filter>\n"


# ---- ebtables: who the guest is


def _frames(rules: PortRules) -> Iterator[str]:
    own = rule_text.mac(rules.mac)
    yield _rule("drop", "out", -900, "mac", match="no", srcmacaddr=own)
    yield _rule("drop", "out", -890, "arp", match="no", arpsrcmacaddr=own)
    if rules.addresses:
        yield from _own_addresses(rules)
    for ethertype in _ETHERTYPES:
        yield _rule("accept", "inout", -300, "mac", protocolid=ethertype)
    yield _rule("drop", "inout", -200, "mac")


def _own_addresses(rules: PortRules) -> Iterator[str]:
    for network in _networks(rules.addresses, family=4):
        yield _rule("accept", "out", -800, "arp", arpsrcipaddr=str(network.network_address))
        yield _rule("accept", "out", -800, "ip", **_end("src", network))
    yield _rule("accept", "out", -800, "arp", arpsrcipaddr="0.0.0.0")
    yield _rule(
        "accept", "out", -800, "ip", srcipaddr="0.0.0.0", protocol="udp", srcportstart="68", dstportstart="67"
    )
    yield _rule("drop", "out", -700, "arp")
    yield _rule("drop", "out", -700, "ip")
    for network in (*_networks(rules.addresses, family=6), ipaddress.ip_network("fe80::/10")):
        yield _rule("accept", "out", -800, "ipv6", **_end("src", network))
    yield _rule("accept", "out", -800, "ipv6", srcipaddr="::", srcipmask="128", protocol="icmpv6")
    yield _rule("drop", "out", -700, "ipv6")


# ---- iptables: what it may


def _packets(rules: PortRules, note: str) -> Iterator[str]:
    yield _rule("accept", "out", 100, "udp", srcportstart="68", dstportstart="67")
    yield _rule("accept", "in", 100, "udp", srcportstart="67", dstportstart="68")
    yield _rule("drop", "out", 110, "udp", srcportstart="67", dstportstart="68")
    for kind in ("135", "136"):
        yield _rule("accept", "inout", 100, "icmpv6", type=kind)
    yield _rule("accept", "out", 100, "icmpv6", type="133")
    yield _rule("accept", "in", 100, "icmpv6", type="134")
    for family in _FAMILY_SUFFIX.values():
        yield _rule("accept", "inout", 200, f"all{family}", state="ESTABLISHED,RELATED")
    for rule in rules.rules:
        yield from _permitted(rule)
    for family in _FAMILY_SUFFIX.values():
        yield _rule("drop", "inout", 1000, f"all{family}", comment=note)


def _permitted(rule: FilterRule) -> Iterator[str]:
    rule_text.matches(rule)  # as strict as the other driver
    direction = "out" if rule.direction == EGRESS else "in"
    side = "dst" if rule.direction == EGRESS else "src"
    element, attributes = _protocol(rule)
    if not rule.remotes:
        yield _rule("accept", direction, 500, element, **attributes)
        return
    for network in _networks(rule.remotes, family=rule.family):
        end = {} if network.prefixlen == _ANY_PREFIX else _end(side, network)
        yield _rule("accept", direction, 500, element, **attributes, **end)


def _protocol(rule: FilterRule) -> tuple[str, dict[str, str]]:
    attributes: dict[str, str] = {}
    if rule.protocol in _ICMP:
        if rule.port_min is not None:
            attributes["type"] = str(rule.port_min)
        if rule.port_max is not None:
            attributes["code"] = str(rule.port_max)
        return ("icmp" if rule.family == 4 else "icmpv6"), attributes
    protocol = _PROTOCOLS.get(rule.protocol)
    if protocol is None:
        raise RuleUnfitError(value=repr(rule.protocol), what="protocol of libvirt's filters")
    if protocol in _WITH_PORTS and rule.port_min is not None and rule.port_max is not None:
        attributes = {"dstportstart": str(rule.port_min), "dstportend": str(rule.port_max)}
    return protocol + _FAMILY_SUFFIX[rule.family], attributes


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(texts: Iterable[str], *, family: int) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in rule_text.networks(texts, family=family))


def _end(side: str, network: Network) -> dict[str, str]:
    return {f"{side}ipaddr": str(network.network_address), f"{side}ipmask": str(network.prefixlen)}


def _rule(action: str, direction: str, priority: int, element: str, **attributes: str) -> str:
    words = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<rule action='{action}' direction='{direction}' priority='{priority}'><{element}{words}/></rule>"
