"""A snapshot of a domain as one word of the verdict table (docs/protocol.md). Pure, and total over libvirt's states.

Reasons were taken from libvirt 9.0 and 11.3 by watching real migrations. Two of them are subtle: libvirt leaves the
source `paused (migration)` from the switch until it knows that the dest runs, and it keeps `paused (user)` for a guest
that its user had paused before, also in its incoming half's last moments.
"""

from common.states import DestSeen, SourceSeen
from compute_agent.hypervisor.driver import DomainSnapshot, DomainState, JobKind, Reason

# Reasons that libvirt gives to the half of a migration which does not (yet, or any more) run.
_PAUSED_BY_MIGRATION = frozenset({Reason.MIGRATION, Reason.STARTING_UP, Reason.UNKNOWN})
# A reason newer than this version says nothing about whether the memory is complete.
_PAUSED_UNNAMED = Reason.OTHER


def is_settling(snapshot: DomainSnapshot) -> bool:
    """Whether this state lasts only for moments, so that a second look tells more.

    `in shutdown` ends with QEMU; an inactive transient domain is one that libvirt is just making or just removing.
    """
    if not snapshot.exists:
        return False
    return snapshot.state is DomainState.SHUTDOWN or (not snapshot.is_active and not snapshot.is_persistent)


def classify_source(snapshot: DomainSnapshot, *, has_record: bool) -> SourceSeen:
    """What a fenced source says. `has_record`: the ledger has this migration's record of a definition here."""
    if not snapshot.exists:
        return SourceSeen.UNDEFINED if has_record else SourceSeen.ABSENT
    if not snapshot.is_active:
        return SourceSeen.SHUTOFF
    if snapshot.job is JobKind.INCOMING:
        return SourceSeen.CONTRADICTORY  # the source of a migration cannot be receiving the guest
    if snapshot.reason is Reason.POSTCOPY_FAILED:
        return SourceSeen.POSTCOPY_FAILED
    if snapshot.reason is Reason.POSTCOPY:
        return SourceSeen.POSTCOPY_RUNNING
    if snapshot.job is JobKind.OUTGOING:
        is_paused = snapshot.state is DomainState.PAUSED
        return SourceSeen.PAUSED_MIGRATING_JOB if is_paused else SourceSeen.RUNNING_JOB
    return _source_without_migration(snapshot)


def _source_without_migration(snapshot: DomainSnapshot) -> SourceSeen:
    match snapshot.state:
        case DomainState.RUNNING | DomainState.BLOCKED:
            return SourceSeen.RUNNING
        case (
            DomainState.PMSUSPENDED
        ):  # asleep by its own wish, memory complete: as good as paused by its user
            return SourceSeen.PAUSED_OTHER
        case DomainState.PAUSED if snapshot.reason in _PAUSED_BY_MIGRATION:
            return SourceSeen.PAUSED_MIGRATING
        case DomainState.PAUSED if snapshot.reason is not _PAUSED_UNNAMED:
            return SourceSeen.PAUSED_OTHER
        case _:  # crashed and kept, in shutdown for long, states of a newer libvirt
            return SourceSeen.CONTRADICTORY


def classify_dest(snapshot: DomainSnapshot) -> DestSeen:
    """What a fenced dest says. Its definition proves that libvirt's Finish got that far: PERSIST_DEST is always set."""
    if not snapshot.exists:
        return DestSeen.ABSENT
    if not snapshot.is_active:
        # An inactive domain without a definition is one that libvirt is just making for an incoming guest.
        return DestSeen.SHUTOFF if snapshot.is_persistent else DestSeen.INCOMING
    if snapshot.reason is Reason.POSTCOPY_FAILED:
        return DestSeen.POSTCOPY_FAILED
    if snapshot.reason is Reason.POSTCOPY:
        return DestSeen.RUNNING_POSTCOPY
    return _dest_before_or_after_postcopy(snapshot)


def _dest_before_or_after_postcopy(snapshot: DomainSnapshot) -> DestSeen:
    match snapshot.state:
        case (
            DomainState.RUNNING | DomainState.BLOCKED
        ):  # also in Finish's last moments: its processors do run
            return DestSeen.RUNNING
        case DomainState.PAUSED | DomainState.PMSUSPENDED if snapshot.job is JobKind.INCOMING:
            return DestSeen.INCOMING
        case DomainState.PAUSED if snapshot.job is JobKind.OUTGOING:
            return DestSeen.CONTRADICTORY  # it is on its way to a third host: nobody's proof
        case DomainState.PMSUSPENDED:
            return DestSeen.PAUSED_OTHER
        case DomainState.PAUSED if snapshot.reason in _PAUSED_BY_MIGRATION:
            return DestSeen.INCOMING
        case DomainState.PAUSED if snapshot.reason is not _PAUSED_UNNAMED:
            return DestSeen.PAUSED_OTHER
        case _:
            return DestSeen.CONTRADICTORY
