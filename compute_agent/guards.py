"""What a verb may do to a guest in the state in which it is found: pure, the agent's second line of defence.

The conductor's judgement should never ask for what is refused here. If it does, the refusal sends it back to judge.
"""

from common.states import DestSeen, SourceSeen


def may_issue_call(seen: SourceSeen, *, is_older_call_in_flight: bool) -> bool:
    """Rule 9: migrateToURI3 only for a guest that runs, or that its user has paused, with no job and no older call."""
    return seen in (SourceSeen.RUNNING, SourceSeen.PAUSED_OTHER) and not is_older_call_in_flight


def may_roll_back(seen: DestSeen) -> bool:
    """Rule 13: an incoming half, or the leftover of a definition, may be destroyed; a guest never."""
    return seen in (DestSeen.ABSENT, DestSeen.INCOMING, DestSeen.SHUTOFF)


def is_proof_of_arrival(seen: DestSeen) -> bool:
    """Rules 15 and 19: the guest runs here, or is here with all its memory, paused as its user had it."""
    return seen in (DestSeen.RUNNING, DestSeen.PAUSED_OTHER)


def is_gone_from_dest(seen: DestSeen) -> bool:
    """Rule 19: nothing here runs, nor can become the guest by itself."""
    return seen in (DestSeen.ABSENT, DestSeen.SHUTOFF)


def may_clean_source(seen: SourceSeen) -> bool:
    """Rule 13: after the hand-over a paused or ended copy may be removed; one that runs or has a job never."""
    return seen in (
        SourceSeen.ABSENT,
        SourceSeen.UNDEFINED,
        SourceSeen.SHUTOFF,
        SourceSeen.PAUSED_MIGRATING,
        SourceSeen.PAUSED_OTHER,
        SourceSeen.POSTCOPY_FAILED,
    )


def may_reap(seen: SourceSeen) -> bool:
    """Rule 19: end the stale copy of a guest that died on the dest; its memory is older than the disks."""
    return may_clean_source(seen)


def may_resume(seen: SourceSeen) -> bool:
    """Rule 18: only what the migration itself has paused, and with no job."""
    return seen is SourceSeen.PAUSED_MIGRATING
