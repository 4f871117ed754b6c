"""The desk of one instance: commands arrive here, are obeyed one at a time, and answered (rules 7 and 8).

What a command leads to is decided by `compute_agent.acceptance`, under the page's lock. Then, in this order: a call not
yet issued under the older epoch is stopped, the new epoch is on the disk, the older verb's worker has ended, and only
then the verb is carried out. What an overtaken worker comes out with is void.
"""

import logging
import threading
import time
from dataclasses import dataclass

from common import concurrency, log
from common.checks import CHECK_FAILED
from common.errors import LimosaError, describe
from common.migration import Acknowledgement, Command, Outcome
from common.states import Result, Verb
from compute_agent import acceptance
from compute_agent.acceptance import Decision, Entry
from compute_agent.definition_records import DefinitionRecords
from compute_agent.errors import InvalidCommandError, LedgerCorruptError
from compute_agent.events import EventHub
from compute_agent.ledger import Ledger, Page
from compute_agent.outbox import Outbox
from compute_agent.permits import Permits
from compute_agent.work import Answer, Verbs, Work

STOP_WAIT_S = 5.0
OLDER_WORK_SLICE_S = 10.0  # after which a worker that does not end is told of, again and again

_CHECKS = (Verb.CHECK_DEST, Verb.CHECK_SOURCE)

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTools:
    """What all desks of an agent work with."""

    verbs: Verbs
    records: DefinitionRecords
    permits: Permits
    outbox: Outbox
    hub: EventHub
    boot_id: str


class Desk:
    """One instance's commands."""

    def __init__(self, page: Page, tools: DeskTools) -> None:
        self._page = page
        self._verbs = tools.verbs
        self._records = tools.records
        self._permits = tools.permits
        self._outbox = tools.outbox
        self._hub = tools.hub
        self._boot_id = tools.boot_id
        self._work: Work | None = None

    def execute(self, command: Command) -> None:
        """Obey it, or answer why not; returns at once. Raises OSError if the ledger cannot be written."""
        with self._page.lock:
            try:
                entry = self._page.entry
            except LedgerCorruptError as error:
                self._refuse(command, error)
                return
            at_work = self._at_work()
            running_epoch = at_work.command.epoch if at_work is not None else None
            decision = acceptance.decide(entry, command, running_epoch=running_epoch)
            if decision is Decision.RUN:
                self._begin(entry, command)
                return
        match decision:
            case Decision.SUPERSEDED if entry is not None:
                self._outbox.send(self._superseded(entry, command), is_kept=False)
            case Decision.REPEAT if entry is not None and entry.outcome is not None:
                self._outbox.send(entry.outcome, is_kept=not entry.is_acknowledged)
            case _:
                LOG.debug("%s is at work, epoch %d", command.verb, command.epoch)

    def _refuse(self, command: Command, error: LedgerCorruptError) -> None:
        """Nothing is accepted and nothing is done; whoever asks is told why, each time."""
        LOG.error("%s is refused: %s %s", command.verb, error, error.advice)
        answer = self._failed(command, str(error))
        self._outbox.send(answer.outcome(command, boot_id=self._boot_id), is_kept=False)

    def readopt(self, command: Command) -> None:
        """Go on with what the agent before this one was doing under the epoch that the ledger has."""
        with self._page.lock:
            self._start(command, None)

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """The conductor has settled everything up to that epoch; beyond our own it has ended the migration."""
        with self._page.lock:
            # Also what a newer command has overtaken on its way into the outbox: it was dropped, and is to end here.
            self._outbox.forget(acknowledgement.instance, up_to_epoch=acknowledgement.epoch)
            entry = self._page.entry
            if entry is None or acknowledgement.epoch < entry.epoch:
                return
            self._page.keep(acceptance.acknowledge(entry, acknowledgement.epoch))
            self._page.flush()
            if acknowledgement.epoch > entry.epoch:
                self._records.remove(entry.instance)
                if entry.migration:
                    self._permits.remove(entry.migration)  # of a guest that arrived here and died

    def stop(self) -> None:
        """The agent ends: stop what can be stopped and record nothing. Jobs are libvirtd's and go on."""
        if self._work is not None:
            self._work.stop()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether nothing is at work any more."""
        return self._work is None or self._work.ended.wait(timeout_s)

    # ---- from acceptance to answer

    def _begin(self, entry: Entry | None, command: Command) -> None:
        """Rule 8, in its order. The lock is held."""
        older = self._at_work()
        if older is not None:
            older.stop()  # a: a call that it has not issued, it will not issue
        self._page.write(acceptance.accept(entry, command))  # b
        self._outbox.forget(command.instance, up_to_epoch=command.epoch)
        self._start(command, older)

    def _start(self, command: Command, older: Work | None) -> None:
        self._work = Work(command, wake=self._hub.wake)
        concurrency.spawn(self._run, self._work, older)

    def _at_work(self) -> Work | None:
        return None if self._work is None or self._work.ended.is_set() else self._work

    def _run(self, work: Work, older: Work | None) -> None:
        command = work.command
        try:
            with log.fields(
                migration=command.migration, instance=command.instance, step=command.verb, epoch=command.epoch
            ):
                self._wait_until_ended(older)  # 8c
                if not work.is_stopped:
                    self._records.remove_older(command.instance, command.migration)
                    self._permits.remove_older(command.instance, command.migration)
                    self._settle(work, *self._act(work))  # d
        finally:
            work.ended.set()

    def _wait_until_ended(self, older: Work | None) -> None:
        """Without a bound, as acting beside it could undo what it does; each thing that a verb does has one."""
        while older is not None and not older.ended.wait(OLDER_WORK_SLICE_S):
            LOG.warning("still waiting for %s, epoch %d, to end", older.command.verb, older.command.epoch)

    def _act(self, work: Work) -> tuple[Answer, float]:
        """The verb's answer and how many seconds it took. Its edge: whatever goes wrong inside becomes an answer."""
        verb = work.command.verb
        started = time.monotonic()
        LOG.debug("begins")
        try:
            function = self._verbs.get(verb)
            if function is None:
                raise InvalidCommandError(verb=verb, instance=work.command.instance, reason="unknown verb")
            answer = function(work)
        except LimosaError as error:
            answer = self._failed(work.command, describe(error))
        except Exception as error:
            LOG.exception("internal error")
            answer = self._failed(work.command, f"internal error, see the agent's log: {describe(error)}")
        return answer, time.monotonic() - started

    def _failed(self, command: Command, reason: str) -> Answer:
        findings = (CHECK_FAILED.finding(command.host, reason=reason),) if command.verb in _CHECKS else ()
        return Answer(result=Result.ERROR, detail=reason, findings=findings)

    def _settle(self, work: Work, answer: Answer, seconds: float) -> None:
        """Enter the answer into the ledger and send it, unless a newer epoch was accepted meanwhile.

        It is sent before it is written: should the agent die in between, the verb is done again, and all of them
        may be. So no fsync stands between an outcome and the conductor's next command.
        """
        command = work.command
        outcome = answer.outcome(command, boot_id=self._boot_id, seconds=seconds)
        with self._page.lock:
            settled = self._settled(work, answer, outcome)
        if settled is not None:
            self._tell(outcome)
            is_kept = settled.outcome is not None and not settled.is_acknowledged
            self._outbox.send(outcome, is_kept=is_kept)
        else:
            LOG.info("%s is void: a newer command was accepted", outcome.result)
        with self._page.lock:
            self._page.flush()

    def _settled(self, work: Work, answer: Answer, outcome: Outcome) -> Entry | None:
        entry = self._page.entry
        if entry is None:
            return None
        if answer.has_call_ended:
            entry = acceptance.call_ended(entry, outcome.epoch, by_connection_error=False)
        settled = None if work.is_stopped else acceptance.settle(entry, outcome)
        if work.is_stopped and entry.epoch == outcome.epoch:
            return None  # the agent stops: the next one does the verb again
        self._page.keep(settled or entry)
        return settled

    def _tell(self, outcome: Outcome) -> None:
        what = str(outcome.seen or outcome.result)
        level = logging.WARNING if outcome.result is Result.ERROR else logging.INFO
        LOG.log(
            level,
            "%s in %.0f ms%s",
            what,
            1000 * outcome.seconds,
            f": {outcome.detail}" if outcome.detail else "",
        )

    def _superseded(self, entry: Entry, command: Command) -> Outcome:
        if entry.epoch == command.epoch:
            LOG.error(
                "%s of %s has epoch %d, which was %s of %s: the database has lost commits, or there are two",
                command.verb,
                command.migration,
                command.epoch,
                entry.verb,
                entry.migration,
            )
        answer = Answer(result=Result.SUPERSEDED)
        return answer.outcome(command, boot_id=self._boot_id, accepted_epoch=entry.epoch)


