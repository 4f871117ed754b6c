"""Every migrateToURI3 that this host has issued and that is not known to have ended (rules 9 and 10).

A call outlives the command that issued it: a newer epoch stops the command's worker, never the call. So the calls
stand here, each in a thread of its own, and tell the ledger when they end.
"""

import logging
import threading

from common import concurrency
from common.migration import JobStatistics
from compute_agent import acceptance
from compute_agent.acceptance import Entry
from compute_agent.events import EventHub
from compute_agent.hypervisor.driver import MigrationCall
from compute_agent.hypervisor.libvirt_errors import HypervisorError, HypervisorUnreachableError
from compute_agent.ledger import Page
from compute_agent.liveness import Liveness
from compute_agent.work import Work

LOG = logging.getLogger(__name__)


class Call:
    """One migrateToURI3, from right before it is issued until it has returned."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.has_returned = False
        self.statistics: JobStatistics | None = None
        self.error: BaseException | None = None

    @property
    def is_connection_lost(self) -> bool:
        """It returned without an answer: libvirtd may still hold the request."""
        return isinstance(self.error, HypervisorUnreachableError)


class Calls:
    """All calls of this process, and what the ledger knows of those of the process before."""

    def __init__(self, hub: EventHub, liveness: Liveness, *, drain_s: float) -> None:
        self._hub = hub
        self._liveness = liveness
        self._drain_s = drain_s
        self._at_work: dict[str, Call] = {}
        self._with_job: set[str] = set()  # instances whose migration's job was seen at the last look
        # Epochs of calls that have ended, while the ledger's entry is still that of their own command.
        self._seen_to_end: dict[str, int] = {}
        self._lock = threading.Lock()

    def issue(self, page: Page, work: Work, prepared: MigrationCall) -> Call | None:
        """Write `called` and issue it; None if a newer command was accepted, or another call is at work (rule 9)."""
        command = work.command
        with page.lock:
            entry = page.entry
            if entry is None or work.is_stopped or self.is_at_work(command.instance):
                return None
            called = acceptance.call(entry, command.epoch)
            if called is None:
                return None
            page.write(called)
            self._with_job.discard(command.instance)  # what was seen before was not the job of this call
            return self.run(page, command.instance, command.epoch, prepared)

    def run(self, page: Page, instance: str, epoch: int, prepared: MigrationCall) -> Call:
        """Issue a call that needs no fence of its own: it can only continue what was begun (post-copy's recovery)."""
        call = Call(epoch)
        with self._lock:
            self._at_work[instance] = call
        concurrency.spawn(self._run, page, instance, call, prepared)
        return call

    def is_at_work(self, instance: str) -> bool:
        """Whether a call of this process has not returned."""
        with self._lock:
            return instance in self._at_work

    def is_in_flight(
        self, entry: Entry | None, *, instance: str, was_at_work: bool, is_domain_active: bool
    ) -> bool:
        """Rule 10. `was_at_work` is from before the look at the domain: a call that ended since may have moved it."""
        if entry is not None and entry.called == self._seen_to_end.get(instance):
            return was_at_work
        return acceptance.is_call_in_flight(
            entry,
            is_thread_alive=was_at_work,
            is_domain_active=is_domain_active,
            answering_for_s=self._liveness.answering_for_s,
            drain_s=self._drain_s,
        )

    def note_job(self, page: Page, instance: str, *, is_there: bool) -> None:
        """A look at libvirt's job: one that was seen, and then is seen to be over, was that of the call."""
        if is_there:
            self._with_job.add(instance)
        elif instance in self._with_job:
            self._with_job.discard(instance)
            self.ended(page, instance)

    def ended(self, page: Page, instance: str) -> None:
        """No call is in flight any more: its job was seen to be over, its guest has gone, or its drain has passed.

        The entry of the call itself keeps `called`: a redelivery must find that it was issued once. Any other forgets.
        """
        with page.lock:
            entry = page.entry
            if entry is None or entry.called is None:
                return
            if entry.epoch == entry.called:
                self._seen_to_end[instance] = entry.called
                return
            self._seen_to_end.pop(instance, None)
            page.keep(acceptance.job_ended(entry))
            page.flush()

    def _run(self, page: Page, instance: str, call: Call, prepared: MigrationCall) -> None:
        try:
            call.statistics = prepared.issue()
        except HypervisorError as error:
            call.error = error
        except Exception as error:
            LOG.exception("the call of epoch %d broke", call.epoch)
            call.error = HypervisorUnreachableError(uri="", reason=repr(error))
        finally:
            self._returned(page, instance, call)

    def _returned(self, page: Page, instance: str, call: Call) -> None:
        if call.is_connection_lost:
            self._liveness.connection_broke()
        with page.lock:
            call.has_returned = True
            with self._lock:
                if self._at_work.get(instance) is call:  # a recovery may be tried again beside it
                    del self._at_work[instance]
            entry = page.entry
            if (
                entry is not None and entry.epoch != call.epoch
            ):  # else it is settled with the outcome, in one piece
                page.keep(
                    acceptance.call_ended(entry, call.epoch, by_connection_error=call.is_connection_lost)
                )
                page.flush()
        self._hub.wake(instance)
