"""What a conductor shows to a client of the firewall, and what administrators ask of it: see `common.views`."""

from dataclasses import dataclass

from common.filtering import PortInForce
from common.states import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """What one rule lets through. `ports` of icmp: type and code."""

    id: int
    group: str
    direction: Direction
    family: int  # 4, 6
    protocol: str  # tcp, udp, icmp, any, or a number
    port_min: int | None
    port_max: int | None
    remote: str | None  # CIDR; where it and the group are empty: anybody
    remote_group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupView:
    name: str
    description: str
    rules: tuple[RuleView, ...]
    members: int  # interfaces that are in it
    created_at: str
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortView:
    """One interface of a guest. Without a group it is not filtered."""

    instance_uuid: str
    instance_name: str
    host: str
    mac: str
    addresses: tuple[str, ...]
    groups: tuple[str, ...]
    is_present: bool  # its guest is there and has such an interface


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallView:
    """What a host filters of one guest at this moment, beside what is declared."""

    instance_uuid: str
    instance_name: str
    host: str
    driver: str  # nftables, nwfilter, none
    is_current: bool  # what is in force is what is declared
    revision: int | None  # in force; None: nothing is filtered
    declared_revision: int | None
    ports: tuple[PortInForce, ...]


# ---- requests


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRequest:
    """Make a group. It begins with two rules, which let its members send to all."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRequest:
    """Add a rule. What is not given stands for everything; `conductor.rules` says which make no sense."""

    group: str
    direction: Direction
    protocol: str = "any"  # a name or a number
    family: int | None = None  # None: that of the CIDR or the protocol, or else 4
    port_min: int | None = None
    port_max: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    remote: str | None = None  # an address or a CIDR
    remote_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRequest:
    """Say what addresses an interface has, and in which groups it is. None: as it was."""

    instance: str  # name or uuid
    mac: str
    addresses: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFilter:
    """Which interfaces to list."""

    instance: str | None = None
    group: str | None = None
