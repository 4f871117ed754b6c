"""The saga engine: a migration's row and an event in, the next row, its journal lines and its command out.

Pure: no clock, no I/O, no configuration. Whoever calls it reads the row, calls `advance`, commits the result in one
transaction that compares the row's version, and only then sends the command (write ahead). Nobody owns a
migration: any conductor that receives an event may advance it, and of two that try, one commits.

The numbers of rules in comments are those of the protocol, docs/protocol.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from common.checks import Finding
from common.migration import (
    CheckDestArguments,
    DestinationFacts,
    DomainChanges,
    GuestTraits,
    Outcome,
)
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen
from common.transfer import Handover, TransferPlan

MAX_RECOVER_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Saga:
    """One migration as the database has it: all that decides what comes next.

    `home` is instance.host and `instance_epoch` the instance's counter; both live on the instance's row and are
    committed together with this one. `epoch` is the current command's.
    """

    migration: str
    instance: str
    name: str
    source: str
    dest: str
    home: str
    guest: CheckDestArguments
    phase: Phase
    status: MigrationStatus
    instance_epoch: int
    epoch: int
    candidates: tuple[str, ...] = ()  # further hosts to try when checks refuse this one
    source_seen: SourceSeen | None = None
    dest_seen: DestSeen | None = None
    is_abort_requested: bool = False
    is_abort_pending: bool = False  # asked for, and the source not yet told
    is_postcopy_seen: bool = False  # the dest's disks may be newer than the source's
    is_unfenced: bool = (
        False  # commits were lost: both hosts must have accepted this epoch before a verdict (rule 27)
    )
    is_prepared: bool = False  # pre_live_migration was commanded: rollback must undo more than a probe
    ends_in: MigrationStatus | None = None  # what a rollback leads to; none: the next candidate
    recover_tries: int = 0
    dest_facts: DestinationFacts | None = None
    traits: GuestTraits | None = None
    plan: TransferPlan | None = None  # what the source found the guest to have with it
    changes: DomainChanges | None = None
    handover: Handover | None = None
    downtime_ms: int | None = None
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    waiting_for: str = ""
    needs_operator: bool = False  # an alarm: something was seen, or lasts, that a person should look at

    @property
    def is_open(self) -> bool:
        return self.phase is not Phase.DONE

    @property
    def is_committed_to_dest(self) -> bool:
        """Before this only undo, after it only forward (rule 18)."""
        return self.home == self.dest


# ---- events


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An outcome arrived, perhaps late, repeated, or of an old epoch."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortAsked:
    """An operator asks for the migration to be stopped."""

    by: str = "an operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """The current command's answer is overdue. A time never decides anything: it says when to ask."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateUnfit:
    """The dest that was just chosen could not be claimed."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredDown:
    """An operator, or a fence, says that this host is off: nothing runs there, nothing answers from there."""

    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAgain:
    """An operator has looked at an alarm and asks for the hosts to be observed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The database is an older copy: what was committed and commanded since is not known (rule 27)."""


Event = Answered | AbortAsked | TimePassed | CandidateUnfit | DeclaredDown | JudgeAgain | Restored


# ---- transitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What is to be committed, and then sent.

    `story` is for the journal, one sentence each. A new command goes out if the epoch has grown. `acknowledge` names
    hosts that get no further command for what they have answered up to the new row's epoch.
    """

    saga: Saga
    story: tuple[str, ...] = ()
    acknowledge: tuple[str, ...] = ()

    def has_command(self, before: Saga) -> bool:
        return self.saga.is_open and self.saga.epoch > before.epoch

    def changes(self, before: Saga) -> bool:
        return self.saga != before


class TransitionError(Exception):
    """No rule speaks of this event here: a bug, told with all that is needed to find it."""

    def __init__(self, saga: Saga, event: object) -> None:
        super().__init__(
            f"no transition from {saga.phase} (migration {saga.migration}, epoch {saga.epoch}) on {event!r}"
        )
        self.saga = saga
        self.event = event


