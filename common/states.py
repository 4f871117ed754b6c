"""The words that travel: statuses, phases, verbs, results, and what a host can say of a guest.

Every member says what is true while it holds. Statuses and task states are Nova's, so that its operators find
the words they know; phases are the saga's own, finer than the statuses.
"""

from enum import StrEnum


class MigrationType(StrEnum):
    """What kind of move a migration is; Nova's names."""

    LIVE_MIGRATION = "live-migration"


class MigrationStatus(StrEnum):
    """Where a migration stands, for an operator; Nova's names."""

    ACCEPTED = "accepted"  # claimed; a candidate is being checked; nothing on any host has changed
    PREPARING = "preparing"  # one dest is chosen and prepares itself
    RUNNING = "running"  # the source may have called migrateToURI3
    RUNNING_POSTCOPY = "running (post-copy)"  # the guest runs on the dest, its memory is still arriving
    SOURCE_UNCONFIRMED = "running (source unconfirmed)"  # the dest is proven; the source is not yet clean
    COMPLETED = "completed"  # the guest runs on the dest, the source is clean
    FAILED = "failed"  # the guest is healthy on its source, everything is undone
    CANCELLED = "cancelled"  # the same, because an operator asked for it
    ERROR = "error"  # an operator must act; the row says what and why

    @property
    def is_final(self) -> bool:
        return self in (self.COMPLETED, self.FAILED, self.CANCELLED, self.ERROR)


class TaskState(StrEnum):
    """What is being done to an instance; none when it is free. Nova's names."""

    MIGRATING = "migrating"


class Direction(StrEnum):
    """Which way packets go that a rule lets through."""

    INGRESS = "ingress"  # to the guest
    EGRESS = "egress"  # from the guest


class PowerState(StrEnum):
    """What libvirt says of a domain, in one word."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    SUSPENDED = "suspended"  # pmsuspended: the guest sleeps by its own wish
    UNKNOWN = "unknown"


class HostState(StrEnum):
    """Whether a host's agent is heard. Down stops new work there and is evidence of nothing else."""

    UP = "up"
    DOWN = "down"


