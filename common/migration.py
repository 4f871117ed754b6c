"""What travels between conductor and agent about one migration: commands, outcomes, progress.

Everything is frozen and goes through `common.wire`. A command's arguments are one dataclass per verb; an
outcome's facts likewise. Domain XML is never among them.
"""

from dataclasses import dataclass, field

from common.checks import Finding
from common.devices import DeviceIdentity
from common.facts import GuestFacts, HostFacts
from common.room import DiskRoom
from common.states import DestSeen, Result, SourceSeen, Verb
from common.transfer import (
    BootFileChange,
    Declarations,
    DiskChange,
    Handover,
    InterfaceChange,
    TransferPlan,
)

DiskAddress = tuple[str, str, str, str]
"""Target, type, path and device of DiskFacts."""

# ---- arguments, one dataclass for each verb that needs any


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskProbe:
    """A file that the dest wrote beside a disk, for the source to read back: equal content proves shared storage.

    Of a block device its identity, and a file beside the file that a loop device stands on.
    """

    disk: str  # target device
    path: str  # of the disk
    probe_path: str  # empty: nothing was written
    token: str
    real_name: str = (
        ""  # of the disk's file, where its path leads there by a link; empty: the dest is of an older version
    )
    type: str = "file"  # of the disk
    device: DeviceIdentity | None = None  # as the dest sees it
    part: str = ""  # of its file, where it is a loop device
    place_type: str = ""  # of a volume of a storage pool: file, block
    place: str = ""  # filled in by the source: its path there
    obstacle: str = ""  # or why it is nowhere there, in a half-sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentDisk:
    """A disk, or an image below it, that the dest does not have: copied there, if anything. `reason`: a half-sentence."""

    disk: str  # target device
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphicsListen:
    """Where a graphics device of this type is to listen on the dest."""

    type: str  # vnc, spice
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumSeen:
    """A file at a medium's path as one host sees it. Equal in all of these, it is one file on storage that both share."""

    path: str
    size_bytes: int
    inode: int
    modified_ns: int
    changed_ns: int  # ctime, which nobody can set: a copy that was made with its times has another one


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationFacts:
    """What the dest tells the source, through the conductor, before anything moves."""

    connect_address: str  # for [libvirt]live_migration_uri: inbound_addr of the dest, or its name
    inbound_address: str = ""  # for migrate_uri; empty: libvirt chooses
    probes: tuple[DiskProbe, ...] = ()
    host: str = ""  # its name
    facts: HostFacts | None = None
    examined: tuple[DiskAddress, ...] = ()  # the disks that the dest has looked at, with a probe or without
    hostname: str = ""  # whose libvirtd it is, in that libvirtd's words; empty: not known
    host_uuid: str = ""
    ports: tuple[int, ...] = ()  # that it holds open for the source to try
    port_range: tuple[int, int] | None = None  # first and last of its ports for migrations
    mtus: tuple[tuple[str, int], ...] = ()  # by MAC: of the bridge that an interface would be connected to
    initiator: str = ""  # its IQN, which QEMU is given there; empty: the one in the XML stays
    absent: tuple[AbsentDisk, ...] = ()  # of those examined, what it does not have and could be given
    rooms: tuple[DiskRoom, ...] = ()  # for those
    media: tuple[MediumSeen, ...] = ()  # those of the guest's media that it has something of


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestTraits:
    """What the dest must complete after the hand-over, as the source had it."""

    is_persistent: bool
    has_autostart: bool
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainChanges:
    """Typed changes that the dest asks the source to make in the XML it passes to libvirt."""

    graphics: tuple[GraphicsListen, ...] = ()
    disks: tuple[DiskChange, ...] = ()
    interfaces: tuple[InterfaceChange, ...] = ()
    boot_files: tuple[BootFileChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDestArguments:
    """For check_can_live_migrate_destination: the guest, and what the conductor's database has of it and its host."""

    name: str
    memory_mib: int
    vcpus: int
    machine: str
    disks: tuple[DiskAddress, ...]
    facts: GuestFacts | None = None
    source: HostFacts | None = None
    source_host: str = ""
    ram_allocation_ratio: float = 1.0  # the conductor's: beyond 1, guests may have more memory than there is
    declared: Declarations = field(default_factory=Declarations)
    source_address: str = ""  # how the dest reaches the source's libvirtd; empty: by source_host


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSourceArguments:
    dest_facts: DestinationFacts
    declared: Declarations = field(default_factory=Declarations)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreArguments:
    """What the dest prepares itself for; `source_address` is how it reaches the source's libvirtd."""

    name: str
    plan: TransferPlan = field(default_factory=TransferPlan)
    declared: Declarations = field(default_factory=Declarations)
    source_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveArguments:
    dest_facts: DestinationFacts
    changes: DomainChanges
    plan: TransferPlan | None = None  # None: of a conductor before the first that copies anything
    declared: Declarations = field(default_factory=Declarations)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveArguments:
    """Which side of the migration is asked: the answer's words differ."""

    is_source: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackArguments:
    """What is to be undone on the dest.

    Not `is_prepared`: only the checks' probe, whatever domain may be there. `keep_disks`: the guest may have run
    here (post-copy was seen, or it is nowhere); its files are evidence.
    """

    name: str
    is_prepared: bool = True
    keep_disks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDestArguments:
    name: str
    traits: GuestTraits
    plan: TransferPlan = field(default_factory=TransferPlan)
    declared: Declarations = field(default_factory=Declarations)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostSourceArguments:
    """What the source has to let go of, now that the dest is proven and committed to have the guest."""

    name: str
    dest_facts: DestinationFacts
    plan: TransferPlan = field(default_factory=TransferPlan)
    declared: Declarations = field(default_factory=Declarations)


Arguments = (
    CheckDestArguments
    | CheckSourceArguments
    | PreArguments
    | LiveArguments
    | ObserveArguments
    | RollbackArguments
    | PostDestArguments
    | PostSourceArguments
)

# ---- `limosa check`: asked and answered by calls, outside of any migration


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What one host has found. Nothing was begun by it, and nothing is owed, but for the dest's probes."""

    findings: tuple[Finding, ...]
    dest_facts: DestinationFacts | None = None  # of a dest; None: it could not be looked at


# ---- the two messages of the saga


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """The conductor has committed or dropped what was answered up to this epoch: the agent may stop repeating it."""

    instance: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One order to one agent about one instance. (instance, epoch) names it; a resend is the same command.

    A newer command to a host acknowledges all that it has answered for this instance under older epochs.
    """

    instance: str  # uuid
    migration: str  # uuid
    epoch: int
    verb: Verb
    host: str  # whom it is for
    arguments: Arguments | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An agent's answer to one command. The facts that a verb may bring stand in fields of their own."""

    instance: str
    migration: str
    epoch: int
    verb: Verb
    host: str
    boot_id: str  # of the host's kernel, or of its agent where several share one
    result: Result
    seen: SourceSeen | DestSeen | None = None  # OBSERVED
    findings: tuple[Finding, ...] = ()  # checks, pre
    detail: str = ""  # a sentence for the journal; of an error: its text
    accepted_epoch: int | None = None  # SUPERSEDED: the newer epoch
    dest_facts: DestinationFacts | None = None  # check_can_live_migrate_destination
    traits: GuestTraits | None = None  # check_can_live_migrate_source, live_migration
    plan: TransferPlan | None = None  # check_can_live_migrate_source
    changes: DomainChanges | None = None  # pre_live_migration
    handover: Handover | None = None  # post_live_migration_at_destination, post_live_migration: each its part
    statistics: "JobStatistics | None" = None  # live_migration: of the completed job
    seconds: float = 0.0  # the verb's own duration on its host


# ---- progress: advisory, never part of the saga


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatistics:
    """One look at a libvirt job (virDomainGetJobStats), sizes in bytes, rates in bytes/s; None: not told."""

    memory_total: int = 0
    memory_processed: int = 0
    memory_remaining: int = 0
    memory_rate: int | None = None
    memory_dirty_rate: int | None = None  # pages/s times page size
    iteration: int | None = None
    elapsed_ms: int = 0
    downtime_ms: int | None = None
    is_postcopy: bool = False
    disk_total: int = 0  # of all disks that are copied; 0: none is
    disk_processed: int = 0
    disk_remaining: int = 0
    disk_rate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the source's monitor tells the conductor while a job runs; older ones (smaller sequence) are dropped."""

    instance: str
    migration: str
    epoch: int
    host: str
    sequence: int
    statistics: JobStatistics
    downtime_max_ms: int = 0  # what the convergence policy allows at this moment
    eta_s: float | None = None
