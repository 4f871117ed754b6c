"""What the agent can ask of one host's hypervisor: the protocol, and the frozen data that it gives back.

Two classes implement it, held to one contract test: `libvirt_hypervisor.LibvirtHypervisor` and the tests' fake.
Every call is bounded in time, raises only the errors of `libvirt_errors`, and may be repeated: what is so already
is no error. All of them are made from ordinary (green) threads and never block the hub.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from common.facts import GuestFacts, HostFacts
from common.migration import JobStatistics
from compute_agent.hypervisor.baseline import Baselines
from compute_agent.hypervisor.bridges import Bridges
from compute_agent.hypervisor.looks import CpuComparison, HostResources, MachineFit, Obstacles, Offer
from compute_agent.hypervisor.nwfilters import NetworkFilters
from compute_agent.hypervisor.pools import StoragePools
from compute_agent.hypervisor.reading import RemoteFiles
from compute_agent.hypervisor.secrets import Secrets


class DomainState(StrEnum):
    """libvirt's states of a domain (virDomainState)."""

    NOSTATE = "nostate"
    RUNNING = "running"
    BLOCKED = "blocked"  # Xen's; QEMU never says it
    PAUSED = "paused"
    SHUTDOWN = "in-shutdown"  # powered off, QEMU not yet ended
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    PMSUSPENDED = "pmsuspended"
    UNKNOWN = "unknown"  # a number that this version does not know


class Reason(StrEnum):
    """Why a domain runs or is paused (virDomainRunningReason, virDomainPausedReason); OTHER for all other states."""

    UNKNOWN = "unknown"
    OTHER = "other"
    # running
    BOOTED = "booted"
    MIGRATED = "migrated"
    RESTORED = "restored"
    UNPAUSED = "unpaused"
    MIGRATION_CANCELED = "migration-canceled"
    SAVE_CANCELED = "save-canceled"
    WAKEUP = "wakeup"
    # paused
    USER = "user"
    MIGRATION = "migration"
    SAVE = "save"
    DUMP = "dump"
    IO_ERROR = "io-error"
    WATCHDOG = "watchdog"
    SHUTTING_DOWN = "shutting-down"
    SNAPSHOT = "snapshot"
    STARTING_UP = "starting-up"
    API_ERROR = "api-error"  # libvirt could not resume it after a failed migration: a lock, most often
    # both
    FROM_SNAPSHOT = "from-snapshot"
    CRASHED = "crashed"
    POSTCOPY = "postcopy"
    POSTCOPY_FAILED = "postcopy-failed"


class JobKind(StrEnum):
    """What libvirt is doing to a domain at the moment."""

    NONE = "none"
    OUTGOING = "outgoing"  # it migrates away
    INCOMING = "incoming"  # it arrives: from Prepare until Finish has ended
    OTHER = "other"  # save, dump, snapshot, backup: `JobOperation` says which


class JobOperation(StrEnum):
    """What the job does (virDomainJobOperation)."""

    UNKNOWN = "unknown"  # also: there is none
    START = "start"
    SAVE = "save"
    RESTORE = "restore"
    MIGRATION_IN = "incoming migration"
    MIGRATION_OUT = "outgoing migration"
    SNAPSHOT = "snapshot"
    SNAPSHOT_REVERT = "snapshot revert"
    DUMP = "dump"
    BACKUP = "backup"
    SNAPSHOT_DELETE = "snapshot delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSnapshot:
    """What libvirt says of a domain at one moment. `classify` makes it one word of the verdict table."""

    exists: bool
    is_active: bool = False
    is_persistent: bool = False
    state: DomainState = DomainState.NOSTATE
    reason: Reason = Reason.OTHER
    job: JobKind = JobKind.NONE
    operation: JobOperation = JobOperation.UNKNOWN
    name: str = ""
    has_answered: bool = (
        False  # its QEMU answered on the monitor; never for an incoming half, whose job bars us
    )


