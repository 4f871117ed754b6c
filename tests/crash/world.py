"""The world around our pure code, for exploration: every step that a conductor, an agent, libvirt or a misfortune can take.

The conductor is `saga.advance` with the plan of the live migration, over one row; the agents are `acceptance` and `guards`
with the verbs of `tests.crash.agents`; libvirt is `tests.crash.hypervisors`. A rule that lives in a shell around the pure
code (a file, a transaction, a lock) is a field of `Rules`, so that a mutation can drop it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from common.errors import AbortRefusedError
from common.migration import CheckDestArguments, Command, Outcome
from common.states import MigrationStatus, Phase, Result, Verb
from conductor import live_migration
from conductor.aborting import refuse_if_late
from conductor.saga import AbortAsked, DeclaredDown, Event, Plan, Saga, TimePassed, TransitionError
from tests.crash import agents, hypervisors
from tests.crash.interning import Book, Commands, Message, Row
from tests.crash.state import (
    ABSENT,
    BROKEN_RECEIVER,
    BROKEN_SENDER,
    HEALTHY,
    HOSTS,
    NAMES,
    PAUSED,
    RUNNING,
    RUNNING_POSTCOPY,
    Agent,
    Budget,
    Host,
    State,
    Step,
    other,
    sent_or_lost,
)

GUEST: Final = CheckDestArguments(name="guest", memory_mib=96, vcpus=1, machine="pc", disks=())
NEVER_SENT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules that the shells keep; the numbers are the protocol's."""

    keeps_ledger: bool = True  # 6: the entry is on disk before anything is done
    cancels_unissued_call: bool = True  # 8a
    waits_for_worker: bool = True  # 8c
    children_die_with_agent: bool = True  # 8c
    confirms: bool = True  # 9
    calls_once: bool = True  # 9: redelivered with called == epoch and no job: `lost`
    confirms_every_verb: bool = False  # a substitute for 6 that is none
    observation_fences: bool = True  # 11
    asks_monitor: bool = True  # 11: looks only after a monitor round trip
    believes_silence: bool = False  # 11: no answer taken for absent
    compares_versions: bool = True  # 2
    sweeps: bool = True  # 4

    @property
    def make_old_messages_void(self) -> bool:
        """With these kept, what is older than a ledger or a row can never act again and need not be explored."""
        return self.keeps_ledger and self.observation_fences and self.compares_versions


AS_BUILT: Final = Rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the world may do, and how often."""

    budget: Budget
    migrations: int = 1
    has_checks: bool = False  # explore steps 2 and 3 too; else the first command is pre_live_migration
    has_postcopy: bool = False
    undefines_source: bool = True  # VIR_MIGRATE_UNDEFINE_SOURCE
    loses_finish_reply: bool = False  # libvirt's own hazard: both sides believe that they run the guest
    has_storage_lock: bool = True
    breaks_connections: bool = False  # to libvirtd, under a call that goes on
    hosts_stay_off: bool = False  # a host that dies may stay dead, until an operator declares it down
    falls_silent: bool = False  # libvirtd does not answer an observation


def commands_of(saga: Saga) -> tuple[Command, ...]:
    """What the row makes current: the product's one command, or nothing."""
    command = live_migration.command(saga)
    return () if command is None else (command,)


