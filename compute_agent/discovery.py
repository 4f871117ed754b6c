"""What this host reports of itself: all guests at start and now and then, each change at once, and signs of life.

libvirt's events are hints that something should be looked at; what is reported is what the look finds. A burst becomes
one report, and a guest that is as it was reported last is not reported again, except in a full listing.
"""

import logging
import threading
import uuid
from collections.abc import Callable
from importlib import metadata

from common import concurrency
from common.conductor_api import ConductorAPI
from common.errors import describe
from common.facts import GuestFacts, Heartbeat, HostFacts, Report
from common.rpc import BusError
from compute_agent.hypervisor.driver import EventKind, Hypervisor, HypervisorEvent
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError, HypervisorError
from compute_agent.settings import Settings

COALESCE_S = 0.3  # a start, a stop, a migration are several events each
LOOK_AGAIN_AFTER_S = 1.0  # libvirt 9.0 sends no event when it undefines a guest that it has migrated away
RETRY_AFTER_S = 5.0
CHANGES_MAX = 200  # beyond that, listing everything costs less
STOP_SLICE_S = 1.0

_NO_NEWS = (EventKind.ITERATION, EventKind.JOB_COMPLETED, EventKind.DISCONNECTED)

VERSION = metadata.version("limosa")

LOG = logging.getLogger(__name__)


class Discovery:
    """Reports of one run of the agent; all of them are made by one thread, in the order of their sequence."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        conductor: ConductorAPI,
        settings: Settings,
        *,
        further_facts: Callable[[HostFacts], HostFacts] = lambda facts: facts,
    ) -> None:
        """`further_facts` adds to a host's facts what no hypervisor knows."""
        self._hypervisor = hypervisor
        self._conductor = conductor
        self._settings = settings
        self._further_facts = further_facts
        self._start_id = str(uuid.uuid4())
        self._sequence = 0
        self._heartbeats = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._changed: set[str] = set()
        self._to_see_again: set[str] = set()
        self._is_full_due = True
        self._reported: dict[str, GuestFacts] = {}
        self._repeating: list[concurrency.Repeating] = []
        self._reporter: concurrency.Task[None] | None = None

    def start(self) -> None:
        self._reporter = concurrency.spawn(self._run)
        self._repeating = [
            concurrency.every(self._settings.heartbeat_interval_s, self._say_alive),
            concurrency.every(self._settings.full_report_interval_s, self.request_full_report),
        ]

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()
        for repeating in self._repeating:
            repeating.stop()
        if self._reporter is not None:
            self._reporter.wait(2 * STOP_SLICE_S)

    # ---- what there is to report

    def on_event(self, event: HypervisorEvent) -> None:
        if event.kind is EventKind.RELIST:
            self.request_full_report()
        elif event.kind not in _NO_NEWS:
            self.look_at(event.uuid, again=event.kind is EventKind.STOPPED)

    def look_at(self, instance: str, *, again: bool = False) -> None:
        """Something may have changed there; `again`: more may follow of which libvirt does not tell."""
        with self._lock:
            self._changed.add(instance)
            if again:
                self._to_see_again.add(instance)
            if len(self._changed) > CHANGES_MAX:
                self._is_full_due = True
        self._news.set()

    def request_full_report(self) -> None:
        with self._lock:
            self._is_full_due = True
        self._news.set()

    # ---- the one who reports

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait(self._pause_s())
            self._news.clear()
            self._stopping.wait(0.0 if self._is_full_due else COALESCE_S)
            if not self._stopping.is_set():
                self._report()

    def _pause_s(self) -> float:
        """How long nothing needs to be done if nothing happens."""
        return LOOK_AGAIN_AFTER_S if self._to_see_again else self._settings.full_report_interval_s

    def _report(self) -> None:
        with self._lock:
            is_full, changed = self._is_full_due, self._changed | self._to_see_again
            # What is to be seen again stays for one more turn, unless that was this one.
            self._to_see_again &= self._changed
            self._is_full_due, self._changed = False, set()
        try:
            report = self._full() if is_full else self._changes(changed)
            if report is not None:
                self._conductor.report(report)
        except (HypervisorError, BusError) as error:
            LOG.warning("the guests here could not be reported, it is tried again: %s", describe(error))
            self._news.wait(RETRY_AFTER_S)  # a libvirtd that comes back is news
            self.request_full_report()

    def _full(self) -> Report:
        guests = self._hypervisor.list_guests()
        facts = self._further_facts(self._hypervisor.host_facts())
        self._reported = {guest.uuid: guest for guest in guests}
        LOG.debug("full report: %d guests", len(guests))
        return Report(
            host=self._settings.host,
            start_id=self._start_id,
            sequence=self._next_sequence(),
            is_full=True,
            guests=guests,
            facts=facts,
        )

    def _changes(self, instances: set[str]) -> Report | None:
        guests, gone = [], []
        for instance in sorted(instances):
            try:
                guest = self._hypervisor.guest_facts(instance)
            except DomainNotFoundError:
                if self._reported.pop(instance, None) is not None:
                    gone.append(instance)
                continue
            if self._reported.get(instance) != guest:
                self._reported[instance] = guest
                guests.append(guest)
        if not guests and not gone:
            return None
        for guest in guests:
            LOG.info("guest %s (%s) is %s", guest.name, guest.uuid, guest.power_state)
        for instance in gone:
            LOG.info("guest %s is gone from here", instance)
        return Report(
            host=self._settings.host,
            start_id=self._start_id,
            sequence=self._next_sequence(),
            is_full=False,
            guests=tuple(guests),
            gone=tuple(gone),
        )

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    # ---- signs of life

    def _say_alive(self) -> None:
        self._heartbeats += 1
        heartbeat = Heartbeat(
            host=self._settings.host,
            start_id=self._start_id,
            sequence=self._heartbeats,
            hypervisor_age_s=self._hypervisor.age_s,
            interval_s=self._settings.heartbeat_interval_s,
            version=VERSION,
        )
        try:
            self._conductor.heartbeat(heartbeat)
        except BusError as error:
            LOG.warning("no sign of life could be sent: %s", error)
