"""One guest through libvirt: what it is, and the short calls that change it. All of it runs in native threads.

Functions take virDomain or virConnect and raise libvirt's own errors; `ControlConnection.call` runs and translates.
"""

from typing import Any

import libvirt

from common.facts import GuestFacts
from common.states import PowerState
from compute_agent.hypervisor import domain_xml, guest_xml, job
from compute_agent.hypervisor.driver import (
    ABSENT,
    Definition,
    DomainSnapshot,
    DomainState,
    JobKind,
    JobOperation,
    Reason,
)

_STATES = (
    DomainState.NOSTATE, DomainState.RUNNING, DomainState.BLOCKED, DomainState.PAUSED,
    DomainState.SHUTDOWN, DomainState.SHUTOFF, DomainState.CRASHED, DomainState.PMSUSPENDED,
)  # fmt: skip
# By libvirt's numbers, virDomainRunningReason and virDomainPausedReason (libvirt-domain.h of 9.2, the last that added one).
_RUNNING_REASONS = (
    Reason.UNKNOWN, Reason.BOOTED, Reason.MIGRATED, Reason.RESTORED, Reason.FROM_SNAPSHOT, Reason.UNPAUSED,
    Reason.MIGRATION_CANCELED, Reason.SAVE_CANCELED, Reason.WAKEUP, Reason.CRASHED, Reason.POSTCOPY,
    Reason.POSTCOPY_FAILED,
)  # fmt: skip
_PAUSED_REASONS = (
    Reason.UNKNOWN, Reason.USER, Reason.MIGRATION, Reason.SAVE, Reason.DUMP, Reason.IO_ERROR, Reason.WATCHDOG,
    Reason.FROM_SNAPSHOT, Reason.SHUTTING_DOWN, Reason.SNAPSHOT, Reason.CRASHED, Reason.STARTING_UP, Reason.POSTCOPY,
    Reason.POSTCOPY_FAILED, Reason.API_ERROR,
)  # fmt: skip
_POWER_STATES = {
    DomainState.RUNNING: PowerState.RUNNING,
    DomainState.BLOCKED: PowerState.RUNNING,
    DomainState.PAUSED: PowerState.PAUSED,
    DomainState.SHUTDOWN: PowerState.RUNNING,  # its QEMU still is there
    DomainState.SHUTOFF: PowerState.SHUTOFF,
    DomainState.CRASHED: PowerState.CRASHED,
    DomainState.PMSUSPENDED: PowerState.SUSPENDED,
}
# The state that a paused incoming half shows, and a stale source.
_HALF_REASONS = frozenset({Reason.MIGRATION, Reason.STARTING_UP, Reason.UNKNOWN})
# Proof of a round trip: this group asks QEMU (query-dirty-rate) whatever devices the guest has, is never refused by a
# running migration, and with NOWAIT is left out, instead of waited for, while the domain's lock is taken.
_PROOF_GROUP = libvirt.VIR_DOMAIN_STATS_DIRTYRATE
_PROOF_KEY = "dirtyrate.calc_status"


def has_run(domain: Any) -> bool:
    """Whether any virtual processor has used any time (libvirt counts it in steps of 10 ms)."""
    ((_, figures),) = domain.connect().domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_VCPU)
    return any(key.startswith("vcpu.") and key.endswith(".time") and time for key, time in figures.items())


