"""What a conductor shows to a client: the keys of `limosa -f json`, stable within a schema version.

Times are the database's, ISO 8601 in UTC; durations in seconds, memory in MiB unless a name says otherwise.
"""

from dataclasses import dataclass
from enum import StrEnum

from common.checks import Finding
from common.migration import Progress
from common.states import (
    AuditResult,
    CheckResult,
    HostState,
    MigrationStatus,
    MigrationType,
    Phase,
    PowerState,
    ResourceKind,
    Role,
    ServiceStatus,
    StorageMode,
    TaskState,
)

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    uuid: str
    name: str
    host: str
    power_state: PowerState
    task_state: TaskState | None
    vcpus: int
    memory_mib: int
    is_persistent: bool
    has_autostart: bool
    conflict: tuple[str, ...]  # hosts that report it, where there is more than one
    migration: str | None  # the open one
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    binary: str  # limosa-compute-agent, limosa-conductor
    host: str
    state: HostState
    last_seen_s: float | None  # ago
    hypervisor_age_s: float | None  # since libvirt answered the agent
    instances: int
    memory_total_mib: int | None
    memory_free_mib: int | None  # for guests: total * ratio - reserved - claimed
    hypervisor_version: str | None
    libvirt_version: str | None
    status: ServiceStatus = ServiceStatus.ENABLED
    disabled_reason: str | None = None  # in an administrator's words


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """What a host is and has. None: its agent has not reported it."""

    name: str
    status: ServiceStatus
    disabled_reason: str | None
    state: HostState
    last_seen_s: float  # ago
    hypervisor_age_s: float | None  # since libvirt answered the agent
    agent_version: str
    hypervisor_type: str | None
    hypervisor_version: str | None
    libvirt_version: str | None
    cpu_model: str | None
    cpu_arch: str | None
    vcpus_total: int | None
    vcpus_used: int  # of guests that run, and claimed
    memory_total_mib: int | None
    memory_used_mib: int  # of guests that run
    memory_claimed_mib: int  # beyond that: what open migrations hold for guests that are to come
    memory_free_mib: int | None  # for guests: total * ratio - reserved - used - claimed
    disk_total_gib: int | None  # where the host keeps the disks of its guests
    disk_free_gib: int | None  # as its file system has it: claims are not taken off
    disk_claimed_gib: int = 0  # what open migrations hold for disks that are copied there, rounded up
    instances: int
    guests: tuple[str, ...]  # names


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceView:
    """One row of what a host has and what is taken of it."""

    host: str
    instance: str  # a guest's name; of the sums: (total), (used_now), (used_max), as Nova has them
    kind: ResourceKind
    instance_uuid: str | None
    power_state: PowerState | None
    migration: str | None  # the open one that holds this room
    cpu: int | None
    memory_mib: int | None
    disk_gib: (
        int | None
    )  # of the sums: what the host's file system says, and claims; used_max, guests: virtual sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """A migration that has ended: what was predicted of it, and what was measured. None: not known."""

    migration: str
    instance_uuid: str
    instance_name: str
    status: MigrationStatus
    source: str
    dest: str | None
    predicted_seconds: float | None
    predicted_downtime_ms: int | None
    predicted_sent_mib: float | None
    predicted_passes: int | None
    predicted_rate_mib_s: float | None
    measured_seconds: float
    measured_downtime_ms: int | None
    measured_sent_mib: float | None
    measured_passes: int | None
    measured_rate_mib_s: float | None
    reason: str
    created_at: str
    finished_at: str
    network_gap_ms: int | None = None  # as of MigrationView
    network_verified: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """How long one command took, from its commit to the commit of its outcome, and of that on its host."""

    step: str
    host: str
    seconds: float
    seconds_on_host: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationView:
    id: str
    instance_uuid: str
    instance_name: str
    type: MigrationType
    status: MigrationStatus
    phase: Phase
    source: str
    dest: str | None
    requested_dest: str | None
    version: int  # grows with every change: what `watch_migration` waits for
    epoch: int
    reason: str  # why it failed or was cancelled; empty while all is well
    waiting_for: str  # what an open migration in doubt waits for, for a person
    is_abort_requested: bool
    findings: tuple[Finding, ...]
    progress: Progress | None
    steps: tuple[StepTime, ...]
    downtime_ms: int | None  # as libvirt reports it
    seconds: float  # since accept, or in all
    created_at: str
    updated_at: str
    finished_at: str | None
    network_gap_ms: int | None = None  # from the guest's pause until it answered from the dest
    network_verified: bool | None = None  # both hosts saw it reached on the dest; None: not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalView:
    """One line of the story of a migration, in the order in which it was committed."""

    at: str
    seconds: float  # since accept
    phase: Phase
    status: MigrationStatus
    epoch: int
    host: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationRequest:
    """What an administrator asks for. `instance` is a name or uuid; without `dest` the conductor chooses."""

    instance: str
    dest: str | None = None
    storage: StorageMode = StorageMode.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFilter:
    """Which migrations to list, newest first."""

    instance: str | None = None
    host: str | None = None
    is_open: bool | None = None
    limit: int = 100


class KeyState(StrEnum):
    """Whether an administrator's key counts."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorView:
    name: str
    role: Role
    state: KeyState
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorRequest:
    """Register somebody: the private key stays with him."""

    name: str
    role: Role
    public_key: str  # PEM
    valid_days: int | None = None  # None: for ever
    password_hash: str | None = None  # of a user of RabbitMQ that is to be made for him


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """One line of the audit: who asked for what, and what became of it."""

    id: int
    at: str
    signer: str  # as claimed, where the result is `rejected`
    method: str
    target: str
    result: AuditResult
    detail: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which lines of the audit to list, newest first."""

    signer: str | None = None  # a name, or KIND:NAME
    result: AuditResult | None = None
    limit: int = 100


HOSTS_PER_CHECK_MAX = (
    64  # asked by one request, some of them at a time; more would not answer within its time
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What an administrator wants to know: whether the instance could move to these hosts, or to which of all.

    Of all, HOSTS_PER_CHECK_MAX are answered for at a time, by name; `after` is the last one of those before.
    """

    instance: str
    hosts: tuple[str, ...] = ()  # HOSTS_PER_CHECK_MAX at most
    after: str = ""
    storage: StorageMode = StorageMode.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheckView:
    """One host as the dest of a migration that nobody has begun. `findings`: the guest's and its source's, too."""

    host: str
    result: CheckResult
    findings: tuple[Finding, ...]
    seconds: float  # until its agents had answered
