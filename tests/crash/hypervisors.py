"""What libvirt does by itself: begin what was requested, carry a migration through its stages, fail, lose a host.

The stages and the ways in which they fail are those measured in the lab, and those that libvirt's source admits.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.states import Result
from tests.crash.host_view import call_returns, has_job
from tests.crash.state import (
    ABSENT,
    BROKEN_RECEIVER,
    BROKEN_SENDER,
    CALLING,
    FINISHED,
    FINISHING,
    HOSTS,
    INCOMING,
    NAMES,
    PAUSED,
    POSTCOPY,
    PRECOPY,
    RUNNING,
    RUNNING_POSTCOPY,
    SENDING_POSTCOPY,
    SHUTOFF,
    SWITCH,
    Host,
    Job,
    Request,
    State,
    Step,
    other,
    put,
    sent_or_lost,
)

if TYPE_CHECKING:
    from tests.crash.world import World


def steps(world: "World", state: State) -> Iterator[Step]:
    for request in state.requests:
        yield from _take_up(world, state, request)
    if state.job is not None:
        yield from _go_on(world, state, state.job)
    else:
        yield from _settle_incoming(world, state)
    if world.setting.breaks_connections and state.budget.faults:
        yield from _break_connections(world, state)
    if state.budget.host_deaths:
        for host in HOSTS:
            yield from _lose_host(world, state, host)


def _take_up(world: "World", state: State, request: Request) -> Iterator[Step]:
    """A queued migrateToURI3 begins, or is refused."""
    host = request.host
    label = f"libvirt {NAMES[host]}: request e{request.epoch}"
    left = state._replace(requests=state.requests - {request})
    is_possible = state.domains == put((ABSENT, ABSENT), host, RUNNING) and state.off is None
    if state.job or not is_possible:
        agents, bits = call_returns(world, left, host, request.epoch, Result.ERROR)
        yield from sent_or_lost(left._replace(agents=agents), bits, f"{label} is refused")
        return
    if state.row.migration != request.migration or not state.row.is_open:
        yield Step(f"{label} begins", None, False, "I6 a job begins after its migration has ended")
        return
    job = Job(host, request.epoch, request.migration, PRECOPY)
    yield Step(f"{label} begins", left._replace(job=job, domains=put(state.domains, other(host), INCOMING)))


class _Transfer:
    """One job: how it may go on, or end."""

    def __init__(self, world: "World", state: State, job: Job) -> None:
        self.world, self.state, self.job = world, state, job

    def becomes(self, stage: str, source: str, dest: str, label: str) -> Iterator[Step]:
        domains = _domains(self.job.source, source, dest)
        yield Step(
            f"libvirt: {label}", self.state._replace(job=self.job._replace(stage=stage), domains=domains)
        )

    def succeeds(self, source: str, label: str) -> Iterator[Step]:
        yield from self._ends(Result.OK, source, RUNNING, label, self.state, by_connection_error=False)

    def fails(
        self, source: str, dest: str, label: str, *, by_connection_error: bool = False
    ) -> Iterator[Step]:
        """At the cost of one fault."""
        budget = self.state.budget
        if budget.faults:
            spent = self.state._replace(budget=budget._replace(faults=budget.faults - 1))
            yield from self._ends(
                Result.ERROR, source, dest, label, spent, by_connection_error=by_connection_error
            )

    def _ends(
        self, result: Result, source: str, dest: str, label: str, state: State, *, by_connection_error: bool
    ) -> Iterator[Step]:
        host = self.job.source
        ended = state._replace(job=None, domains=_domains(host, source, dest))
        agents, bits = call_returns(
            self.world, ended, host, self.job.epoch, result, by_connection_error=by_connection_error
        )
        is_fault = result is not Result.OK
        yield from sent_or_lost(ended._replace(agents=agents), bits, f"libvirt: {label}", is_fault=is_fault)


def _go_on(world: "World", state: State, job: Job) -> Iterator[Step]:
    transfer, setting = _Transfer(world, state, job), world.setting
    gone = ABSENT if setting.undefines_source else SHUTOFF
    if job.stage is PRECOPY:
        yield from transfer.becomes(SWITCH, PAUSED, INCOMING, "source paused, its state sent")
        if setting.has_postcopy:
            yield from transfer.becomes(POSTCOPY, SENDING_POSTCOPY, RUNNING_POSTCOPY, "switches to post-copy")
        yield from transfer.fails(RUNNING, INCOMING, "the job fails in pre-copy")
    elif job.stage is SWITCH:
        yield from transfer.becomes(FINISHED, PAUSED, RUNNING, "dest runs")
        yield from transfer.fails(RUNNING, INCOMING, "cancelled at the switch, source resumed")
        yield from transfer.fails(
            PAUSED, FINISHING, "source libvirtd dies at the switch", by_connection_error=True
        )
    elif job.stage is FINISHED:
        yield from transfer.succeeds(gone, "source gone, the call succeeds")
        yield from transfer.fails(gone, RUNNING, "source gone, and the call returns an error")
        yield from transfer.fails(
            PAUSED, RUNNING, "source libvirtd dies after dest runs", by_connection_error=True
        )
        if setting.loses_finish_reply:
            source = PAUSED if setting.has_storage_lock else RUNNING
            yield from transfer.fails(source, RUNNING, "Finish's reply is lost, libvirt resumes the source")
    elif job.stage is POSTCOPY:
        yield from transfer.succeeds(gone, "post-copy done")
        if setting.undefines_source:
            yield from transfer.succeeds(SHUTOFF, "post-copy done, the definition stays")
        yield from transfer.fails(BROKEN_SENDER, BROKEN_RECEIVER, "post-copy breaks")
        yield from transfer.fails(BROKEN_SENDER, ABSENT, "post-copy breaks at the switch, dest gone")


def _settle_incoming(world: "World", state: State) -> Iterator[Step]:
    """An incoming half without a job is destroyed by its libvirtd, unless Finish still reaches it."""
    for host in HOSTS:
        if state.domains[host] not in (INCOMING, FINISHING):
            continue
        yield Step(
            f"libvirt {NAMES[host]}: the incoming half goes",
            state._replace(domains=put(state.domains, host, ABSENT)),
        )
        is_locked = world.setting.has_storage_lock and state.domains[other(host)] == RUNNING
        if state.domains[host] == FINISHING and not is_locked:
            yield Step(
                f"libvirt {NAMES[host]}: Finish arrives, dest runs",
                state._replace(domains=put(state.domains, host, RUNNING)),
            )


def _break_connections(world: "World", state: State) -> Iterator[Step]:
    """The agent's connection closes under its call; the request, or the job, lives on in libvirtd."""
    for host in HOSTS:
        thread = state.agents[host].thread
        is_queued = any(request.host == host for request in state.requests)
        if thread is None or thread.kind is not CALLING or not (is_queued or has_job(state, host)):
            continue
        agents, bits = call_returns(world, state, host, thread.epoch, Result.ERROR, by_connection_error=True)
        spent = state._replace(agents=agents, budget=state.budget._replace(faults=state.budget.faults - 1))
        yield from sent_or_lost(
            spent,
            bits,
            f"{NAMES[host]}: connection to libvirtd breaks under call e{thread.epoch}",
            is_fault=True,
        )


