"""Counterexamples of a naive protocol that judges too early or too little: C1 to C6, C10, C12.

At the decisive step our code does the right thing. Each is told step by step, as the network and the hosts may
really have it; where one rule alone makes the difference, the same way is walked without it, and the invariant breaks.
Messages stay in the network for ever: a command that has been sent may always arrive once more.
"""

from common.states import MigrationStatus
from tests.crash.mutations import without
from tests.crash.settings import ONE_WITH_HOST_DEATH
from tests.crash.story import Story, story
from tests.crash.ways import (
    ABORT_TOO_LATE,
    CONFIRMED,
    DEST_DIED_UNSEEN,
    DEST_HALF_GONE,
    DEST_PROVEN_SOURCE_PAUSED,
    KILLED_WITH_A_QUEUED_CALL,
    LEFT_PAUSED,
    MOVED,
    MOVING,
)

# ---- C1: the confirmed thread calls after all was undone


def test_c1_a_fence_cancels_a_confirmed_call_so_that_nothing_moves_after_the_undo() -> None:
    given = story().goes(*CONFIRMED)

    given.goes(
        "deadline of live-migration",
        "compute1 <- observe e5 -> running-nojob",
        "conductor: observe says running-nojob",
        "compute2 <- observe e6 -> absent",
        "conductor: observe says absent => rollback e7",
        "compute2 <- rollback_live_migration_at_destination e7 -> ok",
        "conductor: rollback_live_migration_at_destination says ok => failed",
    )

    assert not given.may("calls migrateToURI3")
    assert not given.may("compute1 <- live_migration")


def test_c1_without_the_fence_the_job_begins_after_the_migration_has_ended() -> None:
    with without("8a, 10: a call in flight is cancelled or counted").in_place(prunes=False) as world:
        given = Story(world).goes(
            *CONFIRMED,
            "deadline of live-migration",
            "compute1 <- observe e5 -> running-nojob",
            "conductor: observe says running-nojob",
            "compute2 <- observe e6 -> absent",
            "conductor: observe says absent => rollback e7",
            "compute2 <- rollback_live_migration_at_destination e7 -> ok",
            "conductor: rollback_live_migration_at_destination says ok => failed",
            "compute1 calls migrateToURI3 e4",
            "libvirt compute1: request e4 begins",
        )

    assert given.broken.startswith("I6")


# ---- C2: the dest is asked before the job has run through


def test_c2_the_dest_is_not_asked_before_the_source_has_answered_without_a_job() -> None:
    given = story().goes(*MOVING, "deadline of live-migration")
    assert not given.may("compute2 <- observe")

    given.goes(
        "compute1 <- observe e5 -> running-job",
        "conductor: observe says running-job => watch e6",
        "libvirt: source paused, its state sent",
        "libvirt: dest runs",
        "libvirt: source gone, the call succeeds",
        "compute1 <- watch e6 -> ended",
        "conductor: watch says ended => observe-source e7",
    )
    assert not given.may("compute2 <- observe")

    given.goes(
        "compute1 <- observe e7 -> undefined",
        "conductor: observe says undefined => observe-dest e8",
        "compute2 <- observe e8 -> running",
        "conductor: observe says running => post-dest e9",
    )
    assert given.saga.home == "compute2"


def test_c2_asked_first_the_dest_leads_to_an_error_on_a_healthy_guest() -> None:
    with without("16: the source is asked first").in_place(prunes=False) as world:
        given = Story(world).goes(
            *CONFIRMED,
            "deadline of live-migration",
            "compute2 <- observe e5 -> absent",
            "conductor: observe says absent => observe-source e6",
            "compute1 calls migrateToURI3 e4",
            "libvirt compute1: request e4 begins",
            "libvirt: source paused, its state sent",
            "libvirt: dest runs",
            "libvirt: source gone, the call succeeds",
            "compute1 <- observe e6 -> undefined",
            "conductor: observe says undefined",
        )

    assert given.broken.startswith("I5")


# ---- C3: the job completes before the abort arrives


def test_c3_an_abort_that_loses_the_race_ends_in_completed() -> None:
    given = story().goes(*MOVING, "operator: abort => abort-source e5")

    given.goes(
        "libvirt: source paused, its state sent",
        "libvirt: dest runs",
        "libvirt: source gone, the call succeeds",
        "compute1 <- abort e5 -> undefined",
        "conductor: abort says undefined => observe-dest e6",
        "compute2 <- observe e6 -> running",
        "conductor: observe says running => post-dest e7",
    )
    assert given.saga.home == "compute2"

    given.goes(
        "compute2 <- post_live_migration_at_destination e7 -> running",
        "conductor: post_live_migration_at_destination says running => post-source e8",
        "compute1 <- post_live_migration e8 -> ok",
        "conductor: post_live_migration says ok",
    )
    assert given.saga.status is MigrationStatus.COMPLETED
    assert given.saga.is_abort_requested


def test_c3_taken_for_undone_only_the_guard_saves_the_guest() -> None:
    with without("17: after an abort both hosts are judged").in_place(prunes=False) as world:
        given = Story(world).goes(*ABORT_TOO_LATE)
        given.goes("compute2 <- rollback_live_migration_at_destination e6 -> running")

    assert given.state.domains[1] == "R"


