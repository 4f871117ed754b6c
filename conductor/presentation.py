"""From rows to what a client is shown (`common.views`); pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from common.migration import Progress
from common.states import HostState, MigrationStatus, MigrationType, Phase, ServiceStatus
from common.views import HistoryView, InstanceView, JournalView, MigrationView, ServiceView, StepTime
from conductor import handover
from conductor.capacity import HostStatus, Limits, free_mib, is_up
from conductor.db import instances, sagas
from conductor.db.models import Instance, Journal, Migration
from conductor.live_migration import BY_PHASE
from conductor.versions import version as version

AGENT_BINARY = "limosa-compute-agent"
CONDUCTOR_BINARY = "limosa-conductor"
MS_PER_S = 1000.0
MIB = 1024 * 1024


def instance_view(row: Instance, conflict: tuple[str, ...]) -> InstanceView:
    facts = instances.facts_of(row)
    return InstanceView(
        uuid=row.uuid,
        name=row.name,
        host=row.host,
        power_state=row.power_state,
        task_state=row.task_state,
        vcpus=row.vcpus,
        memory_mib=row.memory_mib,
        is_persistent=facts.is_persistent,
        has_autostart=facts.has_autostart,
        conflict=conflict,
        migration=row.migration,
        updated_at=iso(row.updated_at_ms),
    )


def agent_view(host: HostStatus, *, guests: int, limits: Limits) -> ServiceView:
    facts = host.facts
    return ServiceView(
        binary=AGENT_BINARY,
        host=host.name,
        state=HostState.UP if is_up(host, limits) else HostState.DOWN,
        last_seen_s=host.heard_s,
        hypervisor_age_s=host.hypervisor_age_s,
        instances=guests,
        memory_total_mib=None if facts is None else facts.memory_total_mib,
        memory_free_mib=free_mib(host, limits),
        hypervisor_version=None if facts is None else version(facts.hypervisor_version),
        libvirt_version=None if facts is None else version(facts.libvirt_version),
        status=ServiceStatus.ENABLED if host.disabled_reason is None else ServiceStatus.DISABLED,
        disabled_reason=host.disabled_reason,
    )


def conductor_view(name: str, heard_s: float, *, limits: Limits) -> ServiceView:
    return ServiceView(
        binary=CONDUCTOR_BINARY,
        host=name,
        state=HostState.UP if heard_s <= limits.service_down_time_s else HostState.DOWN,
        last_seen_s=heard_s,
        hypervisor_age_s=None,
        instances=0,
        memory_total_mib=None,
        memory_free_mib=None,
        hypervisor_version=None,
        libvirt_version=None,
    )


def migration_view(
    row: Migration, *, journal: Sequence[Journal], progress: Progress | None, now_ms: int
) -> MigrationView:
    """`journal` is the whole story, oldest line first; `now_ms` the database's clock."""
    saga = sagas.saga_of(row)
    ended_ms = now_ms if row.finished_at_ms is None else row.finished_at_ms
    return MigrationView(
        id=row.id,
        instance_uuid=row.instance,
        instance_name=saga.name,
        type=MigrationType.LIVE_MIGRATION,
        status=saga.status,
        phase=saga.phase,
        source=saga.source,
        dest=saga.dest,
        requested_dest=row.requested_dest,
        version=row.version,
        epoch=saga.epoch,
        reason=saga.reason,
        waiting_for=saga.waiting_for,
        is_abort_requested=saga.is_abort_requested,
        findings=saga.findings,
        progress=progress if progress is None or saga.is_open else replace(progress, eta_s=None),
        steps=step_times(journal),
        downtime_ms=saga.downtime_ms,
        seconds=(ended_ms - row.created_at_ms) / MS_PER_S,
        created_at=iso(row.created_at_ms),
        updated_at=iso(row.updated_at_ms),
        finished_at=None if row.finished_at_ms is None else iso(row.finished_at_ms),
        network_gap_ms=handover.gap_ms(saga),
        network_verified=handover.is_verified(saga),
    )


def history_view(row: Migration, progress: Progress | None) -> HistoryView:
    """One that has ended. `progress` is the last that was told of its job."""
    saga = sagas.saga_of(row)
    ended_ms = row.updated_at_ms if row.finished_at_ms is None else row.finished_at_ms
    is_seen_to_end = saga.status is not MigrationStatus.COMPLETED or saga.downtime_ms is not None
    # Else whoever watched the job did not see its end, and its last figures are of somewhere on the way.
    told = progress.statistics if progress is not None and is_seen_to_end else None
    return HistoryView(
        migration=row.id,
        instance_uuid=row.instance,
        instance_name=saga.name,
        status=saga.status,
        source=saga.source,
        dest=saga.dest,
        predicted_seconds=None,
        predicted_downtime_ms=None,
        predicted_sent_mib=None,
        predicted_passes=None,
        predicted_rate_mib_s=None,
        measured_seconds=(ended_ms - row.created_at_ms) / MS_PER_S,
        measured_downtime_ms=saga.downtime_ms,
        measured_sent_mib=None if told is None else told.memory_processed / MIB,
        measured_passes=None if told is None else told.iteration,
        measured_rate_mib_s=None if told is None or told.memory_rate is None else told.memory_rate / MIB,
        reason=saga.reason,
        created_at=iso(row.created_at_ms),
        finished_at=iso(ended_ms),
        network_gap_ms=handover.gap_ms(saga),
        network_verified=handover.is_verified(saga),
    )


def step_times(journal: Sequence[Journal]) -> tuple[StepTime, ...]:
    """How long each command took, from the commit that made it current to the commit of what ended it.

    A command that is still current is not among them. Resends do not show: they are the same command.
    """
    steps = []
    issued: Journal | None = None
    for line in journal:
        if issued is not None and (line.epoch, line.phase) == (issued.epoch, issued.phase):
            continue  # something was learnt, and the command stayed
        if issued is not None:
            steps.append(_step_time(issued, line))
        issued = line if line.phase in BY_PHASE else None
    return tuple(steps)


def _step_time(issued: Journal, ended: Journal) -> StepTime:
    return StepTime(
        step=BY_PHASE[issued.phase].verb.value,
        host=issued.host,
        seconds=(ended.at_ms - issued.at_ms) / MS_PER_S,
        seconds_on_host=ended.seconds_on_host or 0.0,
    )


def journal_view(line: Journal, *, created_at_ms: int) -> JournalView:
    return JournalView(
        at=iso(line.at_ms),
        seconds=(line.at_ms - created_at_ms) / MS_PER_S,
        phase=Phase(line.phase),
        status=line.status,
        epoch=line.epoch,
        host=line.host,
        sentence=line.sentence,
    )


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / MS_PER_S, UTC).isoformat(timespec="milliseconds")