@dataclass(slots=True, eq=False)
class World:
    """A setting under rules: where it starts, what may happen next, what must never be, and where it may rest."""

    setting: Setting
    rules: Rules = AS_BUILT
    plan: Plan = live_migration.PLAN
    commands: Commands = commands_of
    prunes: bool = True  # what can never act again is not explored
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = Book(plan=self.plan, commands=self.commands, hosts=NAMES)

    def start(self) -> State:
        """The guest runs on the first host; no migration was ever made."""
        idle = Agent(ledger=self.book.ledger(None))
        return State(
            row=self.book.row(_before_the_first()),
            domains=(RUNNING, ABSENT),
            resources=(True, False),
            job=None,
            requests=frozenset(),
            agents=(idle, idle),
            network=NEVER_SENT,
            budget=self.setting.budget,
            acted=(0, 0),
            ran_last=0,
        )

    # ---- what may happen next

    def steps(self, state: State) -> Iterator[Step]:
        """Every single thing that may happen now, network pruned, invariants of the new state checked."""
        for step in self._raw_steps(state):
            if step.state is None:
                yield step
                continue
            after = self._pruned(step.state)
            yield Step(step.label, after, step.is_fault, standing_violation(after))

    def _raw_steps(self, state: State) -> Iterator[Step]:
        yield from self._conductor(state, state.row)
        if not self.rules.compares_versions:
            yield from self._second_conductor(state)
        for message in self.book.messages(state.network):
            if message.command is not None and message.host != state.off:
                yield from agents.deliver(self, state, message)
        for host in HOSTS:
            yield from agents.work(self, state, host)
            yield from agents.be_killed(self, state, host)
        yield from hypervisors.steps(self, state)

    # ---- the conductors: stateless, so each of them is a step on the committed row

    def _conductor(self, state: State, row: Row) -> Iterator[Step]:
        budget = state.budget
        if not row.is_open:
            yield from self._next_migration(state)
            return
        for message in self.book.messages(state.network):
            if self.book.is_current(row, message):
                yield from self._answer(state, row, message, "conductor")
        if budget.aborts and _may_abort(row.saga):
            spent = state._replace(budget=budget._replace(aborts=budget.aborts - 1))
            yield from self._happens(spent, AbortAsked(), "operator: abort", is_fault=True)
        overdue = f"deadline of {row.phase.value}"
        if state.off is not None:
            if row.phase in (Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE):
                yield from self._happens(state, TimePassed(seconds=60), overdue)
            yield from self._happens(
                state, DeclaredDown(host=NAMES[state.off]), f"operator: {NAMES[state.off]} is down"
            )
        elif budget.deadlines:
            spent = state._replace(budget=budget._replace(deadlines=budget.deadlines - 1))
            yield from self._happens(spent, TimePassed(seconds=60), overdue, is_fault=True)
        if self.rules.sweeps and row.bits & ~state.network:
            yield Step("sweeper resends", state._replace(network=state.network | row.bits))

    def _happens(self, state: State, event: Event, label: str, *, is_fault: bool = False) -> Iterator[Step]:
        after, sent = self.book.advance(state.row, event)
        if after is not state.row:
            yield from self._commit(state, after, sent, label, is_fault=is_fault)

    def _answer(self, state: State, row: Row, message: Message, who: str) -> Iterator[Step]:
        label = f"{who}: {_told(message)}"
        try:
            after, sent = self.book.answered(row, message)
        except (TransitionError, ValueError) as error:
            # Where nothing compares versions, two commands may have one epoch; the engine refuses to be confused.
            if self.rules.compares_versions:
                yield Step(label, None, False, f"ENGINE {error}")
            return
        if after is not row or row is not state.row:
            yield from self._commit(state, after, sent, label)

    def _second_conductor(self, state: State) -> Iterator[Step]:
        """One that read the row earlier and writes it without comparing versions; once is enough to show it."""
        if state.old_row is None and state.row.is_open and not state.has_overwritten:
            yield Step(f"second conductor reads {_at(state.row)}", state._replace(old_row=state.row), True)
        old = state.old_row
        if old is None or not old.is_open:
            return
        used = state._replace(old_row=None, has_overwritten=True)
        for message in self.book.messages(state.network):
            if self.book.is_current(old, message):
                yield from self._answer(used, old, message, f"second conductor, by {_at(old)}")

    def _next_migration(self, state: State) -> Iterator[Step]:
        saga = state.row.saga
        if saga.status is MigrationStatus.ERROR or int(saga.migration) >= self.setting.migrations:
            return
        source: Host = 0 if saga.home == NAMES[0] else 1
        fresh = _fresh(
            migration=str(int(saga.migration) + 1), source=source, instance_epoch=saga.instance_epoch
        )
        after = live_migration.start(fresh).saga
        if not self.setting.has_checks:
            after = self._past_checks(after)
        row = self.book.row(after)
        label = f"operator: migration {fresh.migration}, {fresh.source} to {fresh.dest}"
        yield from self._commit(state, row, row.bits, label, is_fault=True)

    def _past_checks(self, saga: Saga) -> Saga:
        """As if both checks had been answered already."""
        for verb in (Verb.CHECK_DEST, Verb.CHECK_SOURCE):
            (command,) = commands_of(saga)
            assert command.verb is verb
            passed = self.book.outcome(self.book.message(command), Result.OK)
            saga = self.book.answered(self.book.row(saga), passed)[0].saga
        return saga

    def _commit(
        self, state: State, after: Row, sent: int, label: str, *, is_fault: bool = False
    ) -> Iterator[Step]:
        """One transaction; the casts follow it, and may be lost."""
        told = f"{label} => {_at(after)}"
        broken = _commit_violation(state, after)
        if broken:
            yield Step(told, None, is_fault, broken)
            return
        yield from sent_or_lost(state._replace(row=after), sent, told, is_fault=is_fault)

    # ---- what can never matter again

    def _pruned(self, state: State) -> State:
        running = [host for host in HOSTS if state.domains[host] in (RUNNING, RUNNING_POSTCOPY)]
        if len(running) == 1 and running[0] != state.ran_last:
            state = state._replace(ran_last=running[0])
        if not (self.prunes and self.rules.make_old_messages_void):
            return state
        kept = 0
        for message in self.book.messages(state.network):
            if message.command is None:
                is_live = self.book.is_current(state.row, message)
            else:
                is_live = message.epoch >= state.agents[message.host].ledger.epoch
            if is_live:
                kept |= message.bit
        return state if kept == state.network else state._replace(network=kept)

    # ---- where it may rest

    def is_final(self, state: State) -> bool:
        """Nothing is under way, the database is true, nothing is left behind (I4)."""
        threads = state.agents[0].thread or state.agents[1].thread
        if state.job or state.requests or threads:
            return False
        if state.row.is_open:
            return _needs_a_person(state)
        saga, domains, resources = state.row.saga, state.domains, state.resources
        home: Host = 0 if saga.home == NAMES[0] else 1
        away = other(home)
        is_error = saga.status is MigrationStatus.ERROR
        is_clean = domains[away] == ABSENT and not resources[away]
        if domains[home] == RUNNING:
            return not is_error and resources[home] and (is_clean or away == state.off)
        broken_halves = {BROKEN_SENDER, BROKEN_RECEIVER}
        if not HEALTHY.isdisjoint(domains) or set(domains) == broken_halves:
            return False
        is_told_where = home == state.ran_last or self.setting.has_postcopy or away == state.off
        return is_told_where and (is_clean or is_error or away == state.off)