def test_c3_taken_for_undone_and_unguarded_the_running_guest_is_destroyed() -> None:
    with without("17 and 13: neither judged after an abort, nor guarded").in_place(prunes=False) as world:
        given = Story(world).goes(*ABORT_TOO_LATE, "compute2 <- rollback_live_migration_at_destination e6")

    assert given.broken.startswith("I3")


# ---- C4: the agent dies with its request in libvirtd's queue


def test_c4_a_restarted_agent_counts_the_call_that_it_has_on_disk() -> None:
    given = story().goes(*KILLED_WITH_A_QUEUED_CALL)

    given.goes("compute1 <- observe e5 -> running-job", "conductor: observe says running-job => watch e6")

    assert not given.may("<- watch e6 -> ended")
    given.goes("libvirt compute1: request e4 begins")
    assert not given.broken


def test_c4_without_the_drain_the_rollback_meets_a_call_that_may_still_begin() -> None:
    with without("10: the drain").in_place(prunes=False) as world:
        given = Story(world).goes(
            *KILLED_WITH_A_QUEUED_CALL,
            "compute1 <- observe e5 -> running-nojob",
            "conductor: observe says running-nojob",
            "compute2 <- observe e6 -> absent",
            "conductor: observe says absent => rollback e7",
            "compute2 <- rollback_live_migration_at_destination e7",
        )

    assert given.broken.startswith("I3")


# ---- C5 and C6: the source's libvirtd dies at the switch


def test_c5_a_source_left_paused_with_nothing_on_the_dest_is_resumed() -> None:
    given = story().goes(*LEFT_PAUSED, *DEST_HALF_GONE)

    given.goes(
        "conductor: observe says absent => resume-source e7",
        "compute1 <- resume e7 -> ok",
        "conductor: resume says ok => rollback e8",
        "compute2 <- rollback_live_migration_at_destination e8 -> ok",
        "conductor: rollback_live_migration_at_destination says ok",
    )

    assert given.saga.status is MigrationStatus.FAILED
    assert given.state.domains == ("R", "A")


def test_c5_without_the_row_the_guest_stays_paused() -> None:
    with without("the row RESUME").in_place(prunes=False) as world:
        given = Story(world).goes(*LEFT_PAUSED, *DEST_HALF_GONE)

        assert not given.may("conductor:")


def test_c6_while_the_dest_is_incoming_nothing_is_decided() -> None:
    given = story().goes(*LEFT_PAUSED, "compute2 <- observe e6 -> incoming-paused")
    assert not given.may("conductor:")

    given.goes(
        "libvirt compute2: Finish arrives, dest runs",
        "compute2 <- observe e6 -> running",
        "conductor: observe says running => post-dest e7",
    )
    assert given.saga.home == "compute2"
    assert not given.may("<- resume")


def test_c6_taken_for_a_guest_on_its_source_a_stale_copy_is_resumed() -> None:
    with without("the row WAIT").in_place(prunes=False) as world:
        given = Story(world).goes(
            *LEFT_PAUSED,
            "compute2 <- observe e6 -> incoming-paused",
            "conductor: observe says incoming-paused => resume-source e7",
            "libvirt compute2: Finish arrives, dest runs",
            "compute1 <- resume e7",
        )

    assert given.broken.startswith("I8")


# ---- C10: the dest dies with the guest, and the source has a stale copy


def test_c10_a_guest_that_died_after_the_hand_over_has_its_stale_copy_ended_and_its_disks_kept() -> None:
    given = story(ONE_WITH_HOST_DEATH).goes(
        *DEST_PROVEN_SOURCE_PAUSED,
        "compute2 <- observe e6 -> running",
        "conductor: observe says running => post-dest e7",
        "host compute2 dies (was R) and comes back",
    )

    given.goes(
        "compute2 <- post_live_migration_at_destination e7 -> gone",
        "conductor: post_live_migration_at_destination says gone => reap-source e8",
        "compute1 <- reap e8 -> ok",
        "conductor: reap says ok => error",
    )

    assert given.saga.home == "compute2"
    assert given.state.domains == ("S", "S")
    assert given.state.resources == (True, True)


def test_c10_a_definition_on_the_dest_proves_that_the_guest_ran_there() -> None:
    given = story(ONE_WITH_HOST_DEATH).goes(
        *DEST_DIED_UNSEEN, "conductor: observe says shutoff => reap-source e7"
    )

    assert given.saga.home == "compute2"


def test_c10_without_the_row_the_stale_copy_is_resumed() -> None:
    with without("the row DIED_DEST").in_place(prunes=False) as world:
        given = Story(world).goes(
            *DEST_DIED_UNSEEN, "conductor: observe says shutoff => resume-source e7", "compute1 <- resume e7"
        )

    assert given.broken.startswith("I8")


# ---- C12: the source is cleaned beside the dest's proof


def test_c12_the_source_gets_no_command_before_the_proof_is_committed() -> None:
    given = story().goes(*MOVED, "conductor: live_migration says ok => post-dest e5")

    given.goes("compute2 <- post_live_migration_at_destination e5 -> running")

    assert given.saga.home == "compute1"
    assert not given.may("compute1 <- post_live_migration e")


def test_c12_sent_together_the_source_is_cleaned_before_the_commit() -> None:
    with without("19: the source is cleaned after the commit of the dest's proof").in_place(
        prunes=False
    ) as world:
        given = Story(world).goes(
            *MOVED,
            "conductor: live_migration says ok => post-dest e5",
            "compute1 <- post_live_migration e5",
        )

    assert given.broken.startswith("I2")
