"""What conductors and hosts tell each other of the firewall: the rules of a host's guests, and what is in force there."""

from dataclasses import dataclass, field

from common.transfer import Filtering


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFiltering:
    """The rules of one guest. Without ports: there are none any more, and what stood is to be released."""

    instance: str  # uuid
    filtering: Filtering = field(default_factory=Filtering)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortInForce:
    """The rules of one interface as they stand, in the language of whatever filters there."""

    mac: str
    tap: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteringInForce:
    """What a host filters of one guest at this moment, read back from where it is done, not from what was ordered."""

    driver: str  # nftables, nwfilter, none
    revision: int | None = None  # of the rules that stand; None: none do
    ports: tuple[PortInForce, ...] = ()
