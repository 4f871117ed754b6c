"""When a managed network stands on this host, and the only ones who make and remove it.

It stands while an administrator has attached it, while a domain that is defined or active here names its bridge, while a
guest is on its way here, while one that leaves is looked at through it, and while anything but its own device is in its
bridge.

Whoever looks whether that is so, and then removes it, holds the network's lock. So does whoever brings a guest: he writes
that the guest comes, and makes what it needs, in one hold. A guest that comes is seen, or finds nothing and makes it anew.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from common.errors import LimosaError
from common.facts import HostFacts
from common.network_views import HostNetworks
from common.transfer import ManagedNetwork
from compute_agent.errors import NetworkUnusableError
from compute_agent.hypervisor.bridges import Bridges, BridgeUsers
from compute_agent.managed_networks.known import KnownNetworks
from compute_agent.managed_networks.standing import StandingNetworks
from compute_agent.preparing.arrivals import ArrivalRecord, Arrivals, Item

PART = "networks"  # of the items in an arrival's record
_KIND = "network"

LEAVING_S = 30.0  # after the call: then the conductor is away, and nobody comes to look
_LEAVING_MAX_S = 7 * 86_400.0  # no call lasts so long

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """Who needs a network here, as it was asked in one hold of the lock."""

    names: frozenset[str]  # attached, or of guests that come
    users: BridgeUsers

    def of(self, name: str, *, bridge: str) -> bool:
        return name in self.names or bool(self.users.get(bridge))


class _Locks:
    """One for each network: many may be made at once."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    @contextmanager
    def of(self, names: Collection[str]) -> Iterator[None]:
        """Hold those of all these networks; always in one order, so that nobody waits for somebody who waits."""
        with ExitStack() as held:
            for name in sorted(names):
                with self._lock:
                    lock = self._locks[name]
                held.enter_context(lock)
            yield