class Desks:
    """The desks of all instances that were commanded since the start."""

    def __init__(self, ledger: Ledger, tools: DeskTools) -> None:
        self._ledger = ledger
        self._tools = tools
        self._lock = threading.Lock()
        self._desks: dict[str, Desk] = {}

    def of(self, instance: str) -> Desk:
        """Raises InvalidCommandError for what is no uuid."""
        with self._lock:
            desk = self._desks.get(instance)
            if desk is None:
                desk = self._desks[instance] = Desk(self._ledger.page(instance), self._tools)
            return desk

    def readopt(self, host: str) -> None:
        """Follow each job that the agent before this one had called and not answered (design, section 4, 8)."""
        for entry in self._ledger.entries():
            if entry.verb is Verb.LIVE and entry.called == entry.epoch and entry.outcome is None:
                command = Command(
                    instance=entry.instance,
                    migration=entry.migration,
                    epoch=entry.epoch,
                    verb=Verb.LIVE,
                    host=host,
                )
                with log.fields(migration=entry.migration, instance=entry.instance):
                    LOG.info("follows migration %s of %s again", entry.migration, entry.instance)
                self.of(entry.instance).readopt(command)

    def stop(self) -> None:
        """Stop all of them, and let what is nearly done end in order."""
        with self._lock:
            desks = tuple(self._desks.values())
        for desk in desks:
            desk.stop()
        deadline = time.monotonic() + STOP_WAIT_S
        if not all(desk.wait_until_idle(max(0.0, deadline - time.monotonic())) for desk in desks):
            LOG.warning("verbs were still at work when the agent had to stop; the next one does them again")
