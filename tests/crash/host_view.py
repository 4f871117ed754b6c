"""What an agent knows of the guest on its host, and what comes of the migrateToURI3 that it has called."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from common.states import DestSeen, Result, SourceSeen
from compute_agent import acceptance
from tests.crash.interning import Ledger
from tests.crash.state import (
    ABSENT,
    BROKEN_RECEIVER,
    BROKEN_SENDER,
    CALLING,
    FINISHING,
    INCOMING,
    PAUSED,
    RUNNING,
    RUNNING_POSTCOPY,
    SENDING_POSTCOPY,
    SHUTOFF,
    Agent,
    Host,
    State,
    put,
)

if TYPE_CHECKING:
    from tests.crash.world import World

DRAIN_S: Final = 60.0

_SOURCE_WORDS: Final[Mapping[str, SourceSeen]] = {
    RUNNING: SourceSeen.RUNNING,
    PAUSED: SourceSeen.PAUSED_MIGRATING,
    SENDING_POSTCOPY: SourceSeen.POSTCOPY_RUNNING,
    BROKEN_SENDER: SourceSeen.POSTCOPY_FAILED,
    SHUTOFF: SourceSeen.SHUTOFF,
    ABSENT: SourceSeen.ABSENT,
}
_DEST_WORDS: Final[Mapping[str, DestSeen]] = {
    ABSENT: DestSeen.ABSENT,
    INCOMING: DestSeen.INCOMING,
    FINISHING: DestSeen.INCOMING,
    RUNNING: DestSeen.RUNNING,
    RUNNING_POSTCOPY: DestSeen.RUNNING_POSTCOPY,
    BROKEN_RECEIVER: DestSeen.POSTCOPY_FAILED,
    SHUTOFF: DestSeen.SHUTOFF,
}
_BUSY_WORDS: Final[Mapping[str, SourceSeen]] = {
    RUNNING: SourceSeen.RUNNING_JOB,
    PAUSED: SourceSeen.PAUSED_MIGRATING_JOB,
}

# ---- what an agent sees


def has_job(state: State, host: Host) -> bool:
    return state.job is not None and state.job.source == host


def has_call_in_flight(state: State, host: Host, *, is_thread_alive: bool | None = None) -> bool:
    """Rule 10. T_DRAIN is an oracle here: it has passed when, and only when, libvirtd holds no request any more."""
    agent = state.agents[host]
    if is_thread_alive is None:
        is_thread_alive = agent.thread is not None and agent.thread.kind is CALLING
    is_queued = any(request.host == host for request in state.requests)
    return acceptance.is_call_in_flight(
        agent.ledger.entry,
        is_thread_alive=is_thread_alive,
        is_domain_active=state.domains[host] not in (ABSENT, SHUTOFF),
        answering_for_s=0.0 if is_queued else DRAIN_S,
        drain_s=DRAIN_S,
    )


def source_seen(state: State, host: Host, migration: str, *, is_busy: bool) -> SourceSeen:
    """The word of `common.states` for what the source of that migration has."""
    domain = state.domains[host]
    if domain == ABSENT and state.agents[host].record == migration:
        return SourceSeen.UNDEFINED
    word = _SOURCE_WORDS.get(domain, SourceSeen.CONTRADICTORY)
    return _BUSY_WORDS.get(domain, word) if is_busy else word


def dest_seen(state: State, host: Host) -> DestSeen:
    return _DEST_WORDS.get(state.domains[host], DestSeen.CONTRADICTORY)


def is_stale(state: State, host: Host, *, epoch: int, migration: str) -> bool:
    """I6: whether what is done now is done after a newer command, or for a migration that is over."""
    return state.acted[host] > epoch or state.row.migration != migration or not state.row.is_open


def call_returns(
    world: "World",
    state: State,
    host: Host,
    epoch: int,
    result: Result,
    *,
    by_connection_error: bool = False,
) -> tuple[tuple[Agent, Agent], int]:
    """migrateToURI3 returns to the thread that called it, if its agent still lives: the agents, and what is sent."""
    agent = state.agents[host]
    thread = agent.thread
    if thread is None or thread.kind is not CALLING or thread.epoch != epoch:
        return state.agents, 0
    ended = world.book.call_ended(agent.ledger, epoch, by_connection_error)
    return thread_answers(world, state, host, ended, result)


def thread_answers(
    world: "World", state: State, host: Host, ledger: Ledger, result: Result
) -> tuple[tuple[Agent, Agent], int]:
    """The thread of live_migration ends; its answer is void if a newer epoch was accepted meanwhile."""
    agent = state.agents[host]
    assert agent.thread is not None
    outcome = world.book.outcome(agent.thread.command, result)
    settled = world.book.settle(ledger, outcome)
    after = agent._replace(ledger=settled or ledger, thread=None)
    return put(state.agents, host, after), outcome.bit if settled else 0
