"""What a commit means to the world: from rows to the events of `common.events`; pure. They are told after the commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from common import log
from common.events import Event, EventType, Figures, MigrationState
from common.migration import Progress
from common.states import MigrationStatus, Phase
from conductor import handover, live_migration
from conductor.db.sagas import Written
from conductor.presentation import MS_PER_S, iso
from conductor.saga import Saga, Transition

_OF_PHASE: Final[Mapping[Phase, EventType]] = {
    Phase(event_type.value.removeprefix("migration.")): event_type
    for event_type in EventType
    if event_type.value.removeprefix("migration.") in {phase.value for phase in Phase}
}
_OF_ENDING: Final = {
    MigrationStatus.COMPLETED: EventType.COMPLETED,
    MigrationStatus.FAILED: EventType.FAILED,
    MigrationStatus.CANCELLED: EventType.CANCELLED,
    MigrationStatus.ERROR: EventType.ERROR,
}


class Announcer(Protocol):
    """Tells events to whoever follows."""

    def announce(self, events: tuple[Event, ...]) -> None:
        """Return at once and raise nothing, whatever the bus is like: an event may be lost, a migration may not wait."""


def of_migration(
    before: Saga, transition: Transition, written: Written, *, progress: Progress | None
) -> tuple[Event, ...]:
    """What a change of a migration's row tells: one event, and one more if the guest belongs to another host now."""
    saga = transition.saga
    told = Event(
        event_type=_type(before, saga, written),
        at=iso(written.at_ms),
        instance_uuid=saga.instance,
        instance_name=saga.name,
        instance_host=saga.home,
        sentence=log.mask("; ".join(transition.story)),
        migration=_state(saga, written, progress),
    )
    if saga.home == before.home:
        return (told,)
    return told, _moved(before, told)


def _moved(before: Saga, told: Event) -> Event:
    """A guest that went from host to host by this change."""
    return Event(
        event_type=EventType.MOVED,
        at=told.at,
        instance_uuid=told.instance_uuid,
        instance_name=told.instance_name,
        instance_host=told.instance_host,
        hosts=(before.home, told.instance_host),
        sentence=f"{told.instance_name} has moved from {before.home} to {told.instance_host}",
        migration=told.migration,
    )


def _type(before: Saga, saga: Saga, written: Written) -> EventType:
    if written.version == 1:
        return EventType.ACCEPTED
    if not saga.is_open:
        return _OF_ENDING[saga.status]
    if saga.phase is before.phase and saga.epoch == before.epoch:
        return EventType.NOTED
    return _OF_PHASE[saga.phase]


def _state(saga: Saga, written: Written, progress: Progress | None) -> MigrationState:
    command = live_migration.command(saga)
    return MigrationState(
        id=saga.migration,
        version=written.version,
        source=saga.source,
        dest=saga.dest,
        phase=saga.phase.value,
        status=saga.status.value,
        epoch=saga.epoch,
        host=saga.home if command is None else command.host,
        is_abort_requested=saga.is_abort_requested,
        needs_operator=saga.needs_operator,
        waiting_for=log.mask(saga.waiting_for),
        reason=log.mask(saga.reason),
        findings=tuple(finding.code for finding in saga.findings),
        figures=None if saga.is_open else _figures(saga, written, progress),
    )


def _figures(saga: Saga, written: Written, progress: Progress | None) -> Figures:
    statistics = None if progress is None else progress.statistics
    return Figures(
        seconds=(written.at_ms - written.created_at_ms) / MS_PER_S,
        downtime_ms=saga.downtime_ms,
        sent_bytes=None if statistics is None else statistics.memory_processed,
        passes=None if statistics is None else statistics.iteration,
        network_gap_ms=handover.gap_ms(saga),
        network_verified=handover.is_verified(saga),
    )


# ---- guests that nobody moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """What a report has changed about one guest. `hosts` as `common.events.Event` has it."""

    event_type: EventType
    uuid: str
    name: str
    host: str
    sentence: str
    hosts: tuple[str, ...] = ()


def of_sighting(sighted: Sighted, *, at_ms: int) -> Event:
    """What a report tells about a guest."""
    return Event(
        event_type=sighted.event_type,
        at=iso(at_ms),
        instance_uuid=sighted.uuid,
        instance_name=sighted.name,
        instance_host=sighted.host,
        hosts=sighted.hosts,
        sentence=sighted.sentence,
    )
