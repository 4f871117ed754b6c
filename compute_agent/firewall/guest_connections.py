"""The connections of a guest that moves: told by its source while it moves, known on its dest before it runs there.

Whose connections they are is told by addresses, so that only those of ports with declared addresses move. A connection with
another filtered guest of a host is known there by that guest's own packets, and left alone: it is not only this guest's.
"""

import ipaddress
import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from common import concurrency
from common.conductor_api import ConductorAPI
from common.connections import BATCH_MAX, Connection, ConnectionBatch
from common.errors import describe
from common.transfer import Filtering
from compute_agent.firewall import entries
from compute_agent.firewall.departing_connections import DepartingConnections
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.kept import KeptFilterings
from compute_agent.firewall.tracking import CONNECTIONS_MAX, Tracking
from compute_agent.preparing.arrivals import Arrivals

PART = "firewall"  # of the items in an arrival's record
GRACE_S = 30.0  # after a guest has come, for what its source told last
TOLD_WAIT_S = 10.0
TAKEN_MAX = 3 * CONNECTIONS_MAX  # told in bulk, then what has changed, twice

LOG = logging.getLogger(__name__)


class GuestConnections:
    """Both halves, for one host."""

    def __init__(
        self,
        kept: KeptFilterings,
        tracking: Tracking,
        conductor: ConductorAPI,
        *,
        arrivals: Arrivals,
        host: str,
    ) -> None:
        self._kept = kept
        self._tracking = tracking
        self._conductor = conductor
        self._arrivals = arrivals
        self._host = host
        self._departing: dict[str, DepartingConnections] = {}  # by instance
        self._lock = threading.Lock()  # of what is taken and undone
        self._taken: dict[str, int] = {}  # by migration
        self._grace: dict[str, tuple[str, float]] = {}  # by migration: instance, and until when
        self._undone: set[str] = set()  # migrations that are being undone

    # ---- on the source

    @contextmanager
    def told(self, *, instance: str, migration: str, declared: Filtering) -> Iterator[None]:
        """Tell the dest of them inside the block, beside what is done there, and once more when it ends."""
        kept = self._kept.get(instance)
        addresses = addresses_of(kept.filtering if kept is not None else declared)
        if not addresses:
            yield
            return

        def send(connections: tuple[Connection, ...]) -> None:
            batch = ConnectionBatch(
                host=self._host, instance=instance, migration=migration, connections=connections
            )
            self._conductor.relay_connections(batch)

        departing = self._departing[instance] = DepartingConnections(
            self._tracking, addresses=addresses, send=send
        )
        try:
            yield
        finally:
            departing.end()

    def on_pause(self, instance: str) -> None:
        """The guest stands still: what is known of it now is what its dest must know."""
        departing = self._departing.get(instance)
        if departing is not None:
            departing.tell_again()

    def forget_departed(self, instance: str, declared: Filtering) -> None:
        """It has left: know nothing of its connections any more."""
        departing = self._departing.pop(instance, None)
        if departing is not None:
            with suppress(concurrency.TaskTimeout):
                departing.wait(TOLD_WAIT_S)
        kept = self._kept.get(instance)
        self._forget(instance, addresses_of(kept.filtering if kept is not None else declared))

    # ---- on the dest

    def take(self, batch: ConnectionBatch) -> None:
        """Know them, if they are of a guest that is to come here, or has just come. Nothing else is believed."""
        with self._lock:
            if not self._is_expected(batch):
                LOG.info(
                    "connections of %s are not taken: it is not on its way here", f"{batch.instance:.80}"
                )
                return
            own, others = self._addresses(batch.instance)
            room = max(0, TAKEN_MAX - self._taken.get(batch.migration, 0))
            taken = tuple(
                each
                for each in batch.connections[: min(BATCH_MAX, room)]
                if entries.is_sound(each) and _is_only_of(each, own, others)
            )
            self._taken[batch.migration] = self._taken.get(batch.migration, 0) + len(batch.connections)
            try:
                self._tracking.put(taken)
            except FirewallError as error:
                LOG.warning("%d connections are not known here: %s", len(taken), describe(error))

    def has_come(self, *, instance: str, migration: str) -> None:
        """Its arrival is complete: what is still on the way is taken, later news is not."""
        now = time.monotonic()
        with self._lock:
            self._grace = {each: kept for each, kept in self._grace.items() if kept[1] > now}
            self._grace[migration] = (instance, now + GRACE_S)
            self._taken = {each: count for each, count in self._taken.items() if each in self._grace}

    @contextmanager
    def undone(self, *, instance: str, migration: str) -> Iterator[None]:
        """It does not come: take nothing more inside the block, and know nothing of it."""
        with self._lock:
            self._undone.add(migration)
            self._taken.pop(migration, None)
        try:
            own, _ = self._addresses(instance)
            self._forget(instance, own)
            yield
        finally:
            self._undone.discard(migration)

    def _is_expected(self, batch: ConnectionBatch) -> bool:
        if batch.migration in self._undone:
            return False
        instance, until = self._grace.get(batch.migration, ("", 0.0))
        if instance == batch.instance and time.monotonic() < until:
            return True
        return any(
            record.migration == batch.migration and record.instance == batch.instance and record.items(PART)
            for record in self._arrivals.all()
        )

    # ---- on both

    def _forget(self, instance: str, own: Collection[str]) -> None:
        """What cannot be forgotten ends by its own timeout: no reason to keep a migration open."""
        if not own:
            return
        try:
            _, others = self._addresses(instance)
            known = self._tracking.of(own)
            self._tracking.remove([each for each in known if _is_only_of(each, own, others)])
        except FirewallError as error:
            LOG.warning("connections of %s are not forgotten: %s", instance, describe(error))

    def _addresses(self, instance: str) -> tuple[Collection[str], Collection[str]]:
        """Those of this guest, and those of other filtered guests here."""
        own: frozenset[str] = frozenset()
        others: frozenset[str] = frozenset()
        for kept in self._kept.all():
            if kept.instance == instance:
                own = addresses_of(kept.filtering)
            else:
                others |= addresses_of(kept.filtering)
        return own, others


def addresses_of(filtering: Filtering) -> frozenset[str]:
    """The single addresses among those that are declared, as the kernel writes them."""
    return frozenset(
        str(network.network_address)
        for port in filtering.ports
        for network in (ipaddress.ip_network(address, strict=False) for address in port.addresses)
        if network.num_addresses == 1
    )


def _is_only_of(connection: Connection, own: Collection[str], others: Collection[str]) -> bool:
    ends = {str(ipaddress.ip_address(each)) for each in (connection.source, connection.destination)}
    return bool(ends & set(own)) and not ends & set(others)