def lookup(connection: Any, uuid: str) -> Any | None:
    """The virDomain, or None if libvirtd says that there is none."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def state_of(domain: Any) -> tuple[DomainState, Reason]:
    number, reason = domain.state()
    state = _STATES[number] if number < len(_STATES) else DomainState.UNKNOWN
    reasons = {DomainState.RUNNING: _RUNNING_REASONS, DomainState.PAUSED: _PAUSED_REASONS}.get(state, ())
    return state, reasons[reason] if reason < len(reasons) else Reason.OTHER


def snapshot(connection: Any, uuid: str) -> DomainSnapshot:
    """One look, after a round trip to QEMU where there is one and nothing bars it."""
    domain = lookup(connection, uuid)
    if domain is None:
        return ABSENT
    try:
        has_answered = bool(domain.isActive()) and _has_answered(connection, domain)
        # Asking for the job of a domain whose monitor is taken would wait for libvirt's 30 s: look again instead.
        is_barred = not has_answered and is_occupied(domain)
        kind, operation = (JobKind.OTHER, JobOperation.UNKNOWN) if is_barred else job.job_of(domain)
        state, reason = state_of(domain)
        return DomainSnapshot(
            exists=True,
            is_active=bool(domain.isActive()),
            is_persistent=bool(domain.isPersistent()),
            state=state,
            reason=reason,
            job=kind,
            operation=operation,
            name=domain.name(),
            has_answered=has_answered,
        )
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:  # it went while we looked
            return ABSENT
        raise


def is_occupied(domain: Any) -> bool:
    """Whether somebody is waiting for its QEMU right now, outside of any long job. Never waits itself."""
    if not domain.isActive():
        return False
    try:
        return bool(
            domain.controlInfo()[0] in (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, libvirt.VIR_DOMAIN_CONTROL_ERROR)
        )
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:  # it ended in between
            return False
        raise


def facts(domain: Any) -> GuestFacts | None:
    """What a report says of it; None for what is no guest: an incoming half, or one being made or removed."""
    is_active, is_persistent = bool(domain.isActive()), bool(domain.isPersistent())
    if not is_active and not is_persistent:
        return None
    xml = domain.XMLDesc(0)
    state, reason = state_of(domain)
    if state is DomainState.PAUSED and reason in _HALF_REASONS and _is_incoming_half(domain, xml):
        return None
    return guest_xml.guest_facts(
        xml,
        power_state=_POWER_STATES.get(state, PowerState.UNKNOWN),
        is_persistent=is_persistent,
        has_autostart=bool(domain.autostart()),
    )


def all_facts(connection: Any) -> tuple[GuestFacts, ...]:
    found = []
    for domain in connection.listAllDomains():
        try:
            guest = facts(domain)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:  # it went while we listed
                continue
            raise
        if guest is not None:
            found.append(guest)
    return tuple(found)


def definition(domain: Any) -> Definition:
    is_active, is_persistent = bool(domain.isActive()), bool(domain.isPersistent())
    secure = libvirt.VIR_DOMAIN_XML_SECURE
    inactive_xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | secure) if is_persistent else None
    state, _ = state_of(domain)
    return Definition(
        live_xml=domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | secure),
        inactive_xml=inactive_xml,
        is_active=is_active,
        is_persistent=is_persistent,
        has_autostart=bool(domain.autostart()),
        is_paused=state in (DomainState.PAUSED, DomainState.PMSUSPENDED),
    )


# ---- changing


def resume(domain: Any) -> None:
    state, _ = state_of(domain)
    if state is not DomainState.RUNNING:
        domain.resume()


def destroy(domain: Any) -> None:
    if not domain.isActive():
        return
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        # It ended by itself in between.
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN and domain.isActive():
            raise


def undefine(domain: Any) -> None:
    if domain.isPersistent():
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM)


def clear_mark(domain: Any) -> None:
    if domain.isActive() and domain_xml.migration_mark(domain.XMLDesc(0)) is not None:
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            None,
            None,
            domain_xml.MARK_NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )


def _has_answered(connection: Any, domain: Any) -> bool:
    records = connection.domainListGetStats(
        [domain],
        libvirt.VIR_DOMAIN_STATS_STATE | _PROOF_GROUP,
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
    )
    return any(_PROOF_KEY in figures for _, figures in records)


def _is_incoming_half(domain: Any, xml: str) -> bool:
    return job.job_kind(domain) is JobKind.INCOMING or domain_xml.migration_mark(xml) is not None
