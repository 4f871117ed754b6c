"""What speaks against a migration before any agent is asked: every finding, from the database alone. Pure.

Rule 24, no new migration to a host that still owes a rollback, needs no check of its own: until that is answered the
migration is open, and an open migration keeps its instance busy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common import checks, host_checks
from common.checks import Finding
from common.states import PowerState
from conductor.capacity import (
    MIB_PER_GIB,
    HostStatus,
    Limits,
    free_disk_mib,
    free_mib,
    free_vcpus,
    is_up,
)
from conductor.versions import fits, version

MIGRATES_LIVE = (PowerState.RUNNING, PowerState.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestStatus:
    """One instance as the database has it at this moment."""

    uuid: str
    name: str
    host: str
    power_state: PowerState
    memory_mib: int
    vcpus: int = 0
    copied_mib: int = 0  # disks that the dest would need room for; none before the source has made its plan
    migration: str | None = None  # the open one
    conflict: tuple[str, ...] = ()  # the hosts that report it, if there are several


def check_guest(guest: GuestStatus, source: HostStatus | None, *, limits: Limits) -> tuple[Finding, ...]:
    """What speaks against moving this guest anywhere. `source` is None if its host's agent was never heard."""
    found = []
    if guest.migration is not None:
        found.append(checks.INSTANCE_BUSY.finding(guest.host, instance=guest.name, migration=guest.migration))
    if guest.conflict:
        hosts = ", ".join(guest.conflict)
        found.append(checks.INSTANCE_IN_CONFLICT.finding(guest.host, instance=guest.name, hosts=hosts))
    if guest.power_state not in MIGRATES_LIVE:
        found.append(
            checks.INSTANCE_NOT_RUNNING.finding(
                guest.host, instance=guest.name, power_state=guest.power_state.value
            )
        )
    if source is None:
        found.append(checks.DEST_UNKNOWN.finding(guest.host, dest=guest.host, known="none"))
    else:
        found.extend(_check_service(source, limits))
    return tuple(found)


def check_dest(
    guest: GuestStatus, dest: HostStatus, *, source: HostStatus | None = None, limits: Limits
) -> tuple[Finding, ...]:
    """What speaks against this host as the dest."""
    if dest.name == guest.host:
        return (checks.DEST_IS_SOURCE.finding(dest.name, instance=guest.name, dest=dest.name),)
    return (
        *_check_service(dest, limits),
        *_check_enabled(dest),
        *_check_hypervisors(source, dest, limits),
        *check_memory(guest.name, guest.memory_mib, dest, limits=limits),
        *_check_vcpus(guest, dest, limits),
        *check_disk(guest, dest, limits=limits),
    )


def check_named_dest(
    guest: GuestStatus, name: str, hosts: Mapping[str, HostStatus], *, limits: Limits
) -> tuple[Finding, ...]:
    """The same for a host that an operator names, and that may not exist."""
    dest = hosts.get(name)
    if dest is None:
        return (checks.DEST_UNKNOWN.finding(name, dest=name, known=", ".join(sorted(hosts)) or "none"),)
    return check_dest(guest, dest, source=hosts.get(guest.host), limits=limits)


def check_memory(guest: str, needed_mib: int, dest: HostStatus, *, limits: Limits) -> tuple[Finding, ...]:
    """Whether it still fits: asked at accept, and again in the transaction that claims a further candidate."""
    facts = dest.facts
    free = free_mib(dest, limits)
    if facts is None or free is None:
        reason = "its agent has not reported yet what the host has"
        return (checks.CHECK_FAILED.finding(dest.name, reason=reason),)
    if free >= needed_mib:
        return ()
    return (
        checks.MEMORY_SHORT.finding(
            dest.name,
            instance=guest,
            needed_mib=needed_mib,
            free_mib=free,
            total_mib=facts.memory_total_mib,
            ratio=limits.ram_allocation_ratio,
            reserved_mib=limits.reserved_memory_mib,
        ),
    )


def check_disk(guest: GuestStatus, dest: HostStatus, *, limits: Limits) -> tuple[Finding, ...]:
    """Whether what is copied still fits: asked in the transaction that claims it."""
    free = free_disk_mib(dest, limits)
    if dest.facts is None or free is None or not guest.copied_mib or free >= guest.copied_mib:
        return ()
    return (
        host_checks.DISK_SHORT.finding(
            dest.name,
            instance=guest.name,
            needed_mib=guest.copied_mib,
            free_mib=free,
            total_mib=dest.facts.disk_total_gib * MIB_PER_GIB,
            ratio=limits.disk_allocation_ratio,
            reserved_mib=limits.reserved_disk_mib,
            claimed_mib=dest.claimed_disk_mib,
        ),
    )


def _check_vcpus(guest: GuestStatus, dest: HostStatus, limits: Limits) -> tuple[Finding, ...]:
    free = free_vcpus(dest, limits)
    if dest.facts is None or free is None or free >= guest.vcpus:
        return ()
    return (
        host_checks.VCPUS_SHORT.finding(
            dest.name,
            instance=guest.name,
            needed=guest.vcpus,
            free=free,
            total=dest.facts.vcpus_total,
            ratio=limits.cpu_allocation_ratio,
            reserved=limits.reserved_vcpus,
        ),
    )


def _check_enabled(dest: HostStatus) -> tuple[Finding, ...]:
    if dest.disabled_reason is None:
        return ()
    reason = dest.disabled_reason.rstrip(".") or "it is disabled"
    return (host_checks.SERVICE_DISABLED.finding(dest.name, reason=reason),)


def _check_hypervisors(source: HostStatus | None, dest: HostStatus, limits: Limits) -> tuple[Finding, ...]:
    """Of hosts that have reported: that one has not, memory's check tells."""
    if source is None or source.facts is None or dest.facts is None:
        return ()
    ours, theirs = source.facts, dest.facts
    if ours.hypervisor_type != theirs.hypervisor_type:
        return (
            host_checks.HYPERVISOR_TYPE_DIFFERS.finding(
                dest.name,
                source=source.name,
                source_type=ours.hypervisor_type,
                dest_type=theirs.hypervisor_type,
            ),
        )
    if fits(ours.hypervisor_version, theirs.hypervisor_version, limits.version_rule):
        return ()
    return (
        host_checks.HYPERVISOR_VERSION_UNFIT.finding(
            dest.name,
            source=source.name,
            source_version=version(ours.hypervisor_version),
            dest_version=version(theirs.hypervisor_version),
            rule=limits.version_rule,
        ),
    )


def _check_service(host: HostStatus, limits: Limits) -> tuple[Finding, ...]:
    if not is_up(host, limits):
        return (checks.SERVICE_DOWN.finding(host.name, age_s=round(host.heard_s)),)
    silent_s = host.hypervisor_age_s
    if silent_s is not None and silent_s > limits.service_down_time_s:
        return (checks.HYPERVISOR_SILENT.finding(host.name, age_s=round(silent_s)),)
    return ()
