"""The beginnings of stories: how a world comes to the moment that a counterexample is about."""

from typing import Final

PREPARED: Final = (
    "operator: migration 1",
    "compute2 <- pre_live_migration e3",
    "compute2 prepares e3 -> ok",
    "conductor: pre_live_migration says ok",
)
CONFIRMED: Final = (
    *PREPARED,
    "compute1 <- live_migration e4",
    "compute1 asks whether e4 stands: it stands",
)
MOVING: Final = (*CONFIRMED, "compute1 calls migrateToURI3 e4", "libvirt compute1: request e4 begins")
AT_THE_SWITCH: Final = (*MOVING, "libvirt: source paused, its state sent")
MOVED: Final = (*AT_THE_SWITCH, "libvirt: dest runs", "libvirt: source gone, the call succeeds")
ABORT_TOO_LATE: Final = (
    *MOVING,
    "operator: abort => abort-source e5",
    "libvirt: source paused, its state sent",
    "libvirt: dest runs",
    "libvirt: source gone, the call succeeds",
    "compute1 <- abort e5 -> undefined",
    "conductor: abort says undefined => rollback e6",
)
KILLED_WITH_A_QUEUED_CALL: Final = (
    *CONFIRMED,
    "compute1 calls migrateToURI3 e4",
    "compute1: agent killed and restarted",
    "deadline of live-migration",
)
LEFT_PAUSED: Final = (
    *AT_THE_SWITCH,
    "libvirt: source libvirtd dies at the switch",
    "conductor: live_migration says error => observe-source e5",
    "compute1 <- observe e5 -> paused-migrating",
    "conductor: observe says paused-migrating => observe-dest e6",
)
DEST_HALF_GONE: Final = ("libvirt compute2: the incoming half goes", "compute2 <- observe e6 -> absent")
SECOND_ATTEMPT_MOVES: Final = (
    *PREPARED[:3],
    "deadline of pre-live-migration => rollback e4",
    "compute2 <- rollback_live_migration_at_destination e4 -> ok",
    "conductor: rollback_live_migration_at_destination says ok => failed",
    "operator: migration 2, compute1 to compute2 => pre-live-migration e7",
    "compute2 <- pre_live_migration e7",
    "compute2 prepares e7 -> ok",
    "conductor: pre_live_migration says ok",
    "compute1 <- live_migration e8",
    "compute1 asks whether e8 stands: it stands",
    "compute1 calls migrateToURI3 e8",
    "libvirt compute1: request e8 begins",
)
THERE: Final = (
    *MOVED,
    "conductor: live_migration says ok => post-dest e5",
    "compute2 <- post_live_migration_at_destination e5 -> running",
    "conductor: post_live_migration_at_destination says running => post-source e6",
    "compute1 <- post_live_migration e6 -> ok",
    "conductor: post_live_migration says ok => completed",
)
AND_BACK: Final = (
    "operator: migration 2, compute2 to compute1 => pre-live-migration e9",
    "compute1 <- pre_live_migration e9",
    "compute1 prepares e9 -> ok",
)
DEST_PROVEN_SOURCE_PAUSED: Final = (
    *AT_THE_SWITCH,
    "libvirt: dest runs",
    "libvirt: source libvirtd dies after dest runs",
    "conductor: live_migration says error => observe-source e5",
    "compute1 <- observe e5 -> paused-migrating",
    "conductor: observe says paused-migrating => observe-dest e6",
)
DEST_DIED_UNSEEN: Final = (
    *DEST_PROVEN_SOURCE_PAUSED,
    "host compute2 dies (was R) and comes back",
    "compute2 <- observe e6 -> shutoff",
)
ROLLBACK_BESIDE_WORKER: Final = (
    "operator: migration 1",
    "compute2 <- pre_live_migration e3",
    "deadline of pre-live-migration => rollback e4",
)
