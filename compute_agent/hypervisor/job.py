"""libvirt's jobs: what kind runs, its figures, and how it is aborted and tuned. All of it runs in native threads."""

from collections.abc import Mapping
from typing import Any

import libvirt

from common.migration import JobStatistics
from compute_agent.hypervisor.driver import JobKind, JobOperation

_NO_FIGURES = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_UNSUPPORTED)  # off; incoming


# By libvirt's numbers, virDomainJobOperation (libvirt-domain.h of 9.0).
_OPERATIONS = (
    JobOperation.UNKNOWN, JobOperation.START, JobOperation.SAVE, JobOperation.RESTORE, JobOperation.MIGRATION_IN,
    JobOperation.MIGRATION_OUT, JobOperation.SNAPSHOT, JobOperation.SNAPSHOT_REVERT, JobOperation.DUMP,
    JobOperation.BACKUP, JobOperation.SNAPSHOT_DELETE,
)  # fmt: skip
_KINDS = {JobOperation.MIGRATION_OUT: JobKind.OUTGOING, JobOperation.MIGRATION_IN: JobKind.INCOMING}


def job_of(domain: Any) -> tuple[JobKind, JobOperation]:
    """What libvirt is doing to the domain. On a source this is a round trip to its QEMU.

    libvirt refuses the figures of an incoming job at once, without waiting for the job's lock: OPERATION_UNSUPPORTED.
    """
    try:
        statistics = domain.jobStats()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED:
            return JobKind.INCOMING, JobOperation.MIGRATION_IN
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:  # it is off
            return JobKind.NONE, JobOperation.UNKNOWN
        raise
    return kind_of(statistics), operation_of(statistics)


def job_kind(domain: Any) -> JobKind:
    """The same, where it does not matter which of the others it is."""
    kind, _ = job_of(domain)
    return kind


def operation_of(statistics: Mapping[str, Any]) -> JobOperation:
    number = statistics.get("operation", 0)
    return _OPERATIONS[number] if 0 <= number < len(_OPERATIONS) else JobOperation.UNKNOWN


def kind_of(statistics: Mapping[str, Any]) -> JobKind:
    if statistics.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
        return JobKind.NONE
    return _KINDS.get(operation_of(statistics), JobKind.OTHER)


def job_statistics(domain: Any) -> JobStatistics | None:
    """The running outgoing migration's figures."""
    try:
        statistics = domain.jobStats()
    except libvirt.libvirtError as error:
        if (
            error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID
        ):  # it ends at this moment, or is incoming
            return None
        raise
    if kind_of(statistics) is not JobKind.OUTGOING:
        return None
    state, reason = domain.state()
    is_postcopy = state == libvirt.VIR_DOMAIN_PAUSED and reason in (
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY,
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED,
    )
    return to_statistics(statistics, is_postcopy=is_postcopy)


def completed_statistics(domain: Any) -> JobStatistics | None:
    try:
        statistics = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _NO_FIGURES:
            return None
        raise
    if statistics.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        return None
    return to_statistics(statistics)


def to_statistics(statistics: Mapping[str, Any], *, is_postcopy: bool = False) -> JobStatistics:
    """libvirt's typed parameters in our words; `memory_dirty_rate` is pages/s there and bytes/s here."""
    dirty_pages_per_s = statistics.get("memory_dirty_rate")
    page_size = statistics.get("memory_page_size")
    dirty_rate = None if dirty_pages_per_s is None or page_size is None else dirty_pages_per_s * page_size
    return JobStatistics(
        memory_total=statistics.get("memory_total", 0),
        memory_processed=statistics.get("memory_processed", 0),
        memory_remaining=statistics.get("memory_remaining", 0),
        memory_rate=statistics.get("memory_bps"),
        memory_dirty_rate=dirty_rate,
        iteration=statistics.get("memory_iteration"),
        elapsed_ms=statistics.get("time_elapsed", 0),
        downtime_ms=statistics.get("downtime"),
        is_postcopy=is_postcopy,
        disk_total=statistics.get("disk_total", 0),
        disk_processed=statistics.get("disk_processed", 0),
        disk_remaining=statistics.get("disk_remaining", 0),
        disk_rate=statistics.get("disk_bps"),
    )


def abort(domain: Any, *, flags: int = 0) -> bool:
    """Whether there was a migration to abort. A refusal although there is one (post-copy) is raised.

    Others' jobs are not ours to abort (a save, a backup), and an incoming half would make us wait for libvirt's 30 s.
    """
    if job_kind(domain) is not JobKind.OUTGOING:
        return False
    try:
        domain.abortJobFlags(flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _NO_FIGURES and job_kind(domain) is not JobKind.OUTGOING:
            return False
        raise
    return True


def set_max_downtime(domain: Any, downtime_ms: int) -> bool:
    """Whether there was a migration to tune. libvirt itself would take the value for a later one."""
    if job_kind(domain) is not JobKind.OUTGOING:
        return False
    domain.migrateSetMaxDowntime(downtime_ms, 0)
    return True