ABSENT = DomainSnapshot(exists=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which host a libvirtd is of, in its own words: two of one name are told apart by the uuid."""

    hostname: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A guest's whole configuration, secrets included: for memory and the root-only ledger, never for the wire."""

    live_xml: str = field(repr=False)  # MIGRATABLE | SECURE; of an inactive guest its inactive XML
    inactive_xml: str | None = field(
        repr=False
    )  # INACTIVE | SECURE: carries pending changes; None: transient
    is_active: bool
    is_persistent: bool
    has_autostart: bool
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateRequest:
    """The arguments of one migrateToURI3. `flags`: made by `flags_value`, never with UNSAFE."""

    dconnuri: str
    migrate_uri: str | None
    flags: int
    bandwidth_mib_s: int  # 0: libvirt's default
    dest_xml: str = field(repr=False)
    persist_xml: str | None = field(repr=False)  # None: transient
    copied_disks: tuple[str, ...] = ()  # targets; `flags` then has NON_SHARED_DISK or NON_SHARED_INC
    disks_port: int = 0  # 0: libvirt chooses
    tls_name: str = (
        ""  # whom the dest's certificate must name, with VIR_MIGRATE_TLS; empty: the host of migrate_uri
    )


class EventKind(StrEnum):
    """What a subscriber hears. Events are hints: what is true is asked."""

    DEFINED = "defined"
    UNDEFINED = "undefined"
    STARTED = "started"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    STOPPED = "stopped"
    SHUTDOWN = "shutdown"
    PMSUSPENDED = "pmsuspended"
    CRASHED = "crashed"
    CHANGED = "changed"  # metadata, devices, balloon: the reported facts may be others now
    JOB_COMPLETED = "job-completed"  # with `statistics`
    ITERATION = "iteration"  # of a migration's memory copy
    DISCONNECTED = "disconnected"  # libvirtd is gone; no uuid
    RELIST = "relist"  # connected (again): events may have been missed, list everything; no uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorEvent:
    kind: EventKind
    uuid: str = ""
    name: str = ""
    detail: int = 0  # libvirt's detail of a lifecycle event; the number of an iteration
    statistics: JobStatistics | None = None


EventCallback = Callable[[HypervisorEvent], None]


class MigrationCall(Protocol):
    """One migrateToURI3, ready to be sent: the connection is open, the domain found, the arguments made.

    Between `prepare_migration` and `issue` the caller writes to its ledger that it is about to call: nothing that
    could fail or take long is left between that fsync and the call.
    """

    def issue(self) -> JobStatistics | None:
        """Send the call and wait until libvirt ends it. Once only; closes the connection.

        The libvirt call has a native thread of its own; the calling thread waits without blocking the others. Returns
        the completed job's statistics, None where libvirt gives none. Any error says only that the call is over
        or, HypervisorUnreachableError, not even that.
        """

    def discard(self) -> None:
        """Close the connection without calling; nothing happens after `issue`."""


class Hypervisor(RemoteFiles, Bridges, StoragePools, Secrets, NetworkFilters, Baselines, Protocol):
    """One host's hypervisor."""

    def start(self) -> None:
        """Begin to listen for events. Returns at once; a libvirtd that is away is waited for in the background."""

    def stop(self) -> None:
        """Close the connections. Running migrations are libvirtd's and go on."""

    @property
    def age_s(self) -> float:
        """Seconds since libvirt last answered; grows while libvirtd hangs or is away. Callable from any thread."""

    def subscribe(self, callback: EventCallback) -> None:
        """Call `callback` for each event, in whatever thread it arrives: it must only hand over, and never block."""

    # ---- facts

    def host_facts(self) -> HostFacts:
        """What the host is and has."""

    def identity(self) -> Identity:
        """Whose libvirtd this is."""

    def reach(self, uri: str, *, timeout_s: float) -> Identity:
        """Whose libvirtd answers there: asked as the one of this host would ask in a migration, and let go again.

        Raises HypervisorUnreachableError.
        """

    def memory_free_mib(self) -> int:
        """What the host could give to a new guest now, with what its caches would give back."""

    def list_guests(self) -> tuple[GuestFacts, ...]:
        """All guests, running or not; without incoming halves, which are no instances yet."""

    def guest_facts(self, uuid: str) -> GuestFacts:
        """One of them. Raises DomainNotFoundError, also for an incoming half."""

    def find_by_name(self, name: str) -> str | None:
        """The uuid of the domain of this name, active or not, whole or not."""

    def definition(self, uuid: str) -> Definition:
        """The whole configuration. Raises DomainNotFoundError."""

    def migration_mark(self, uuid: str) -> str | None:
        """The id of the migration that brought this domain here, while its live XML carries our mark."""

    # ---- what a guest from elsewhere would meet here

    def offers(self) -> tuple[Offer, ...]:
        """The architectures, domain types and machine types of this host."""

    def machine_fit(self, guest: GuestFacts) -> MachineFit:
        """Whether the guest's emulator, domain type and machine type exist here."""

    def compare_cpu(self, guest: GuestFacts) -> CpuComparison:
        """Its CPU with what this hypervisor can offer such a guest; for a guest whose `machine_fit` fits.

        Says nothing of `host-passthrough` and `maximum`, which libvirt takes anywhere.
        """

    def resources(self) -> HostResources:
        """Networks, nwfilters and secrets that are defined here."""

    # ---- looking

    def obstacles(self, uuid: str) -> Obstacles:
        """What of the guest would be lost by moving it, or bars it. Raises DomainNotFoundError."""

    def observe(self, uuid: str) -> DomainSnapshot:
        """Look at a domain after a round trip to its QEMU. Raises HypervisorUnreachableError if any part is silent."""

    def has_run(self, uuid: str) -> bool:
        """Whether the guest's processors have run since its QEMU was started here. Raises DomainNotFoundError."""

    def job_statistics(self, uuid: str) -> JobStatistics | None:
        """The running outgoing migration; None when there is none."""

    def completed_statistics(self, uuid: str) -> JobStatistics | None:
        """The last job, also on the dest of a migration; reading forgets it. None: not known."""

    # ---- migrating

    def prepare_migration(self, uuid: str, request: MigrateRequest) -> MigrationCall:
        """Open a connection for one call and find the domain; nothing is asked of libvirt yet."""

    def abort_job(self, uuid: str) -> None:
        """Raises JobAbsentError where there is none (any more). The job ends later: wait for it."""

    def set_max_downtime(self, uuid: str, downtime_ms: int) -> None:
        """Raises JobAbsentError."""

    def pause_postcopy(self, uuid: str) -> None:
        """Make a post-copy migration whose link broke resumable; on the source. Raises JobAbsentError."""

    # ---- changing

    def resume(self, uuid: str) -> None:
        """Start a paused guest; nothing happens if it runs. A lock held elsewhere is a HypervisorOperationError."""

    def destroy(self, uuid: str) -> None:
        """End a domain's QEMU at once; nothing happens if it is off or absent. Its definition stays."""

    def undefine(self, uuid: str) -> None:
        """Remove the definition; NVRAM and TPM state stay. Nothing happens if there is none.

        Fails where a managed save or snapshots would be lost with it.
        """

    def define(self, xml: str) -> None:
        """Make or replace the definition. Raises DomainExistsError for another domain of that name or uuid."""

    def set_autostart(self, uuid: str, *, has_autostart: bool) -> None:
        """Whether the guest starts with its host. Only for a persistent guest."""

    def clear_migration_mark(self, uuid: str) -> None:
        """Remove our metadata element from the running domain; nothing happens if it is off, absent or not marked."""