def _lose_host(world: "World", state: State, host: Host) -> Iterator[Step]:
    """A whole host dies and comes back: of its guest only a definition is left."""
    died = put(
        state.domains, host, ABSENT if state.domains[host] in (ABSENT, INCOMING, FINISHING) else SHUTOFF
    )
    agent = state.agents[host]
    ledger = agent.ledger if world.rules.keeps_ledger else world.book.ledger(None)
    after = state._replace(
        job=None,
        agents=put(state.agents, host, agent._replace(ledger=ledger, thread=None)),
        requests=frozenset(request for request in state.requests if request.host != host),
        budget=state.budget._replace(host_deaths=state.budget.host_deaths - 1),
    )
    bits = 0
    if state.job is not None and state.job.source != host:
        agents, bits = call_returns(world, after, other(host), state.job.epoch, Result.ERROR)
        after = after._replace(agents=agents)
    for domains in _after_host_death(state, host, died):
        told = (
            f"host {NAMES[host]} dies (was {state.domains[host]}) and comes back, leaving {''.join(domains)}"
        )
        dead = after._replace(domains=domains, network=state.network | bits)
        yield Step(told, dead, True)
        if world.setting.hosts_stay_off and state.off is None:
            yield Step(
                f"host {NAMES[host]} dies (was {state.domains[host]}) and stays off",
                dead._replace(off=host),
                True,
            )


def _after_host_death(state: State, host: Host, died: tuple[str, str]) -> list[tuple[str, str]]:
    """What the other side of a job may become."""
    job, partner = state.job, other(host)
    if job is None:
        return [died]
    if job.source == host:
        if job.stage is SWITCH:
            return [put(died, partner, FINISHING)]
        if job.stage is POSTCOPY:
            return [put(died, partner, BROKEN_RECEIVER)]
        return [died]
    if job.stage is POSTCOPY:
        return [put(died, partner, BROKEN_SENDER)]
    resumed = put(died, partner, RUNNING)
    return [resumed, put(died, partner, PAUSED)] if job.stage is FINISHED else [resumed]


def _domains(source_host: Host, source: str, dest: str) -> tuple[str, str]:
    return (source, dest) if source_host == 0 else (dest, source)
