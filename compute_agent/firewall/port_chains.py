"""The two chains of one port: what its guest may receive, and what it may send. Pure.

Whatever the groups say: a guest sends with its own MAC, and with its own addresses where they are declared; it is no DHCP
server and no router that announces itself; it may always ask for an address, and ask who has which. What has not been let
through at the end of a chain is dropped.
"""

from collections.abc import Iterator

from common.transfer import PortRules
from compute_agent.firewall import rule_text
from compute_agent.firewall.rule_text import EGRESS, INGRESS

_ND = "nd-neighbor-solicit, nd-neighbor-advert"
_MLD = "mld-listener-report, mld-listener-done, mld2-listener-report"
_RARP = "0x8035"  # what QEMU sends in the guest's name when it has arrived
_LINK_LOCAL = "fe80::/10"
# Said first in each line that lets IPv6 through: `ip6 saddr` alone also meets what is in a VLAN, whose tag the kernel has
# taken off (skb_vlan_untag) before a bridge sees the packet.
_IPV6 = "ether type ip6"


def ingoing(rules: PortRules, *, mark: int, requires_syn: bool) -> Iterator[str]:
    """Lines of the chain of what goes to the guest."""
    yield "ether type arp accept"
    yield "ether type ip udp sport 67 udp dport 68 accept"
    yield f"{_IPV6} ip6 saddr {_LINK_LOCAL} udp sport 547 udp dport 546 accept"
    yield f"{_IPV6} icmpv6 type {{ {_ND}, nd-router-advert }} ip6 hoplimit 255 accept"
    yield f"{_IPV6} icmpv6 type {{ mld-listener-query, {_MLD} }} accept"
    yield _known(mark)
    yield from _permitted(rules, INGRESS, requires_syn=requires_syn)
    yield "counter drop"


def outgoing(rules: PortRules, *, mark: int, requires_syn: bool) -> Iterator[str]:
    """Lines of the chain of what comes from the guest."""
    own = rule_text.mac(rules.mac)
    yield f"ether saddr != {own} counter drop"
    yield f"ether type {_RARP} accept"
    yield from _arp(rules, own)
    yield from _address_traffic(rules)
    yield _known(mark)
    yield from _permitted(rules, EGRESS, requires_syn=requires_syn)
    yield "counter drop"


def _arp(rules: PortRules, own: str) -> Iterator[str]:
    yield f"ether type arp arp saddr ether != {own} counter drop"
    if rules.addresses:
        # 0.0.0.0 asks whether an address is taken (RFC 5227).
        addresses = ", ".join(("0.0.0.0", *rule_text.networks(rules.addresses, family=4)))
        yield f"ether type arp arp saddr ip != {{ {addresses} }} counter drop"
    yield "ether type arp accept"


def _address_traffic(rules: PortRules) -> Iterator[str]:
    """How a guest gets its addresses, and that it uses no others."""
    yield "ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept"
    yield "ether type ip udp sport 67 udp dport 68 counter drop"
    yield "ether type ip6 udp sport 547 udp dport 546 counter drop"
    yield "icmpv6 type nd-router-advert counter drop"
    # `::` asks whether an address is taken, and reports membership before there is one (RFC 4862, RFC 3810).
    unspecified = f"{_IPV6} ip6 saddr {{ ::, {_LINK_LOCAL} }}"
    yield f"{unspecified} icmpv6 type {{ {_ND}, nd-router-solicit, {_MLD} }} accept"
    yield f"{_IPV6} ip6 saddr {_LINK_LOCAL} udp sport 546 udp dport 547 accept"
    if not rules.addresses:
        yield f"{_IPV6} icmpv6 type {{ {_ND} }} accept"
        return
    for family, word in rule_text.FAMILY_WORD.items():
        addresses = rule_text.networks(rules.addresses, family=family)
        if addresses:
            yield f"{word} saddr != {{ {', '.join(addresses)} }} counter drop"
        else:
            yield f"ether type {word} counter drop"
    if rule_text.networks(rules.addresses, family=6):
        yield f"{_IPV6} icmpv6 type {{ {_ND} }} accept"


def _known(mark: int) -> str:
    return f"ether type {{ ip, ip6 }} meta mark & {mark:#x} == {mark:#x} accept"


def _permitted(rules: PortRules, direction: str, *, requires_syn: bool) -> Iterator[str]:
    for rule in rules.rules:
        if rule.direction == direction:
            words = rule_text.matches(rule, requires_syn=requires_syn)
            if words is not None:
                yield f"{words} accept"