class NetworkKeeper:
    """All methods may be called from several green threads."""

    def __init__(
        self,
        standing: StandingNetworks,
        known: KnownNetworks,
        *,
        hypervisor: Bridges,
        arrivals: Arrivals,
        vtep_address: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._standing = standing
        self._known = known
        self._hypervisor = hypervisor
        self._arrivals = arrivals
        self._vtep_address = vtep_address
        self._clock = clock
        self._locks = _Locks()
        self._leaving: dict[str, tuple[frozenset[str], float]] = {}  # by migration: networks, and until when
        self._problems: dict[str, str] = {}
        self._names: frozenset[str] = frozenset()
        self.on_change: Callable[[], None] = lambda: None  # what `with_networks` says is another now

    def begin(self) -> None:
        """Before anything is made here: remove what an agent before this one has left unfinished."""
        try:
            self._standing.remove_unfinished()
        except LimosaError as error:
            LOG.warning("the links here could not be looked at: %s", error)

    # ---- for a guest that comes

    def bring(self, network: ManagedNetwork, record: ArrivalRecord) -> None:
        """Have it stand for a guest that comes. Raises NetworkUnusableError, LinkError."""
        item = Item(part=PART, kind=_KIND, name=network.name, identity={"bridge": network.bridge})
        with self._locks.of({network.name}):
            record.write(item)
            if self._standing.stand(network, vteps=self._vteps()):
                LOG.info("network %s stands here now: a guest that comes is in it", network.name)

    def forget(self, record: ArrivalRecord) -> tuple[str, ...]:
        """The guest does not come, or is here and counts by itself: the networks that nobody needs any more are removed."""
        items = [item for item in record.items(PART) if item.kind == _KIND]
        names = frozenset(item.name for item in items)
        with self._locks.of(names):
            for item in items:
                record.forget(item)
            return self._settle_only(names)

    @contextmanager
    def leaving(self, migration: str, networks: tuple[ManagedNetwork, ...]) -> Iterator[None]:
        """Around the call: they stay until `leave`, or LEAVING_S after it, for the guest to be looked at through them."""
        if not networks:
            yield
            return
        names = frozenset(network.name for network in networks)
        self._leaving[migration] = (names, self._clock() + _LEAVING_MAX_S)
        try:
            yield
        finally:
            self._leaving[migration] = (names, self._clock() + LEAVING_S)

    def leave(self, migration: str, networks: tuple[ManagedNetwork, ...]) -> tuple[str, ...]:
        """A guest of these has left: those that nobody needs any more are removed."""
        self._leaving.pop(migration, None)
        names = frozenset(network.name for network in networks)
        with self._locks.of(names):
            return self._settle_only(names)

    # ---- whatever happens besides

    def settle(self) -> None:
        """Make what is missing and remove what is not needed. What cannot be done now is logged, and done later."""
        before = (self._names, dict(self._problems))
        try:
            self._settle()
        except LimosaError as error:
            LOG.warning("the networks here could not be looked at: %s", error)
        if before != (self._names, self._problems):
            self.on_change()

    def pull(self) -> None:
        """Ask what is declared, and see that it is so."""
        self._known.pull()
        self.settle()

    def with_networks(self, facts: HostFacts) -> HostFacts:
        """The same with what there is to report of networks, as `settle` has found it last."""
        return replace(
            facts,
            vtep_address=self._vtep_address,
            networks=tuple(sorted(self._names)),
            network_problems=tuple(sorted(self._problems.items())),
        )

    # ---- within

    def _settle(self) -> None:
        known, names = self._known.latest, frozenset(self._standing.bridges())
        if known is not None:
            names |= {network.name for network in known.networks}
        if known is not None and names:
            with self._locks.of(names):
                standing = {
                    name: bridge for name, bridge in self._standing.bridges().items() if name in names
                }
                need = self._need(known)
                self._problems = dict(self._make_needed(known, need))
                for sentence in self._remove_unneeded(standing, need):
                    LOG.info("%s", sentence)
        self._names = frozenset(self._standing.bridges())

    def _settle_only(self, names: frozenset[str]) -> tuple[str, ...]:
        """Remove those of these that nobody needs; sentences of what was done. Their locks are held."""
        known, standing = self._known.latest, self._standing.bridges()
        found = {name: bridge for name, bridge in standing.items() if name in names}
        if known is None or not found:  # what is attached is not known: it stays until a conductor tells
            return ()
        return tuple(self._remove_unneeded(found, self._need(known)))

    def _need(self, known: HostNetworks) -> _Need:
        """As it is now. Guests that come are looked for first: one that arrives in between is in libvirt by then."""
        coming = frozenset(item.name for record in self._arrivals.all() for item in record.items(PART))
        names = coming | self._looked_through() | frozenset(known.attached)
        return _Need(names=names, users=self._hypervisor.bridge_users())

    def _looked_through(self) -> frozenset[str]:
        now_s = self._clock()
        for migration, (_, until_s) in tuple(self._leaving.items()):
            if until_s < now_s:
                self._leaving.pop(migration, None)
        return frozenset().union(*(names for names, _ in tuple(self._leaving.values())))

    def _make_needed(self, known: HostNetworks, need: _Need) -> Iterator[tuple[str, str]]:
        """Name and reason of each that cannot be made."""
        for network in known.networks:
            if not need.of(network.name, bridge=network.bridge):
                continue
            try:
                if self._standing.stand(network, vteps=known.vteps):
                    LOG.info("network %s stands here now", network.name)
            except NetworkUnusableError as error:
                reason = error.fields["reason"]
                if self._problems.get(network.name) != reason:
                    LOG.warning("%s", error)
                yield network.name, reason

    def _remove_unneeded(self, standing: Mapping[str, str], need: _Need) -> Iterator[str]:
        """A sentence for each that was removed."""
        for name, bridge in sorted(standing.items()):
            if need.of(name, bridge=bridge) or self._standing.ports(name):
                continue
            if self._standing.remove(name):
                yield f"network {name} was removed: no guest here needs it any more"

    def _vteps(self) -> tuple[str, ...]:
        return () if self._known.latest is None else self._known.latest.vteps
