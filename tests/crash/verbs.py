"""The verbs of a compute agent, one small function each: look, ask `compute_agent.guards`, say what changes.

The ghosts (`acted`, `ran_last`, the row) are read only to say that an invariant is broken, never to decide.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from common.migration import ObserveArguments, RollbackArguments
from common.states import DestSeen, Result, SourceSeen, Verb
from compute_agent import guards
from tests.crash.host_view import call_returns, dest_seen, has_call_in_flight, has_job, is_stale, source_seen
from tests.crash.interning import Message
from tests.crash.state import (
    ABSENT,
    ASKING,
    BROKEN_RECEIVER,
    BROKEN_SENDER,
    INCOMING,
    NAMES,
    PAUSED,
    POSTCOPY,
    PRECOPY,
    PREPARING,
    RUNNING,
    RUNNING_POSTCOPY,
    SENDING_POSTCOPY,
    SHUTOFF,
    Agent,
    Host,
    Job,
    State,
    Step,
    Thread,
    other,
    put,
    sent_or_lost,
)

if TYPE_CHECKING:
    from tests.crash.world import World


class Turn:
    """One command being carried out on one host: what the verbs below look at, and how they answer."""

    __slots__ = ("command", "host", "is_stale", "label", "message", "state", "world")

    def __init__(self, world: "World", state: State, host: Host, message: Message, label: str) -> None:
        self.world = world
        self.state = state
        self.host = host
        self.message = message
        self.label = label
        self.is_stale = is_stale(state, host, epoch=message.epoch, migration=message.migration)

    def accept(self, agent: Agent) -> None:
        """The entry is on disk; what the host did under older epochs is over."""
        acted = put(self.state.acted, self.host, max(self.state.acted[self.host], self.message.epoch))
        self.state = self.state._replace(agents=put(self.state.agents, self.host, agent), acted=acted)

    @property
    def domain(self) -> str:
        return self.state.domains[self.host]

    @property
    def agent(self) -> Agent:
        return self.state.agents[self.host]

    def is_busy(self) -> bool:
        """There is a job, or a migrateToURI3 that may still begin one."""
        return has_job(self.state, self.host) or has_call_in_flight(self.state, self.host)

    def seen(self) -> SourceSeen:
        return source_seen(self.state, self.host, self.message.migration, is_busy=self.is_busy())

    def set(self, *, domain: str | None = None, **changes: Any) -> None:
        """Change the world; `domain` is this host's."""
        if domain is not None:
            changes["domains"] = put(self.state.domains, self.host, domain)
        self.state = self.state._replace(**changes)

    def set_agent(self, **changes: Any) -> None:
        agents = put(self.state.agents, self.host, self.agent._replace(**changes))
        self.state = self.state._replace(agents=agents)

    def waits(self) -> Iterator[Step]:
        """Accepted, and nothing to say yet: the verb waits, or answers that it could not (asked again)."""
        yield Step(f"{self.label}: accepted", self.state)

    def answer(
        self, result: Result, seen: SourceSeen | DestSeen | None = None, *, is_fault: bool = False
    ) -> Iterator[Step]:
        """Rule 8c: the outcome enters the ledger, if it is kept, and is sent."""
        outcome = self.world.book.outcome(self.message, result, seen)
        if seen is None:
            settled = self.world.book.settle(self.agent.ledger, outcome)
            assert settled is not None, "a verb at work is never overtaken within one step"
            self.set_agent(ledger=settled)
        yield from sent_or_lost(
            self.state, outcome.bit, f"{self.label} -> {seen or result}", is_fault=is_fault
        )

    def breaks(self, invariant: str) -> Iterator[Step]:
        yield Step(self.label, None, False, invariant)


# ---- the verbs of the dest


def _check(turn: Turn) -> Iterator[Step]:
    budget, before = turn.state.budget, turn.state
    yield from turn.answer(Result.OK)
    if budget.faults:
        turn.state = before._replace(budget=budget._replace(faults=budget.faults - 1))
        yield from turn.answer(Result.REFUSED, is_fault=True)


def _pre(turn: Turn) -> Iterator[Step]:
    if turn.agent.thread is not None:
        return
    if turn.is_stale:
        yield from turn.breaks("I6 a stale pre_live_migration is accepted")
        return
    if turn.domain != ABSENT:
        yield from turn.answer(Result.REFUSED)
        return
    turn.set_agent(thread=Thread(PREPARING, turn.message.epoch, turn.message.migration, turn.message))
    yield from turn.waits()