class ServiceStatus(StrEnum):
    """Whether new work may be given to a host, as its administrators want it. Nova's words."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # guests stay and run on; none is moved there


class ResourceKind(StrEnum):
    """What one row of `limosa service describe-resource` is about."""

    TOTAL = "total"  # what the host has
    USED_NOW = "used-now"  # what is taken of it
    USED_MAX = "used-max"  # what would be taken if all its guests ran
    INSTANCE = "instance"  # one guest that is there
    CLAIM = "claim"  # one that is not there yet: a migration holds room for it


class CheckResult(StrEnum):
    """Whether a host could take an instance, by all that was found."""

    FITS = "fits"  # at most warnings
    REFUSES = "refuses"


class StorageMode(StrEnum):
    """How the disks of a guest get to the dest, as whoever asks for the migration wants it."""

    AUTO = "auto"  # disk by disk, by what both hosts see
    SHARED = "shared"  # nothing is copied: a disk that is not shared refuses
    BLOCK = "block"  # every local disk is copied: one that is shared refuses


class DiskWay(StrEnum):
    """How one disk of a guest gets to the dest: decided by the source, from what both hosts see."""

    SHARED = "shared"  # both hosts see the same one: nothing is done
    COPIED = "copied"  # the dest makes an empty one, and QEMU fills it while the guest runs
    VOLUME = "volume"  # on a server that the dest is connected to; nothing is copied
    MEDIUM = "medium"  # only read: the dest has or gets an equal one, or the drive is emptied
    EMPTY = "empty"  # a drive without a medium


class MemoryTls(StrEnum):
    """[libvirt]live_migration_tls: whether what a guest takes with it is encrypted."""

    AUTO = "auto"  # where both hosts can
    REQUIRED = "required"
    OFF = "off"


class MissingMedium(StrEnum):
    """What becomes of a medium, or a file that a guest is started with, that the dest has not."""

    COPY = "copy"  # from the source, before the guest comes
    EJECT = "eject"  # its drive is emptied; what is in no drive is copied
    REFUSE = "refuse"  # the guest stays


class MissingBaseImage(StrEnum):
    """[storage]missing_base_image: what a dest does where an image below a disk that is copied to it is missing."""

    COPY = "copy"
    REFUSE = "refuse"


class VersionRule(StrEnum):
    """[conductor]hypervisor_version_check: which version of the hypervisor a dest must have."""

    NOT_OLDER = "not_older"
    EQUAL = "equal"
    NONE = "none"


class Role(StrEnum):
    """What an administrator may do, by the policy as it is shipped."""

    ADMIN = "admin"  # everything
    OPERATOR = "operator"  # move guests, enable and disable hosts
    READER = "reader"  # look


class AuditResult(StrEnum):
    """What became of a request."""

    DONE = "done"
    FAILED = "failed"  # permitted, and not possible: not found, refused by checks, ...
    NOT_PERMITTED = "not-permitted"  # known, and the policy says no
    REJECTED = "rejected"  # nobody that we know has proven to have sent it


class Phase(StrEnum):
    """Which command of a live migration is current. docs/ARCHITECTURE.md walks through them.

    Each phase has one verb and one host (`conductor.live_migration.STEPS` and `DETOURS`).
    """

    CHECK_DEST = (
        "check-dest"  # the candidate is claimed and looks at itself; nothing has changed but a probe file
    )
    CHECK_SOURCE = "check-source"  # the source looks for the candidate's probe and at the guest
    PRE = "pre-live-migration"  # the dest prepares; the source never got a command that changes anything
    LIVE = "live-migration"  # migrateToURI3 may be issued, or already have moved the guest
    WATCH = "watch"  # the source has a job: wait until it ends, then judge
    OBSERVE_SOURCE = "observe-source"  # in doubt: fence the source and look
    ABORT_SOURCE = "abort-source"  # fence the source, abort its job, look
    OBSERVE_DEST = "observe-dest"  # the source's fenced answer is recorded; look at the dest
    RESUME_SOURCE = "resume-source"  # the source holds the only copy, paused by the migration
    RECOVER_POSTCOPY = "recover-postcopy"  # both halves wait for each other: resume post-copy
    ROLLBACK = "rollback"  # the dest undoes its preparation; the guest is on the source, or off there
    POST_DEST = "post-dest"  # the dest proves that the guest runs there and completes it
    POST_SOURCE = "post-source"  # the dest is proven and committed; the source cleans up
    REAP_SOURCE = "reap-source"  # the guest died on the dest: end the stale copy, keep its disks
    ALARM = "alarm"  # both hosts claim the guest, or contradict: touch nothing until an operator acts
    DONE = "done"  # final; see the status


class Verb(StrEnum):
    """What an agent can be told to do to one instance."""

    CHECK_DEST = "check_can_live_migrate_destination"
    CHECK_SOURCE = "check_can_live_migrate_source"
    PRE = "pre_live_migration"
    LIVE = "live_migration"
    WATCH = "watch"
    OBSERVE = "observe"
    ABORT = "abort"
    RESUME = "resume"
    RECOVER = "recover"
    ROLLBACK = "rollback_live_migration_at_destination"
    POST_DEST = "post_live_migration_at_destination"
    POST_SOURCE = "post_live_migration"
    REAP = "reap"


class Result(StrEnum):
    """How a verb ended. Which verb can give which result: `compute_agent.acceptance` and `conductor.saga`."""

    OK = "ok"
    REFUSED = "refused"  # checks or pre_live_migration: the findings say why; nothing was changed
    ERROR = "error"  # it was tried and failed; for the verbs that only go forward: not yet, ask again
    LOST = "lost"  # live_migration: called before under this epoch, and no job is there now
    ENDED = "ended"  # watch: there is no job (any more)
    OBSERVED = "observed"  # observe, abort: `seen` says what
    RUNNING = "running"  # post at dest: proof; rollback, post at source: refused, because the guest runs here
    GONE = "gone"  # post at dest, resume: the guest is not here in a usable state
    LOCKED = "locked"  # resume: a storage lock is held elsewhere
    SUPERSEDED = "superseded"  # a newer epoch was accepted here before; nothing was done


class SourceSeen(StrEnum):
    """What the fenced source of a migration says of the guest: the rows of the verdict table."""

    RUNNING_JOB = "running-job"
    PAUSED_MIGRATING_JOB = "paused-migrating+job"
    POSTCOPY_RUNNING = "postcopy-running"
    RUNNING = "running-nojob"
    PAUSED_MIGRATING = "paused-migrating"  # paused by the migration, no job
    PAUSED_OTHER = "paused-other"  # paused by its user, an I/O error, a watchdog, a lock
    SHUTOFF = "shutoff"
    UNDEFINED = "undefined"  # absent, but this migration's record in the ledger says that it was defined here
    ABSENT = "absent"
    POSTCOPY_FAILED = "postcopy-failed"
    CONTRADICTORY = "contradictory"  # a state no rule speaks of (crashed and kept, ...)
    UNREACHABLE = "unreachable"  # libvirt does not answer; never taken for absent

    @property
    def has_job(self) -> bool:
        return self in (self.RUNNING_JOB, self.PAUSED_MIGRATING_JOB, self.POSTCOPY_RUNNING)


class DestSeen(StrEnum):
    """What the fenced dest of a migration says of the guest: the columns of the verdict table."""

    ABSENT = "absent"
    INCOMING = "incoming-paused"  # an incoming half: not finished, may still go or become a guest
    PAUSED_OTHER = "paused-other"  # complete, and paused as its user had it (or by an error)
    RUNNING = "running"
    RUNNING_POSTCOPY = "running-postcopy"
    POSTCOPY_FAILED = "postcopy-failed"
    SHUTOFF = "shutoff"
    CONTRADICTORY = "contradictory"
    UNREACHABLE = "unreachable"


class Verdict(StrEnum):
    """Where the guest is, judged from both hosts: `conductor.verdict`."""

    MOVING = "MOVING"
    POSTCOPY = "POSTCOPY"
    ON_SOURCE = "ON_SOURCE"
    RESUME = "RESUME"
    ON_DEST = "ON_DEST"
    WAIT = "WAIT"
    DIED_DEST = "DIED_DEST"
    OFF_SOURCE = "OFF_SOURCE"
    NOWHERE = "NOWHERE"
    RECOVER = "RECOVER"
    LOST_POSTCOPY = "LOST_POSTCOPY"
    SRC_UNSEEN = "SRC_UNSEEN"
    UNKNOWN = "UNKNOWN"
    BOTH = "BOTH"
    CONFLICT = "CONFLICT"