def _needs_a_person(state: State) -> bool:
    """The dest was declared down, and what the source has left does not say whether the guest ever ran there."""
    is_running = any(domain in (RUNNING, RUNNING_POSTCOPY) for domain in state.domains)
    return state.row.phase is Phase.ALARM and state.off is not None and not is_running


def _may_abort(saga: Saga) -> bool:
    try:
        refuse_if_late(saga)
    except AbortRefusedError:
        return False
    return not saga.is_abort_requested


# ---- invariants


def standing_violation(state: State) -> str:
    """I1, and the half of I2 and I3 that can be seen in a state."""
    if all(domain in (RUNNING, RUNNING_POSTCOPY) for domain in state.domains):
        return "I1 two running copies"
    for host in HOSTS:
        if state.domains[host] in (RUNNING, PAUSED) and not state.resources[host]:
            return f"I3 the guest is on {NAMES[host]} without its resources"
    return ""


def _commit_violation(state: State, after: Row) -> str:
    """I5 and I7: what the database may not say."""
    is_undecidable = after.phase is Phase.ALARM and state.off is not None
    if after.is_in_error and not is_undecidable and not HEALTHY.isdisjoint(state.domains):
        return "I5 a healthy guest is put in error"
    saga = after.saga
    if not after.is_open and saga.is_abort_requested and saga.status is MigrationStatus.FAILED:
        return "I7 an aborted migration ends in neither cancelled nor completed"
    return ""


# ---- small things


def _before_the_first() -> Saga:
    return _fresh(
        migration="0", source=0, instance_epoch=0, phase=Phase.DONE, status=MigrationStatus.COMPLETED
    )


def _fresh(
    *,
    migration: str,
    source: Host,
    instance_epoch: int,
    phase: Phase = Phase.CHECK_DEST,
    status: MigrationStatus = MigrationStatus.ACCEPTED,
) -> Saga:
    return Saga(
        migration=migration,
        instance="guest",
        name="guest",
        source=NAMES[source],
        dest=NAMES[other(source)],
        home=NAMES[source],
        guest=GUEST,
        phase=phase,
        status=status,
        instance_epoch=instance_epoch,
        epoch=instance_epoch,
    )


def _at(row: Row) -> str:
    return row.saga.status.value if not row.is_open else f"{row.phase.value} e{row.epoch}"


def _told(message: Message) -> str:
    outcome: Outcome | None = message.outcome
    assert outcome is not None
    return f"{outcome.verb.value} says {outcome.seen or outcome.result}"
