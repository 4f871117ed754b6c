"""Counterexamples of a naive protocol that forgets what it has accepted: C7, C8, C9, C11.

At the decisive step our code does the right thing. Each is told step by step, as the network and the hosts may
really have it; where one rule alone makes the difference, the same way is walked without it, and the invariant breaks.
Messages stay in the network for ever: a command that has been sent may always arrive once more.
"""

from tests.crash.mutations import without
from tests.crash.settings import TWO
from tests.crash.story import Story, story
from tests.crash.ways import (
    AND_BACK,
    ROLLBACK_BESIDE_WORKER,
    SECOND_ATTEMPT_MOVES,
    THERE,
)

# ---- C7: the agent restarts after the rollback, and an old command arrives


def test_c7_a_delayed_preparation_has_no_effect_after_a_restart() -> None:
    given = story().goes(
        "operator: migration 1",
        "compute2 <- pre_live_migration e3: accepted",
        "deadline of pre-live-migration => rollback e4",
        "compute2 <- rollback_live_migration_at_destination e4: waits for its worker",
        "compute2: agent killed and restarted",
        "compute2 <- rollback_live_migration_at_destination e4 -> ok",
        "conductor: rollback_live_migration_at_destination says ok => failed",
    )

    assert not given.may("compute2 <- pre_live_migration e3")


def test_c7_with_a_ledger_in_memory_it_creates_disks_again() -> None:
    with without("6: the epoch is on disk").in_place(prunes=False) as world:
        given = Story(world).goes(
            "operator: migration 1",
            "deadline of pre-live-migration => rollback e4",
            "compute2 <- rollback_live_migration_at_destination e4 -> ok",
            "compute2: agent killed and restarted",
            "compute2 <- pre_live_migration e3",
        )

    assert given.broken.startswith("I6")


# ---- C8 and C9: a command of an earlier migration of the same guest


def test_c8_a_rollback_of_an_earlier_attempt_does_not_touch_the_next_one() -> None:
    given = story(TWO).goes(*SECOND_ATTEMPT_MOVES)

    assert not given.may("compute2 <- rollback_live_migration_at_destination e4")


def test_c8_with_epochs_of_each_migration_it_destroys_the_incoming_half() -> None:
    with without("1: one epoch counter for all migrations of the instance").in_place() as world:
        given = Story(world).goes(
            *SECOND_ATTEMPT_MOVES, "compute2 <- rollback_live_migration_at_destination e4"
        )

    assert given.broken == "I6 rollback under a job to this host"


def test_c9_a_clean_up_of_the_way_there_does_not_touch_the_way_back() -> None:
    given = story(TWO).goes(*THERE, *AND_BACK)

    assert given.state.resources == (True, True)
    assert not given.may("compute1 <- post_live_migration e6")


def test_c9_with_epochs_of_each_migration_it_removes_the_disks_of_the_way_back() -> None:
    with without("1: one epoch counter for all migrations of the instance").in_place() as world:
        given = Story(world).goes(*THERE, *AND_BACK, "compute1 <- post_live_migration e6")

    assert given.broken.startswith("I6")


# ---- C11: the worker of the preparation still copies while the rollback acknowledges


def test_c11_a_rollback_waits_for_the_worker_and_its_result_is_void() -> None:
    given = story().goes(*ROLLBACK_BESIDE_WORKER)

    given.goes("compute2 <- rollback_live_migration_at_destination e4: waits for its worker")
    assert not given.may("compute2 <- rollback_live_migration_at_destination e4")

    given.goes(
        "compute2 prepares e3 -> ok, which is void",
        "compute2 <- rollback_live_migration_at_destination e4 -> ok",
    )
    assert given.state.resources == (True, False)


def test_c11_beside_the_rollback_the_worker_creates_what_nobody_removes() -> None:
    with without("8c: one verb at a time").in_place(prunes=False) as world:
        given = Story(world).goes(
            *ROLLBACK_BESIDE_WORKER, "compute2 <- rollback_live_migration_at_destination e4 -> ok"
        )
        given.goes("compute2 prepares e3")

    assert given.broken.startswith("I6")
