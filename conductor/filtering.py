"""From security groups to the rules of a guest's interfaces: pure.

Rules only allow. An interface has those of all its groups together, so that a group more never takes anything away. A rule
about a group means the addresses of the interfaces in it; where there are none it lets nobody through.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

from common.states import Direction
from common.transfer import Filtering, FilterRule, PortRules

Network = IPv4Network | IPv6Network
_Key = tuple[str, int, str, int | None, int | None]

_ANYBODY: Final[Mapping[int, tuple[Network, ...]]] = {
    4: (IPv4Network("0.0.0.0/0"),),
    6: (IPv6Network("::/0"),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """One rule of a group, as `conductor.rules` lets it be."""

    direction: Direction
    family: int
    protocol: str
    port_min: int | None = None
    port_max: int | None = None
    remote: str | None = None  # CIDR; where it and the group are None: anybody
    remote_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPort:
    """What is declared of one interface."""

    mac: str
    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Compiler:
    """Resolves groups by what is known of them at one moment."""

    def __init__(
        self, rules: Mapping[str, Collection[GroupRule]], members: Mapping[str, Collection[str]]
    ) -> None:
        """`members` are the addresses of each group that a rule names."""
        self._rules = rules
        self._members = {
            (group, family): _collapsed(ip_network(a) for a in addresses if _family(a) == family)
            for group, addresses in members.items()
            for family in _ANYBODY
        }

    def filtering(self, revision: int, ports: Iterable[DeclaredPort]) -> Filtering:
        """The same for the same declarations, whatever their order."""
        filtered = sorted((port for port in ports if port.groups), key=lambda port: port.mac)
        return Filtering(revision=revision, ports=tuple(self._port(port) for port in filtered))

    def _port(self, port: DeclaredPort) -> PortRules:
        remotes: dict[_Key, list[Network]] = {}
        for group in port.groups:
            for rule in self._rules.get(group, ()):
                remotes.setdefault(_key(rule), []).extend(self._remotes(rule))
        rules = (_rule(key, found) for key, found in remotes.items() if found)
        return PortRules(
            mac=port.mac,
            groups=tuple(sorted(set(port.groups))),
            addresses=port.addresses,
            rules=tuple(sorted(rules, key=_order)),
        )

    def _remotes(self, rule: GroupRule) -> Collection[Network]:
        if rule.remote_group is not None:
            return self._members.get((rule.remote_group, rule.family), ())
        if rule.remote is None:
            return _ANYBODY[rule.family]
        return (ip_network(rule.remote),)


def _key(rule: GroupRule) -> _Key:
    return str(rule.direction), rule.family, rule.protocol, rule.port_min, rule.port_max


def _rule(key: _Key, remotes: Iterable[Network]) -> FilterRule:
    direction, family, protocol, port_min, port_max = key
    collapsed = _collapsed(remotes)
    return FilterRule(
        direction=direction,
        family=family,
        protocol=protocol,
        port_min=port_min,
        port_max=port_max,
        remotes=() if collapsed == _ANYBODY[family] else tuple(map(str, collapsed)),
    )


def _order(rule: FilterRule) -> tuple[str, int, str, int, int]:
    none = -1  # before every port
    port_min = none if rule.port_min is None else rule.port_min
    port_max = none if rule.port_max is None else rule.port_max
    return rule.direction, rule.family, rule.protocol, port_min, port_max


def _collapsed(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Each address once: nftables refuses a set whose intervals overlap."""
    return tuple(collapse_addresses(networks))  # type: ignore[type-var]  # of one family, which mypy cannot see


def _family(address: str) -> int:
    return 6 if ":" in address else 4
