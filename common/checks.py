"""Findings: what a check found, with what evidence, and what to do about it.

A refused migration reports all findings at once. Each code is declared here once, with its sentence and hint
as templates over the evidence, so that the client can explain what an older agent or a newer conductor found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding stops the migration."""

    REFUSES = "refuses"
    WARNS = "warns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason against a migration (or a warning), complete enough to be read alone.

    `evidence` holds the observed facts, by name, as text: what was compared with what.
    """

    code: str
    severity: Severity
    sentence: str
    hint: str
    host: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that can be found: the template of its findings."""

    code: str
    sentence: str
    hint: str
    severity: Severity = Severity.REFUSES

    def finding(self, host: str = "", **evidence: object) -> Finding:
        """Make the finding; raises KeyError when the templates name evidence that is not given."""
        texts = {name: str(value) for name, value in evidence.items()}
        fields = {**texts, "host": host}
        return Finding(
            code=self.code,
            severity=self.severity,
            sentence=self.sentence.format_map(fields),
            hint=self.hint.format_map(fields),
            host=host,
            evidence=texts,
        )


def refusing(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stop a migration."""
    return tuple(finding for finding in findings if finding.severity is Severity.REFUSES)


DEST_UNKNOWN = Check(
    code="dest_unknown",
    sentence="There is no host {dest}.",
    hint="`limosa service list` shows the hosts; known ones are: {known}.",
)
DEST_IS_SOURCE = Check(
    code="dest_is_source",
    sentence="{instance} runs on {dest} already.",
    hint="Name another host, or none to let the conductor choose.",
)
SERVICE_DOWN = Check(
    code="service_down",
    sentence="The compute agent on {host} is down: last heard {age_s} s ago.",
    hint="Look at `systemctl status limosa-compute-agent` on {host}, and at its way to RabbitMQ.",
)
HYPERVISOR_SILENT = Check(
    code="hypervisor_silent",
    sentence="libvirt on {host} has not answered its agent for {age_s} s.",
    hint="Look at `systemctl status libvirtd` on {host}.",
)
INSTANCE_NOT_RUNNING = Check(
    code="instance_not_running",
    sentence="{instance} is {power_state}; only a running or paused guest migrates live.",
    hint="Start it first.",
)
PAUSED_SINCE_ARRIVAL = Check(
    code="paused_since_arrival",
    sentence="{instance} is paused and has not run since it came to {host}: QEMU may abort if it is moved now, and the "
    "guest would be lost.",
    hint="Let it run for a moment: `virsh resume {instance}`, then `virsh suspend {instance}` on {host}.",
)
INSTANCE_BUSY = Check(
    code="instance_busy",
    sentence="{instance} is being moved already, by migration {migration}.",
    hint="`limosa migration watch {migration}` follows it; `limosa migration abort {migration}` stops it.",
)
INSTANCE_IN_CONFLICT = Check(
    code="instance_in_conflict",
    sentence="More than one host reports {instance}: {hosts}.",
    hint="Find out with virsh where it really runs, and undefine the other copy; nothing is done until then.",
)
INSTANCE_GONE = Check(
    code="instance_gone",
    sentence="{instance} is not known to libvirt on {host}.",
    hint="`limosa list` shows where guests were last seen.",
)
MEMORY_SHORT = Check(
    code="memory_short",
    sentence="{instance} needs {needed_mib} MiB of memory; {host} has {free_mib} MiB free for guests.",
    hint="Choose another host or free memory there (total {total_mib} MiB, ratio {ratio}, reserved {reserved_mib} MiB).",
)
DOMAIN_EXISTS = Check(
    code="domain_exists",
    sentence="libvirt on {host} already knows a domain with this {what} ({value}).",
    hint="If it is a leftover, remove it there: `virsh undefine {value}`.",
)
STORAGE_NOT_SHARED = Check(
    code="storage_not_shared",
    sentence="Disk {disk} ({path}) is not on storage that {host} shares: {reason}.",
    hint="Mount the same storage at {directory} on both hosts.",
)
DISK_NOT_PROVABLE = Check(
    code="disk_not_provable",
    sentence="Disk {disk} is of type {type}: whether both hosts see the same cannot be shown yet.",
    hint="Only file disks can be proven shared by this version.",
)
TUNNELLED_BLOCK = Check(
    code="tunnelled_block",
    sentence="live_migration_flag contains VIR_MIGRATE_TUNNELLED, which libvirt cannot combine with block migration.",
    hint="Remove VIR_MIGRATE_TUNNELLED from [libvirt]live_migration_flag on {host}, or use shared storage.",
)
NO_CANDIDATE = Check(
    code="no_candidate",
    sentence="No host can take {instance}.",
    hint="Each host's reasons are listed with its name.",
)
CHECK_FAILED = Check(
    code="check_failed",
    sentence="A check on {host} could not be made: {reason}.",
    hint="Look at the compute agent's log on {host}.",
)
CHECK_TIMED_OUT = Check(
    code="check_timed_out",
    sentence="{host} did not answer {verb} within {timeout_s} s.",
    hint="Look at the compute agent's log on {host}.",
)
