"""Findings: what a check found, with what evidence, and what to do about it.

A refused migration reports all findings at once. Each code is declared here once, with its sentence and hint
as templates over the evidence, so that the client can explain what an older agent or a newer conductor found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    """One thing that can be found: the template of its findings. `meaning` is one sentence for docs/checks.md."""

    code: str
    sentence: str
    hint: str
    severity: Severity = Severity.REFUSES
    meaning: str = ""

    def warning(self, host: str = "", **evidence: object) -> Finding:
        """The same where it does not stop a migration."""
        return replace(self.finding(host, **evidence), severity=Severity.WARNS)

    def refusal(self, host: str = "", **evidence: object) -> Finding:
        """The same where it stops one."""
        return replace(self.finding(host, **evidence), severity=Severity.REFUSES)

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


NOT_PERMITTED = Check(
    code="not_permitted",
    sentence="{signer} may not migrate an instance: the role is {role}.",
    hint="`limosa admin list` shows who may do what; /etc/limosa/policy.yaml on the controllers says what each role may.",
    meaning="Looking is permitted to more people than moving; a migration would be refused with exit code 9.",
)
DEST_UNKNOWN = Check(
    code="dest_unknown",
    sentence="There is no host {dest}.",
    hint="`limosa service list` shows the hosts; known ones are: {known}.",
    meaning="No compute agent of that name was ever heard.",
)
DEST_IS_SOURCE = Check(
    code="dest_is_source",
    sentence="{instance} runs on {dest} already.",
    hint="Name another host, or none to let the conductor choose.",
    meaning="The host that was named is the one where the instance runs.",
)
SERVICE_DOWN = Check(
    code="service_down",
    sentence="The compute agent on {host} is down: last heard {age_s} s ago.",
    hint="On {host}: `systemctl restart limosa-compute-agent`, and for its way to RabbitMQ `limosa-compute-agent doctor`",
    meaning="The host's compute agent has not been heard for longer than service_down_time.",
)
HYPERVISOR_SILENT = Check(
    code="hypervisor_silent",
    sentence="libvirt on {host} has not answered its agent for {age_s} s.",
    hint="On {host}: `systemctl status libvirtd`",
    meaning="The agent is heard, but its libvirtd does not answer it.",
)
INSTANCE_NOT_RUNNING = Check(
    code="instance_not_running",
    sentence="{instance} is {power_state}; only a running or paused guest migrates live.",
    hint="Start it first.",
    meaning="Memory can only be copied from a QEMU that is there: the guest must run or be paused.",
)
PAUSED_SINCE_ARRIVAL = Check(
    code="paused_since_arrival",
    sentence="{instance} is paused and has not run since it came to {host}: QEMU may abort if it is moved now, and the "
    "guest would be lost.",
    hint="Let it run for a moment: `virsh resume {instance}`, then `virsh suspend {instance}` on {host}.",
    meaning="A guest that came paused has not activated its disks yet, and QEMU 7.2 dies when it is moved on so.",
)
INSTANCE_BUSY = Check(
    code="instance_busy",
    sentence="{instance} is being moved already, by migration {migration}.",
    hint="`limosa migration watch {migration}` follows it; `limosa migration abort {migration}` stops it.",
    meaning="One migration of an instance at a time; the agents are not asked while it is under way.",
)
INSTANCE_IN_CONFLICT = Check(
    code="instance_in_conflict",
    sentence="More than one host reports {instance}: {hosts}.",
    hint="Find out with virsh where it really runs, and undefine the other copy; nothing is done until then.",
    meaning="Two libvirtds know a domain of one uuid, so that nobody can say which of them is the guest.",
)
INSTANCE_GONE = Check(
    code="instance_gone",
    sentence="{instance} is not known to libvirt on {host}.",
    hint="`limosa list` shows where guests were last seen.",
    meaning="libvirt on the source does not know the guest any more.",
)
MEMORY_SHORT = Check(
    code="memory_short",
    sentence="{instance} needs {needed_mib} MiB of memory; {host} has {free_mib} MiB free for guests.",
    hint="Choose another host or free memory there (total {total_mib} MiB, ratio {ratio}, reserved {reserved_mib} MiB).",
    meaning="The guest's memory does not fit, by the conductor's count (ratio, reserve, claims), or by what is free "
    "now: that only warns where ram_allocation_ratio is above 1.",
)
DOMAIN_EXISTS = Check(
    code="domain_exists",
    sentence="libvirt on {host} already knows a domain with this {what} ({value}).",
    hint="If it is a leftover, remove it there: `virsh undefine {value}`.",
    meaning="A domain on the dest could be mistaken for the guest, or the guest for it.",
)
STORAGE_NOT_SHARED = Check(
    code="storage_not_shared",
    sentence="Disk {disk} ({path}) is not on storage that {host} shares: {reason}.",
    hint="Mount the same storage at {directory} on both hosts, or attach the same device to both.",
    meaning="What the dest writes beside the disk is not read back on the source: the guest would find other data, or none.",
)
DISK_NOT_PROVABLE = Check(
    code="disk_not_provable",
    sentence="Disk {disk} is of type {type}: whether both hosts see the same cannot be shown.",
    hint="It can of files, block devices and volumes of storage pools; disks on a server are the same from everywhere.",
    meaning="There is no way yet to show that both hosts see the same data behind this kind of disk.",
)
TUNNELLED_BLOCK = Check(
    code="tunnelled_block",
    sentence="live_migration_flag contains VIR_MIGRATE_TUNNELLED, which libvirt cannot combine with block migration.",
    hint="Remove VIR_MIGRATE_TUNNELLED from [libvirt]live_migration_flag on {host}, or use shared storage.",
    meaning="A disk that is not shared would have to be copied, which libvirt refuses to do through its tunnel.",
)
NO_CANDIDATE = Check(
    code="no_candidate",
    sentence="No host can take {instance}.",
    hint="Each host's reasons are listed with its name.",
    meaning="Every host has something against it; no HOST was named.",
)
CHECK_FAILED = Check(
    code="check_failed",
    sentence="A check on {host} could not be made: {reason}.",
    hint="Look at the compute agent's log on {host}: `journalctl -u limosa-compute-agent`",
    meaning="What could not be looked at counts as a reason against the migration; the reason names the check.",
)
CHECK_TIMED_OUT = Check(
    code="check_timed_out",
    sentence="{host} did not answer {side} within {timeout_s} s.",
    hint="Look at the compute agent's log on {host}: `journalctl -u limosa-compute-agent`",
    meaning="The agent is heard and has not answered in time: it hangs, or something that it asks does.",
)
