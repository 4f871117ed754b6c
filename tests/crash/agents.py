"""A compute agent, one step at a time: it accepts a command or not, works, and may be killed.

This is what the agent's shell does with `compute_agent.acceptance`; what each verb does is `tests.crash.verbs`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.states import Phase, Result, Verb
from compute_agent import guards
from compute_agent.acceptance import Decision
from tests.crash.host_view import has_call_in_flight, has_job, is_stale, source_seen, thread_answers
from tests.crash.interning import Message
from tests.crash.state import (
    ASKING,
    CALLING,
    CONFIRMED,
    NAMES,
    ORPHANED,
    PREPARING,
    Agent,
    Host,
    Request,
    State,
    Step,
    Thread,
    put,
    sent_or_lost,
)
from tests.crash.verbs import VERBS, Turn

if TYPE_CHECKING:
    from tests.crash.world import World


# ---- a command arrives


def deliver(world: "World", state: State, message: Message) -> Iterator[Step]:
    """Rules 7 and 8: obey a command, repeat what was answered to it, or let it have no effect."""
    host: Host = 0 if message.host == 0 else 1
    agent, rules = state.agents[host], world.rules
    thread = agent.thread if agent.thread is not None and agent.thread.kind is not ORPHANED else None
    if rules.confirms_every_verb and not message.bit & state.row.bits:
        return
    decision = world.book.decide(agent.ledger, message, thread.epoch if thread else None)
    label = f"{NAMES[host]} <- {message.name} e{message.epoch}"
    if decision is Decision.REPEAT:
        assert agent.ledger.entry is not None and agent.ledger.entry.outcome is not None
        repeated = world.book.message(agent.ledger.entry.outcome)
        yield Step(f"{label}: repeats its outcome", state._replace(network=state.network | repeated.bit))
    if decision is not Decision.RUN:
        return
    accepted = world.book.accept(agent.ledger, message)
    is_newer = thread is not None and message.epoch > thread.epoch
    if thread is not None and is_newer and thread.kind is PREPARING and rules.waits_for_worker:
        waiting = agent._replace(ledger=accepted)
        yield Step(f"{label}: waits for its worker", state._replace(agents=put(state.agents, host, waiting)))
        return
    if thread is not None and is_newer and thread.kind in (ASKING, CONFIRMED) and rules.cancels_unissued_call:
        agent = agent._replace(thread=None)
    turn = Turn(world, state, host, message, label)
    if rules.observation_fences or message.name != Verb.OBSERVE.value:
        turn.accept(agent._replace(ledger=accepted))
    yield from VERBS[message.name](turn)


# ---- what goes on in an agent without a message


def work(world: "World", state: State, host: Host) -> Iterator[Step]:
    """The next step of what the agent is doing."""
    thread = state.agents[host].thread
    if thread is None:
        return
    if thread.kind is ASKING:
        yield _ask(world, state, host, thread)
    elif thread.kind is CONFIRMED:
        yield from _issue(world, state, host, thread)
    elif thread.kind in (PREPARING, ORPHANED):
        yield from _prepare(world, state, host, thread)


def _ask(world: "World", state: State, host: Host, thread: Thread) -> Step:
    """Rule 9's confirm call: what the row says at that moment."""
    row = state.row
    stands = (row.migration, row.epoch, row.phase) == (thread.migration, thread.epoch, Phase.LIVE)
    stands = stands or not world.rules.confirms
    agent = state.agents[host]._replace(thread=thread._replace(kind=CONFIRMED) if stands else None)
    told = "it stands" if stands else "it does not stand"
    return Step(
        f"{NAMES[host]} asks whether e{thread.epoch} stands: {told}",
        state._replace(agents=put(state.agents, host, agent)),
    )


def _issue(world: "World", state: State, host: Host, thread: Thread) -> Iterator[Step]:
    """Rule 9: look, write `called`, issue."""
    agent = state.agents[host]
    called = world.book.call(agent.ledger, thread.epoch)
    if called is None:
        gone = agent._replace(thread=None)
        yield Step(
            f"{NAMES[host]} is fenced: no call e{thread.epoch}",
            state._replace(agents=put(state.agents, host, gone)),
        )
        return
    is_older_in_flight = has_call_in_flight(state, host, is_thread_alive=False)
    seen = source_seen(state, host, thread.migration, is_busy=has_job(state, host))
    if not guards.may_issue_call(seen, is_older_call_in_flight=is_older_in_flight):
        agents, bits = thread_answers(world, state, host, agent.ledger, Result.ERROR)
        yield from sent_or_lost(
            state._replace(agents=agents), bits, f"{NAMES[host]} cannot call e{thread.epoch}"
        )
        return
    agent = Agent(ledger=called, record=thread.migration, thread=thread._replace(kind=CALLING))
    request = Request(host, thread.epoch, thread.migration)
    yield Step(
        f"{NAMES[host]} calls migrateToURI3 e{thread.epoch}",
        state._replace(agents=put(state.agents, host, agent), requests=state.requests | {request}),
    )


def _prepare(world: "World", state: State, host: Host, thread: Thread) -> Iterator[Step]:
    """A worker of pre_live_migration ends; an orphaned child of a killed agent has nobody to answer to."""
    label = f"{NAMES[host]} {thread.kind} e{thread.epoch}"
    if is_stale(state, host, epoch=thread.epoch, migration=thread.migration):
        yield Step(label, None, False, "I6 pre_live_migration still creates after a newer command")
        return
    agent = state.agents[host]._replace(thread=None)
    made = state._replace(resources=put(state.resources, host, True), agents=put(state.agents, host, agent))
    if thread.kind is ORPHANED:
        yield Step(label, made)
        return
    yield from _prepared(world, made, host, thread, Result.OK)
    if state.budget.faults:
        failed = made._replace(budget=state.budget._replace(faults=state.budget.faults - 1))
        yield from _prepared(world, failed, host, thread, Result.ERROR)


def _prepared(world: "World", state: State, host: Host, thread: Thread, result: Result) -> Iterator[Step]:
    outcome = world.book.outcome(thread.command, result)
    settled = world.book.settle(state.agents[host].ledger, outcome)
    label = f"{NAMES[host]} {thread.kind} e{thread.epoch} -> {result}"
    is_fault = result is not Result.OK
    if settled is None:
        yield Step(f"{label}, which is void", state, is_fault)
        return
    agent = state.agents[host]._replace(ledger=settled)
    after = state._replace(agents=put(state.agents, host, agent))
    yield from sent_or_lost(after, outcome.bit, label, is_fault=is_fault)


def be_killed(world: "World", state: State, host: Host) -> Iterator[Step]:
    """The agent dies and is started again; what it had not written down is gone."""
    agent, rules, budget = state.agents[host], world.rules, state.budget
    if not budget.crashes or (agent.thread is None and rules.keeps_ledger):
        return
    thread = agent.thread
    is_orphaned = thread is not None and thread.kind is PREPARING and not rules.children_die_with_agent
    left = thread._replace(kind=ORPHANED) if thread is not None and is_orphaned else None
    ledger = agent.ledger if rules.keeps_ledger else world.book.ledger(None)
    restarted = state._replace(
        agents=put(state.agents, host, agent._replace(ledger=ledger, thread=left)),
        budget=budget._replace(crashes=budget.crashes - 1),
    )
    yield Step(f"{NAMES[host]}: agent killed and restarted", restarted, True)
    own = frozenset(request for request in state.requests if request.host == host)
    if own:
        unsent = restarted._replace(requests=state.requests - own)
        yield Step(f"{NAMES[host]}: agent killed before its request was sent, restarted", unsent, True)
