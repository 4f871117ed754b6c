"""Where is the guest? Judged from what the two hosts of a migration answered: one table, no default row.

The source's answer is that of a *fenced* source (it accepted a newer epoch and has no call in flight), and the dest was
asked only after the source's answer was committed; otherwise the table means nothing. The rows and columns are
explained in `common.states`, what follows from each verdict in `conductor.judgement`.

`undefined` differs from `shutoff` in one place only: with nothing on the dest, libvirt cannot have undefined a persistent
source (it does so after the dest's Finish), so somebody else did, and nobody but an operator can say what that means.
"""

from collections.abc import Mapping

from common.states import DestSeen, SourceSeen, Verdict

# fmt: off
_COLUMNS = (
    DestSeen.ABSENT, DestSeen.INCOMING, DestSeen.PAUSED_OTHER, DestSeen.RUNNING,
    DestSeen.RUNNING_POSTCOPY, DestSeen.POSTCOPY_FAILED, DestSeen.SHUTOFF, DestSeen.CONTRADICTORY,
    DestSeen.UNREACHABLE,
)
_ROWS: Mapping[SourceSeen, str] = {
    #                                absent         incoming  paused-other running  rn-postcopy pc-failed     shutoff       contradict. unreachable
    SourceSeen.RUNNING_JOB:         "MOVING         MOVING    MOVING       MOVING   MOVING      MOVING        MOVING        MOVING      MOVING",
    SourceSeen.PAUSED_MIGRATING_JOB:"MOVING         MOVING    MOVING       MOVING   MOVING      MOVING        MOVING        MOVING      MOVING",
    SourceSeen.POSTCOPY_RUNNING:    "POSTCOPY       POSTCOPY  POSTCOPY     POSTCOPY POSTCOPY    POSTCOPY      POSTCOPY      POSTCOPY    POSTCOPY",
    SourceSeen.RUNNING:             "ON_SOURCE      ON_SOURCE CONFLICT     BOTH     CONFLICT    CONFLICT      ON_SOURCE     CONFLICT    SRC_UNSEEN",
    SourceSeen.PAUSED_MIGRATING:    "RESUME         WAIT      CONFLICT     ON_DEST  WAIT        CONFLICT      DIED_DEST     CONFLICT    UNKNOWN",
    SourceSeen.PAUSED_OTHER:        "ON_SOURCE      WAIT      CONFLICT     ON_DEST  WAIT        CONFLICT      CONFLICT      CONFLICT    UNKNOWN",
    SourceSeen.SHUTOFF:             "OFF_SOURCE     WAIT      ON_DEST      ON_DEST  WAIT        LOST_POSTCOPY DIED_DEST     CONFLICT    UNKNOWN",
    SourceSeen.UNDEFINED:           "CONFLICT       WAIT      ON_DEST      ON_DEST  WAIT        LOST_POSTCOPY DIED_DEST     CONFLICT    UNKNOWN",
    SourceSeen.ABSENT:              "NOWHERE        WAIT      ON_DEST      ON_DEST  WAIT        LOST_POSTCOPY DIED_DEST     CONFLICT    UNKNOWN",
    SourceSeen.POSTCOPY_FAILED:     "LOST_POSTCOPY  WAIT      CONFLICT     ON_DEST  RECOVER     RECOVER       LOST_POSTCOPY CONFLICT    UNKNOWN",
    SourceSeen.CONTRADICTORY:       "CONFLICT       CONFLICT  CONFLICT     CONFLICT CONFLICT    CONFLICT      CONFLICT      CONFLICT    UNKNOWN",
    SourceSeen.UNREACHABLE:         "UNKNOWN        UNKNOWN   UNKNOWN      UNKNOWN  UNKNOWN     UNKNOWN       UNKNOWN       UNKNOWN     UNKNOWN",
}
# fmt: on

TABLE: Mapping[tuple[SourceSeen, DestSeen], Verdict] = {
    (source, dest): Verdict(word)
    for source, row in _ROWS.items()
    for dest, word in zip(_COLUMNS, row.split(), strict=True)
}


def verdict(source: SourceSeen, dest: DestSeen) -> Verdict:
    """Judge where the guest is. Total: every pair is in the table."""
    return TABLE[source, dest]