def _roll_back(turn: Turn) -> Iterator[Step]:
    if not guards.may_roll_back(dest_seen(turn.state, turn.host)):
        yield from turn.answer(Result.RUNNING)
        return
    assert turn.message.command is not None
    arguments = turn.message.command.arguments
    keeps = isinstance(arguments, RollbackArguments) and arguments.keep_disks
    if (turn.state.resources[turn.host] and not keeps) or turn.domain != ABSENT:
        broken = _broken_by_rollback(turn)
        if broken:
            yield from turn.breaks(broken)
            return
    if not keeps:
        if turn.state.resources[turn.host] and turn.state.ran_last == turn.host:
            yield from turn.breaks("I3 rollback removes the newest disks")
        turn.set(resources=put(turn.state.resources, turn.host, False))
    turn.set(domain=ABSENT)
    yield from turn.answer(Result.OK)


def _broken_by_rollback(turn: Turn) -> str:
    state, source = turn.state, other(turn.host)
    if turn.domain in (RUNNING, RUNNING_POSTCOPY, PAUSED):
        return "I3 rollback where the guest runs"
    if has_job(state, source):
        return ("I6" if turn.is_stale else "I3") + " rollback under a job to this host"
    if any(request.host == source for request in state.requests):
        return "I3 rollback while a job to this host may still begin"
    if turn.is_stale:
        return "I6 a stale rollback removes resources"
    return ""


def _post_dest(turn: Turn) -> Iterator[Step]:
    seen = dest_seen(turn.state, turn.host)
    if guards.is_proof_of_arrival(seen):
        yield from turn.answer(Result.RUNNING)
    elif guards.is_gone_from_dest(seen):
        yield from turn.answer(Result.GONE)
    else:
        yield from turn.waits()


# ---- the verbs of the source


def _live(turn: Turn) -> Iterator[Step]:
    """Rule 9, up to the question whether the command still stands."""
    if turn.agent.thread is not None or has_job(turn.state, turn.host):
        yield from turn.waits()
        return
    entry = turn.agent.ledger.entry
    was_called = entry is not None and entry.called == turn.message.epoch
    if turn.domain in (ABSENT, SHUTOFF) or (was_called and turn.world.rules.calls_once):
        yield from turn.answer(Result.LOST)
        return
    turn.set_agent(thread=Thread(ASKING, turn.message.epoch, turn.message.migration, turn.message))
    yield from turn.waits()


def _observe(turn: Turn) -> Iterator[Step]:
    """Rule 11. Without the monitor round trip, a libvirtd that has just started may still say `running`."""
    assert turn.message.command is not None
    arguments = turn.message.command.arguments
    assert isinstance(arguments, ObserveArguments)
    if not arguments.is_source:
        yield from _answer_seen(turn, dest_seen(turn.state, turn.host), silent=DestSeen.UNREACHABLE)
        return
    yield from _look_at_source(turn)


def _look_at_source(turn: Turn) -> Iterator[Step]:
    if not turn.is_busy():
        yield from _says_no_job(turn)
    yield from _answer_seen(turn, turn.seen(), silent=SourceSeen.UNREACHABLE)


def _says_no_job(turn: Turn) -> Iterator[Step]:
    """I6 with the drain: a queued call may begin after the fence was accepted, none after it has said `no job`."""
    state, host = turn.state, turn.host
    if state.domains[host] == RUNNING and any(request.host == host for request in state.requests):
        yield from turn.breaks("I6 a fence says that there is no job, and one may still begin")
    turn.set_agent(ledger=turn.world.book.job_ended(turn.agent.ledger))


def _answer_seen(turn: Turn, seen: SourceSeen | DestSeen, *, silent: SourceSeen | DestSeen) -> Iterator[Step]:
    before, budget, rules = turn.state, turn.state.budget, turn.world.rules
    yield from turn.answer(Result.OBSERVED, seen)
    if not budget.faults:
        return
    spent = before._replace(budget=budget._replace(faults=budget.faults - 1))
    if turn.world.setting.falls_silent and turn.domain != ABSENT:
        turn.state = spent
        believed = type(seen)("absent") if rules.believes_silence else silent
        yield from turn.answer(Result.OBSERVED, believed, is_fault=True)
    if not rules.asks_monitor and seen is SourceSeen.PAUSED_MIGRATING:
        turn.state = spent
        yield from turn.answer(Result.OBSERVED, SourceSeen.RUNNING, is_fault=True)


