"""A driver of the firewall that keeps what it is told."""

from collections.abc import Collection, Iterable, Sequence

from common.connections import Connection
from common.facts import InterfaceFacts
from common.filtering import FilteringInForce
from common.transfer import Filtering, InterfaceChange
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guests import FilteredGuest
from compute_agent.firewall.nftables import NftablesDriver
from compute_agent.firewall.settings import FirewallSettings


class FakeFirewallDriver:
    """See `compute_agent.firewall.driver.FirewallDriver`."""

    name = "fake"

    def __init__(self) -> None:
        self.applied: dict[str, FilteredGuest] = {}
        self.unfit: set[str] = set()  # instances whose rules cannot be made
        self.reasons: tuple[str, ...] = ()
        self.is_broken = False

    def refuse_unfit(self, guest: FilteredGuest) -> None:
        if guest.instance in self.unfit:
            raise FirewallError(driver=self.name, reason="unfit")

    def apply(self, guests: Sequence[FilteredGuest]) -> None:
        if self.is_broken:
            raise FirewallError(driver=self.name, reason="broken")
        self.applied = {guest.instance: guest for guest in guests if guest.ports}

    def in_force(self, instance: str) -> FilteringInForce:
        guest = self.applied.get(instance)
        return FilteringInForce(driver=self.name, revision=guest.revision if guest else None)

    def problems(self, filtering: Filtering) -> Iterable[str]:
        return self.reasons

    def changes(
        self, guest: FilteredGuest, interfaces: Iterable[InterfaceFacts]
    ) -> tuple[InterfaceChange, ...]:
        return NftablesDriver(FirewallSettings()).changes(guest, interfaces)


class FakeTracking:
    """See `compute_agent.firewall.tracking.Tracking`."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Connection] = {}
        self.is_broken = False

    def of(self, addresses: Collection[str]) -> tuple[Connection, ...]:
        self._require_works()
        return tuple(each for each in self.known.values() if {each.source, each.destination} & set(addresses))

    def put(self, connections: Sequence[Connection]) -> None:
        self._require_works()
        self.known.update({_key(each): each for each in connections})

    def remove(self, connections: Sequence[Connection]) -> None:
        self._require_works()
        for each in connections:
            self.known.pop(_key(each), None)

    def _require_works(self) -> None:
        if self.is_broken:
            raise FirewallError(driver="conntrack", reason="broken")


def _key(connection: Connection) -> tuple[object, ...]:
    return (
        connection.protocol,
        connection.source,
        connection.source_port,
        connection.destination,
        connection.destination_port,
    )