Handler = Callable[[Saga, Outcome], Transition]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one kind of migration does on each event; `conductor.live_migration.PLAN` is the first."""

    answers: Mapping[tuple[Phase, Result], Handler]
    on_abort: Callable[[Saga], Transition]
    on_time: Callable[[Saga, TimePassed], Transition]
    on_unfit: Callable[[Saga, CandidateUnfit], Transition]
    on_declared_down: Callable[[Saga, str], Transition]
    on_judge_again: Callable[[Saga], Transition]
    on_restored: Callable[[Saga], Transition]


def advance(saga: Saga, event: Event, *, plan: Plan) -> Transition:
    """Say what follows from an event; the row itself if nothing does.

    Raises TransitionError where neither the plan nor a rule knows the event: that is a bug, never a race.
    """
    if not saga.is_open:
        return Transition(saga=saga)
    match event:
        case Answered(outcome=outcome):
            return _answered(saga, outcome, plan)
        case AbortAsked():
            return plan.on_abort(saga)
        case TimePassed():
            return plan.on_time(saga, event)
        case CandidateUnfit():
            return plan.on_unfit(saga, event)
        case DeclaredDown(host=host):
            return plan.on_declared_down(saga, host)
        case JudgeAgain():
            return plan.on_judge_again(saga)
        case Restored():
            return plan.on_restored(saga)


def is_current(saga: Saga, outcome: Outcome) -> bool:
    """Rule 3: only the answer to the row's current command counts; every other is dropped and acknowledged."""
    return saga.is_open and (outcome.migration, outcome.epoch) == (saga.migration, saga.epoch)


def _answered(saga: Saga, outcome: Outcome, plan: Plan) -> Transition:
    if not is_current(saga, outcome):
        return Transition(saga=saga)
    if outcome.result is Result.SUPERSEDED:
        return _superseded(saga, outcome)
    handler = plan.answers.get((saga.phase, outcome.result))
    if handler is None:
        raise TransitionError(saga, outcome)
    return handler(saga, outcome)


def _superseded(saga: Saga, outcome: Outcome) -> Transition:
    """Rule 27: a host has accepted an epoch that this database never issued: commits were lost."""
    waiting_for = (
        f"{outcome.host} has accepted epoch {outcome.accepted_epoch}, newer than the database's {saga.epoch}: "
        "commits were lost, or two databases are in use (`limosa-conductor restored`)"
    )
    return waiting(saga, waiting_for, needs_operator=True)


# ---- the moves that plans are made of


def issue(saga: Saga, phase: Phase, *story: str) -> Transition:
    """Make the next command current, under an epoch of its own (rule 1)."""
    epoch = saga.instance_epoch + 1
    moved = replace(
        saga, phase=phase, epoch=epoch, instance_epoch=epoch, waiting_for="", needs_operator=False
    )
    return Transition(saga=moved, story=story)


def waiting(saga: Saga, waiting_for: str, *, needs_operator: bool = False) -> Transition:
    """Stay: the command remains current and is resent; the row says what is known and what it waits for."""
    if saga.waiting_for == waiting_for and saga.needs_operator >= needs_operator:
        return Transition(saga=saga)  # known already; an alarm that was raised stays while it lasts
    stayed = replace(saga, waiting_for=waiting_for, needs_operator=needs_operator)
    return Transition(saga=stayed, story=(f"waits: {waiting_for}",))


def finish(saga: Saga, status: MigrationStatus, *story: str) -> Transition:
    """End it: claims and the instance are released in the same transaction (rule 23)."""
    done = replace(
        saga,
        phase=Phase.DONE,
        status=status,
        waiting_for="",
        needs_operator=status is MigrationStatus.ERROR,
        is_abort_pending=False,
    )
    return Transition(saga=done, story=(*story, status.value), acknowledge=(saga.source, saga.dest))