def _abort(turn: Turn) -> Iterator[Step]:
    """Rule 12: stop the job where that is possible, wait until there is none, then say what is seen."""
    job = turn.state.job
    if job is not None and job.source == turn.host:
        if job.stage is not PRECOPY:
            yield from turn.waits()
            return
        turn.label += ": aborts the job"
        domains = put(put(turn.state.domains, turn.host, RUNNING), other(turn.host), INCOMING)
        turn.set(job=None, domains=domains)
        agents, bits = call_returns(turn.world, turn.state, turn.host, job.epoch, Result.ERROR)
        turn.set(agents=agents, network=turn.state.network | bits)
        yield from turn.waits()
    elif turn.is_busy():
        yield from turn.waits()
    else:
        yield from _look_at_source(turn)


def _watch(turn: Turn) -> Iterator[Step]:
    if turn.is_busy():
        yield from turn.waits()
        return
    yield from _says_no_job(turn)
    yield from turn.answer(Result.ENDED)


def _resume(turn: Turn) -> Iterator[Step]:
    if guards.may_resume(turn.seen()):
        if turn.is_stale:
            yield from turn.breaks("I6 a stale resume")
            return
        if turn.state.ran_last != turn.host:
            yield from turn.breaks(
                "I8 the source is resumed with old memory, after the guest ran on the dest"
            )
            return
        if turn.world.setting.has_storage_lock and turn.state.domains[other(turn.host)] in "RU":
            yield from turn.answer(Result.LOCKED)
            return
        turn.set(domain=RUNNING)
        yield from turn.answer(Result.OK)
    elif turn.domain == RUNNING:
        yield from turn.answer(Result.OK)
    else:
        yield from turn.answer(Result.GONE)


def _recover(turn: Turn) -> Iterator[Step]:
    halves = (turn.domain, turn.state.domains[other(turn.host)])
    if halves == (BROKEN_SENDER, BROKEN_RECEIVER) and turn.state.job is None:
        domains = put(
            put(turn.state.domains, turn.host, SENDING_POSTCOPY), other(turn.host), RUNNING_POSTCOPY
        )
        job = Job(turn.host, turn.message.epoch, turn.message.migration, POSTCOPY)
        turn.set(domains=domains, job=job)
        yield from turn.answer(Result.OK)
    elif turn.domain in (RUNNING_POSTCOPY, SENDING_POSTCOPY):
        yield from turn.answer(Result.OK)
    else:
        yield from turn.answer(Result.GONE)


def _reap(turn: Turn) -> Iterator[Step]:
    """End the stale copy, keep its disks."""
    if turn.is_busy():
        yield from turn.waits()
        return
    if not guards.may_reap(turn.seen()):
        yield from turn.answer(Result.RUNNING)
        return
    if turn.domain in (PAUSED, BROKEN_SENDER):
        if turn.is_stale or turn.state.row.saga.home == NAMES[turn.host]:
            yield from turn.breaks("I6 a stale reap")
            return
        if turn.state.ran_last == turn.host:
            yield from turn.breaks("I5 reap ends the only copy of a guest that never ran on the dest")
            return
        turn.set(domain=SHUTOFF)
    yield from turn.answer(Result.OK)


def _post_source(turn: Turn) -> Iterator[Step]:
    if turn.is_busy():
        yield from turn.waits()
        return
    if not guards.may_clean_source(turn.seen()):
        yield from turn.answer(Result.RUNNING)
        return
    if turn.state.resources[turn.host] or turn.domain != ABSENT:
        if turn.domain in (RUNNING, SENDING_POSTCOPY):
            yield from turn.breaks("I2 the source is removed under a running guest")
            return
        if turn.state.row.saga.home == NAMES[turn.host]:
            yield from turn.breaks("I2 the source is removed before the dest's proof is committed")
            return
        if turn.is_stale:
            yield from turn.breaks("I6 a stale post_live_migration removes resources")
            return
    turn.set(domain=ABSENT, resources=put(turn.state.resources, turn.host, False))
    turn.set_agent(record="")
    yield from turn.answer(Result.OK)


VERBS: Final[Mapping[str, Callable[[Turn], Iterator[Step]]]] = {
    Verb.CHECK_DEST.value: _check,
    Verb.CHECK_SOURCE.value: _check,
    Verb.PRE.value: _pre,
    Verb.LIVE.value: _live,
    Verb.WATCH.value: _watch,
    Verb.OBSERVE.value: _observe,
    Verb.ABORT.value: _abort,
    Verb.RESUME.value: _resume,
    Verb.RECOVER.value: _recover,
    Verb.ROLLBACK.value: _roll_back,
    Verb.POST_DEST.value: _post_dest,
    Verb.POST_SOURCE.value: _post_source,
    Verb.REAP.value: _reap,
}
