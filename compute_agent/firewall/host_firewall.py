"""The firewall of one host: it keeps what conductors tell of the guests here, and has its driver make it so.

Whose rules these are: a conductor tells them, in answer to a question (at start, now and then, and when it says that some
have changed) or with a migration. A host keeps the highest revision that it was told; of a guest that nobody tells it about
any more, it keeps the rules for as long as the guest is here. An agent that ends leaves all of it in force.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Self

from common import concurrency
from common.conductor_api import ConductorAPI
from common.connections import ConnectionBatch
from common.errors import LimosaError, ServiceUnreachableError, describe
from common.facts import InterfaceFacts
from common.filtering import FilteringInForce
from common.transfer import Filtering, InterfaceChange
from compute_agent.firewall.driver import FirewallDriver
from compute_agent.firewall.guest_connections import GuestConnections
from compute_agent.firewall.guests import without_automatic_taps
from compute_agent.firewall.kept import Kept, KeptFilterings
from compute_agent.firewall.registry import make_driver
from compute_agent.firewall.tracking import ConnectionTracking
from compute_agent.hypervisor.driver import EventKind, Hypervisor, HypervisorEvent
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError, HypervisorError
from compute_agent.preparing.arrivals import Arrivals
from compute_agent.settings import Settings

STOP_WAIT_S = 1.0
_NEW_INTERFACES = (EventKind.STARTED, EventKind.STOPPED, EventKind.RESUMED, EventKind.CHANGED)

LOG = logging.getLogger(__name__)


def _has_link(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


class HostFirewall:
    """See `compute_agent.filtering.Firewall`; the rest is for migrations."""

    def __init__(
        self,
        driver: FirewallDriver,
        kept: KeptFilterings,
        hypervisor: Hypervisor,
        conductor: ConductorAPI,
        *,
        connections: GuestConnections,
        host: str,
        refresh_interval_s: float = 60.0,
        has_link: Callable[[str], bool] = _has_link,
    ) -> None:
        self.driver = driver
        self.connections = connections
        self._kept = kept
        self._hypervisor = hypervisor
        self._conductor = conductor
        self._host = host
        self._interval_s = refresh_interval_s
        self._has_link = has_link
        self._lock = threading.Lock()  # what is kept, and the driver: one change at a time
        self._told = (
            0  # changes that came with migrations: an answer that was asked for before one of them is older
        )
        self._told_at: dict[str, int] = {}
        self._news = threading.Event()
        self._to_look_at: set[str] = set()
        self._is_asking_due = True
        self._is_stopping = False
        self._task: concurrency.Task[None] | None = None

    @classmethod
    def of(
        cls, settings: Settings, hypervisor: Hypervisor, conductor: ConductorAPI, *, arrivals: Arrivals
    ) -> Self:
        """That of this host; nothing is changed before `start`."""
        kept = KeptFilterings(settings.state_path)
        connections = GuestConnections(
            kept, ConnectionTracking(), conductor, arrivals=arrivals, host=settings.host
        )
        return cls(
            make_driver(settings.firewall, hypervisor),
            kept,
            hypervisor,
            conductor,
            connections=connections,
            host=settings.host,
            refresh_interval_s=settings.firewall.refresh_interval_s,
        )

    def start(self) -> None:
        """Put in force what was kept, and keep it up to date from now on."""
        self._task = concurrency.spawn(self._run)

    def stop(self) -> None:
        """The rules stay. A conductor that is being asked, and silent, is not waited for."""
        self._is_stopping = True
        self._news.set()
        if self._task is not None:
            with suppress(concurrency.TaskTimeout):
                self._task.wait(STOP_WAIT_S)

    # ---- asked by conductors

    def refresh(self) -> None:
        self._is_asking_due = True
        self._news.set()

    def show(self, instance: str) -> FilteringInForce:
        return self.driver.in_force(instance)

    def take_connections(self, batch: ConnectionBatch) -> None:
        self.connections.take(batch)

    # ---- told by libvirt

    def on_event(self, event: HypervisorEvent) -> None:
        """A guest that has started has new taps, one that has stopped none; one that is paused may be about to move."""
        if event.kind is EventKind.SUSPENDED:
            self.connections.on_pause(event.uuid)
        elif event.kind is EventKind.RELIST:
            self.refresh()
        elif event.kind in _NEW_INTERFACES and self._kept.get(event.uuid) is not None:
            self._to_look_at.add(event.uuid)
            self._news.set()

    # ---- migrations

    def filtering_of(self, instance: str, declared: Filtering) -> Filtering:
        """What is to be in force of it: what was declared, or what this host was told since."""
        kept = self._kept.get(instance)
        return (
            kept.filtering if kept is not None and kept.filtering.revision > declared.revision else declared
        )

    def expect(
        self, instance: str, declared: Filtering, interfaces: Iterable[InterfaceFacts]
    ) -> tuple[InterfaceChange, ...]:
        """Put its rules in force before it comes, and say what its XML must be changed to. Raises LimosaError."""
        with self._lock:
            filtering = self.filtering_of(instance, declared)
            kept = Kept(
                instance=instance, filtering=filtering, interfaces=self._coming(interfaces), is_arriving=True
            )
            self.driver.refuse_unfit(kept.guest)
            self._note_told(instance)
            self._kept.put(kept)
            self._apply()
            return self.driver.changes(kept.guest, kept.interfaces)

    def settle(self, instance: str) -> None:
        """It has come, or has other interfaces: meet it by those that it has. Raises LimosaError."""
        with self._lock:
            if self._look_at(instance):
                self._apply()

    def forget(self, instance: str) -> bool:
        """It is not here (any more): release its rules. Whether there were any. Raises LimosaError."""
        with self._lock:
            kept = self._kept.get(instance)
            if kept is None:
                return False
            self._note_told(instance)
            self._kept.remove(instance)
            self._apply()
            return bool(kept.filtering.ports)

    # ---- keeping up

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self._turn()
            except LimosaError as error:
                LOG.error("the firewall is not as it should be, it is tried again: %s", describe(error))
            except Exception:
                LOG.exception("the firewall's turn broke, it is tried again")
            if not self._news.wait(self._interval_s):
                self._is_asking_due = True
            self._news.clear()

    def _turn(self) -> None:
        """Look at the guests that have changed, ask if that is due, and apply: also what somebody else has removed."""
        is_asking, self._is_asking_due = self._is_asking_due, False
        with self._lock:
            changed, self._to_look_at = self._to_look_at, set()
            for kept in self._kept.all():
                if is_asking or kept.is_arriving or kept.instance in changed:
                    self._look_at_one_of_many(kept.instance)
            self._apply()
            asked_at = self._told
        if is_asking:
            self._ask(asked_at)

    def _ask(self, asked_at: int) -> None:
        try:
            told = self._conductor.filtering_of_host(self._host)
        except ServiceUnreachableError as error:
            LOG.warning(
                "no conductor tells the rules of the guests here, those that are known stand: %s", error
            )
            return
        with self._lock:
            self._take({each.instance: each.filtering for each in told}, asked_at=asked_at)
            self._apply()

    def _take(self, told: Mapping[str, Filtering], *, asked_at: int) -> None:
        """Keep what is newer. What migrations have told since we asked is left alone: the answer may not know of it."""
        self._told_at = {instance: at for instance, at in self._told_at.items() if at > asked_at}
        for instance, filtering in told.items():
            if instance not in self._told_at:
                self._keep(instance, filtering)
        for kept in self._kept.all():
            is_known = kept.instance in told or kept.instance in self._told_at or kept.is_arriving
            if not is_known and self._is_gone(kept.instance):
                self._kept.remove(kept.instance)
                LOG.info("the rules of %s are released: it is not here any more", kept.instance)

    def _keep(self, instance: str, filtering: Filtering) -> None:
        kept = self._kept.get(instance)
        if kept is None and (not filtering.ports or self._is_gone(instance)):
            return  # one that is to come is told of with its migration
        if kept is None:
            kept = Kept(instance=instance, filtering=Filtering())
        if filtering.revision < kept.filtering.revision or filtering == kept.filtering:
            return
        new = replace(kept, filtering=filtering)
        try:
            self.driver.refuse_unfit(new.guest)
        except LimosaError as error:
            LOG.error("revision %d of the rules of %s: %s", filtering.revision, instance, describe(error))
            return
        self._kept.put(new)
        self._look_at_one_of_many(instance)
        LOG.info(
            "%s is filtered by revision %d, %d ports", instance, filtering.revision, len(filtering.ports)
        )

    def _look_at_one_of_many(self, instance: str) -> None:
        """One that cannot be met as it is now stops nothing: the rules of all others wait for this."""
        try:
            self._look_at(instance)
        except LimosaError as error:
            LOG.error("%s is filtered by the interfaces that it had before: %s", instance, describe(error))

    def _look_at(self, instance: str) -> bool:
        """Whether it is met by other interfaces than before. An incoming half is no guest yet, and stays as expected."""
        kept = self._kept.get(instance)
        if kept is None:
            return False
        try:
            interfaces = self._hypervisor.guest_facts(instance).interfaces
        except DomainNotFoundError:
            if kept.is_arriving:
                return False
            interfaces = without_automatic_taps(kept.interfaces)
        except HypervisorError:
            return False
        seen = Kept(instance=instance, filtering=kept.filtering, interfaces=interfaces)
        if seen == kept:
            return False
        self.driver.refuse_unfit(seen.guest)
        self._kept.put(seen)
        return True

    def _coming(self, interfaces: Iterable[InterfaceFacts]) -> tuple[InterfaceFacts, ...]:
        """As they are to be here: a tap whose name another guest's has gets another one, and leaves that guest alone."""
        return tuple(
            replace(interface, tap="") if interface.tap and self._has_link(interface.tap) else interface
            for interface in interfaces
        )

    def _is_gone(self, instance: str) -> bool:
        try:
            self._hypervisor.guest_facts(instance)
        except DomainNotFoundError:
            return True
        except HypervisorError:
            return False
        return False

    def _note_told(self, instance: str) -> None:
        self._told += 1
        self._told_at[instance] = self._told

    def _apply(self) -> None:
        self.driver.apply([kept.guest for kept in self._kept.all()])
