"""All rules of a host as one text for `nft -f`. Pure; applied in one transaction, so that no packet meets half of it.

Two tables, both called limosa, and none where no guest has rules:

    bridge   drops and lets through, by the name of the guest's tap: known before the tap is made, not the guest's to change
    inet     drops nothing. It marks packets of known connections, of these guests only, for the table above

That is so because the bridge family has no `ct state` without nf_conntrack_bridge, and the inet family no name of a tap:
there a bridged packet comes from its bridge. br_netfilter brings bridged packets to the inet family first (in the bridge's
prerouting, priority 0), and the mark comes back with them. Where it does not, nothing is marked, and only what a rule lets
through passes: it fails closed.

A tap that libvirt has named anew (vnet7, after a restart of the guest) is met by its guest's MAC until its name is known.
"""

import hashlib
from collections.abc import Iterable, Sequence

from compute_agent.firewall import rule_text
from compute_agent.firewall.guests import AUTOMATIC_PREFIX, FilteredGuest, FilteredPort
from compute_agent.firewall.port_chains import ingoing, outgoing

TABLE = "limosa"
FAMILIES = ("bridge", "inet")
AFTER_BRIDGE_NETFILTER = 10  # its own priority is 0
AFTER_CONNECTION_TRACKING = -150  # that has -200


def render(guests: Sequence[FilteredGuest], *, mark: int, requires_syn: bool = False) -> str:
    """The text that makes these rules the only ones of ours. Raises RuleUnfitError for what nft could not be told."""
    head = "".join(f"table {family} {TABLE}\ndelete table {family} {TABLE}\n" for family in FAMILIES)
    ports = _unique(guests)
    if not ports:
        return head
    body = "\n".join(
        (_inet_table(ports, mark=mark), _bridge_table(ports, mark=mark, requires_syn=requires_syn))
    )
    return head + body.replace(_FINGERPRINT, fingerprint(body))


def fingerprint(text: str) -> str:
    """What the table in the kernel carries as a comment: whether it is this text is seen without comparing rules."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint_of(script: str) -> str:
    """That of a text that `render` has made; empty: it makes no table."""
    _, found, rest = script.partition(_COMMENT)
    return rest[: rest.index('"')] if found else ""


_COMMENT = 'comment "rules '
_FINGERPRINT = "@fingerprint@"

Port = tuple[FilteredGuest, FilteredPort]


def _unique(guests: Iterable[FilteredGuest]) -> list[Port]:
    """By instance and MAC. Of two guests with one MAC, which a host can hardly tell apart, the first one's rules hold."""
    ports: dict[str, Port] = {}
    for guest in sorted(guests, key=lambda each: each.instance):
        for port in sorted(guest.ports, key=lambda each: each.rules.mac):
            ports.setdefault(rule_text.mac(port.rules.mac), (guest, port))
    return list(ports.values())


def chains_of(mac: str) -> tuple[str, str]:
    """The names of the chains of one port: what it receives, and what it sends."""
    digits = mac.replace(":", "").lower()
    return f"to_{digits}", f"from_{digits}"


# ---- the table that drops


def _bridge_table(ports: Sequence[Port], *, mark: int, requires_syn: bool) -> str:
    chains = []
    for guest, port in ports:
        receives, sends = chains_of(port.rules.mac)
        note = f'comment "instance {guest.instance} revision {guest.revision}"'
        chains.append(_chain(receives, (note, *ingoing(port.rules, mark=mark, requires_syn=requires_syn))))
        chains.append(_chain(sends, (note, *outgoing(port.rules, mark=mark, requires_syn=requires_syn))))
    hooks = (
        _chain("receives", _dispatch("postrouting", 0, "oifname", "daddr", _verdicts(ports, which=0))),
        _chain(
            "sends",
            _dispatch("prerouting", AFTER_BRIDGE_NETFILTER, "iifname", "saddr", _verdicts(ports, which=1)),
        ),
    )
    return _table("bridge", (*chains, *hooks))


Verdicts = tuple[dict[str, str], dict[str, str]]


def _verdicts(ports: Sequence[Port], *, which: int) -> Verdicts:
    """Which chain a packet goes to: by tap, and by MAC."""
    by_tap: dict[str, str] = {}
    by_mac: dict[str, str] = {}
    for _, port in ports:
        chain = chains_of(port.rules.mac)[which]
        by_mac[rule_text.mac(port.rules.mac)] = chain
        for tap in port.taps:
            by_tap.setdefault(rule_text.tap(tap), chain)
    return by_tap, by_mac


def _dispatch(hook: str, priority: int, device: str, address: str, verdicts: Verdicts) -> tuple[str, ...]:
    by_tap, by_mac = (", ".join(f"{key} : jump {chain}" for key, chain in each.items()) for each in verdicts)
    return (
        f"type filter hook {hook} priority {priority}; policy accept;",
        f"{device} vmap {{ {by_tap} }}",
        f'{device} "{AUTOMATIC_PREFIX}*" ether {address} vmap {{ {by_mac} }}',
    )


# ---- the table that marks


def _inet_table(ports: Sequence[Port], *, mark: int) -> str:
    macs = ", ".join(rule_text.mac(port.rules.mac) for _, port in ports)
    known = f"ct state established,related meta mark set meta mark or {mark:#x}"
    received = (
        f"type filter hook prerouting priority {AFTER_CONNECTION_TRACKING}; policy accept;",
        f"ether saddr {{ {macs} }} {known}",
        f"ether daddr {{ {macs} }} {known}",
    )
    # What the host itself sends, or routes, has not come with the guest's MAC; it gets that when it has gone through here.
    sent = (
        f"type filter hook postrouting priority {AFTER_CONNECTION_TRACKING}; policy accept;",
        *(f"{word} daddr {{ {addresses} }} {known}" for word, addresses in _addresses(ports)),
        *(f"oifname {{ {bridges} }} {known}" for bridges in _bridges(ports)),
    )
    return _table("inet", (_chain("received", received), _chain("sent", sent)))


def _addresses(ports: Sequence[Port]) -> Iterable[tuple[str, str]]:
    every = [address for _, port in ports for address in port.rules.addresses]
    for family, word in ((4, "ip"), (6, "ip6")):
        if networks := rule_text.networks(every, family=family):
            yield word, ", ".join(networks)


def _bridges(ports: Sequence[Port]) -> Iterable[str]:
    """Of ports whose addresses nobody has declared."""
    names = sorted({name for _, port in ports if not port.rules.addresses for name in port.bridges})
    if names:
        yield ", ".join(rule_text.tap(name) for name in names)


# ---- text


def _table(family: str, chains: Iterable[str]) -> str:
    return f'table {family} {TABLE} {{\n  {_COMMENT}{_FINGERPRINT}"\n' + "".join(chains) + "}\n"


def _chain(name: str, lines: Iterable[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"
