"""A migration in doubt: who is asked in which order, what follows from each verdict, and what silence does not do."""

from dataclasses import replace

import pytest

from common.migration import JobStatistics
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb
from conductor.live_migration import PLAN, command
from conductor.saga import MAX_RECOVER_TRIES, TimePassed, advance
from tests.unit.sagas import DEST, EPOCH, SOURCE, answered, judged, saga

JOBS = [seen for seen in SourceSeen if seen.has_job]
DECIDING = [seen for seen in SourceSeen if not seen.has_job and seen is not SourceSeen.UNREACHABLE]


# ---- rule 16: the source first, and its answer is recorded before the dest is asked


@pytest.mark.parametrize("seen", DECIDING)
@pytest.mark.parametrize("phase", [Phase.OBSERVE_SOURCE, Phase.ABORT_SOURCE])
def test_the_sources_answer_is_recorded_and_the_dest_asked_under_a_new_epoch(
    phase: Phase, seen: SourceSeen
) -> None:
    row = saga(phase)

    asked = answered(row, Result.OBSERVED, seen)

    assert (asked.saga.phase, asked.saga.source_seen) == (Phase.OBSERVE_DEST, seen)
    assert asked.saga.epoch == EPOCH + 1
    assert asked.has_command(row)


@pytest.mark.parametrize("seen", JOBS)
def test_a_source_with_a_job_is_watched_and_the_dest_is_not_asked(seen: SourceSeen) -> None:
    watched = answered(saga(Phase.OBSERVE_SOURCE), Result.OBSERVED, seen).saga

    assert watched.phase is Phase.WATCH
    assert watched.is_postcopy_seen is (seen is SourceSeen.POSTCOPY_RUNNING)


@pytest.mark.parametrize("phase", [Phase.OBSERVE_SOURCE, Phase.ABORT_SOURCE])
def test_a_silent_libvirt_on_the_source_does_not_let_the_dest_be_asked(phase: Phase) -> None:
    row = saga(phase)

    waits = answered(row, Result.OBSERVED, SourceSeen.UNREACHABLE)

    assert (waits.saga.phase, waits.saga.epoch, waits.saga.source_seen) == (phase, EPOCH, None)
    assert "does not answer" in waits.saga.waiting_for
    assert not waits.has_command(row)


def test_a_watched_job_that_ends_is_judged_and_its_downtime_kept() -> None:
    ended = answered(saga(Phase.WATCH), Result.ENDED, statistics=JobStatistics(downtime_ms=31)).saga

    assert (ended.phase, ended.downtime_ms) == (Phase.OBSERVE_SOURCE, 31)


def test_doubt_forgets_what_was_seen_before() -> None:
    row = saga(Phase.RESUME_SOURCE, source_seen=SourceSeen.PAUSED_MIGRATING, dest_seen=DestSeen.ABSENT)

    doubted = answered(row, Result.GONE).saga

    assert (doubted.phase, doubted.source_seen, doubted.dest_seen) == (Phase.OBSERVE_SOURCE, None, None)


# ---- section 2: what follows from each verdict


@pytest.mark.parametrize(
    ("source", "dest", "phase"),
    [
        (SourceSeen.RUNNING, DestSeen.INCOMING, Phase.ROLLBACK),  # ON_SOURCE
        (SourceSeen.PAUSED_MIGRATING, DestSeen.ABSENT, Phase.RESUME_SOURCE),  # RESUME
        (SourceSeen.UNDEFINED, DestSeen.RUNNING, Phase.POST_DEST),  # ON_DEST
        (SourceSeen.PAUSED_MIGRATING, DestSeen.SHUTOFF, Phase.REAP_SOURCE),  # DIED_DEST
        (SourceSeen.SHUTOFF, DestSeen.ABSENT, Phase.ROLLBACK),  # OFF_SOURCE
        (SourceSeen.ABSENT, DestSeen.ABSENT, Phase.ROLLBACK),  # NOWHERE
        (SourceSeen.POSTCOPY_FAILED, DestSeen.POSTCOPY_FAILED, Phase.RECOVER_POSTCOPY),  # RECOVER
        (SourceSeen.SHUTOFF, DestSeen.POSTCOPY_FAILED, Phase.REAP_SOURCE),  # LOST_POSTCOPY
        (SourceSeen.RUNNING, DestSeen.RUNNING, Phase.ALARM),  # BOTH
        (SourceSeen.UNDEFINED, DestSeen.ABSENT, Phase.ALARM),  # CONFLICT
    ],
)
def test_a_verdict_that_decides_is_recorded_and_acted_on(
    source: SourceSeen, dest: DestSeen, phase: Phase
) -> None:
    after = judged(source, dest)

    assert (after.phase, after.dest_seen) == (phase, dest)
    assert after.epoch == EPOCH + 1


@pytest.mark.parametrize(
    ("source", "dest"),
    [
        (SourceSeen.PAUSED_MIGRATING, DestSeen.INCOMING),  # WAIT
        (SourceSeen.PAUSED_MIGRATING, DestSeen.UNREACHABLE),  # UNKNOWN
        (SourceSeen.RUNNING, DestSeen.UNREACHABLE),  # SRC_UNSEEN
    ],
)
def test_a_verdict_that_decides_nothing_is_shown_and_not_recorded(source: SourceSeen, dest: DestSeen) -> None:
    row = saga(Phase.OBSERVE_DEST, source_seen=source)

    after = answered(row, Result.OBSERVED, dest)

    assert replace(after.saga, waiting_for="") == row
    assert after.saga.waiting_for
    assert not after.has_command(row)


def test_after_a_wait_any_answer_of_the_same_epoch_may_decide() -> None:
    waits = judged(SourceSeen.PAUSED_MIGRATING, DestSeen.INCOMING)

    decided = answered(waits, Result.OBSERVED, DestSeen.RUNNING).saga

    assert (decided.phase, decided.home) == (Phase.POST_DEST, DEST)


@pytest.mark.parametrize(
    ("source", "dest", "home"),
    [
        (SourceSeen.UNDEFINED, DestSeen.RUNNING, DEST),
        (SourceSeen.PAUSED_MIGRATING, DestSeen.SHUTOFF, DEST),
        (SourceSeen.POSTCOPY_FAILED, DestSeen.ABSENT, DEST),
        (SourceSeen.RUNNING, DestSeen.ABSENT, SOURCE),
        (SourceSeen.SHUTOFF, DestSeen.ABSENT, SOURCE),
    ],
)
def test_the_instances_host_changes_in_the_commit_of_the_verdict(
    source: SourceSeen, dest: DestSeen, home: str
) -> None:
    assert judged(source, dest).home == home


@pytest.mark.parametrize(
    ("source", "ends_in"),
    [
        (SourceSeen.RUNNING, MigrationStatus.FAILED),
        (SourceSeen.PAUSED_OTHER, MigrationStatus.FAILED),
        (SourceSeen.SHUTOFF, MigrationStatus.ERROR),
        (SourceSeen.ABSENT, MigrationStatus.ERROR),
    ],
)
def test_a_rollback_ends_in_an_error_only_where_the_guest_is_off(
    source: SourceSeen, ends_in: MigrationStatus
) -> None:
    undoing = judged(source, DestSeen.ABSENT)
    assert undoing.phase is Phase.ROLLBACK

    assert answered(undoing, Result.OK).saga.status is ends_in


def test_a_conflict_touches_nothing_and_keeps_the_migration_open() -> None:
    alarmed = judged(SourceSeen.RUNNING, DestSeen.RUNNING)

    assert command(alarmed) is None
    assert alarmed.is_open
    assert (alarmed.status, alarmed.needs_operator) == (MigrationStatus.ERROR, True)


# ---- rule 18: refused, so judged anew


@pytest.mark.parametrize(
    ("phase", "result"),
    [
        (Phase.RESUME_SOURCE, Result.GONE),
        (Phase.ROLLBACK, Result.RUNNING),
        (Phase.RECOVER_POSTCOPY, Result.ERROR),
        (Phase.RECOVER_POSTCOPY, Result.GONE),
        (Phase.POST_DEST, Result.GONE),
    ],
)
def test_what_a_host_refuses_before_the_hand_over_is_judged_anew(phase: Phase, result: Result) -> None:
    assert answered(saga(phase), result).saga.phase is Phase.OBSERVE_SOURCE


def test_a_lock_is_waited_for_and_then_both_hosts_are_asked_again() -> None:
    locked = answered(saga(Phase.RESUME_SOURCE), Result.LOCKED).saga
    assert (locked.phase, locked.epoch, locked.needs_operator) == (Phase.RESUME_SOURCE, EPOCH, True)
    assert "cannot resume the guest" in locked.waiting_for

    later = advance(locked, TimePassed(seconds=30), plan=PLAN).saga

    assert later.phase is Phase.OBSERVE_SOURCE


def test_a_resumed_source_is_followed_by_the_rollback() -> None:
    undoing = answered(saga(Phase.RESUME_SOURCE), Result.OK).saga

    assert (undoing.phase, undoing.ends_in) == (Phase.ROLLBACK, MigrationStatus.FAILED)


# ---- rule 19: after the hand-over only forward


def test_a_guest_that_dies_after_the_hand_over_has_its_stale_copy_reaped() -> None:
    reaping = answered(saga(Phase.POST_DEST, home=DEST), Result.GONE).saga
    assert (reaping.phase, reaping.home) == (Phase.REAP_SOURCE, DEST)

    ended = answered(reaping, Result.OK).saga
    assert (ended.status, ended.home) == (MigrationStatus.ERROR, DEST)
    assert "died" in ended.reason


@pytest.mark.parametrize("phase", [Phase.POST_SOURCE, Phase.REAP_SOURCE])
def test_a_source_that_runs_after_the_hand_over_is_an_alarm(phase: Phase) -> None:
    assert answered(saga(phase, home=DEST), Result.RUNNING).saga.phase is Phase.ALARM


def test_after_the_hand_over_a_copy_on_the_source_is_never_resumed() -> None:
    assert judged(SourceSeen.PAUSED_MIGRATING, DestSeen.ABSENT, home=DEST).phase is Phase.ALARM


def test_a_guest_found_on_its_source_after_all_is_at_home_there() -> None:
    assert judged(SourceSeen.RUNNING, DestSeen.ABSENT, home=DEST).home == SOURCE


# ---- rule 24: the source runs, the dest is silent


def test_a_silent_dest_is_still_owed_its_clean_up_and_the_row_says_where_the_guest_runs() -> None:
    waits = judged(SourceSeen.RUNNING, DestSeen.UNREACHABLE)

    assert waits.is_open
    assert f"the guest runs on {SOURCE}" in waits.waiting_for
    assert DEST in waits.waiting_for


def test_the_owed_clean_up_is_answered_by_the_host_when_it_comes_back() -> None:
    waits = judged(SourceSeen.RUNNING, DestSeen.UNREACHABLE)

    undoing = answered(waits, Result.OBSERVED, DestSeen.ABSENT).saga

    order = command(undoing)
    assert order is not None
    assert (order.verb, order.host) == (Verb.ROLLBACK, DEST)


# ---- rule 26: post-copy


def test_a_broken_post_copy_is_resumed_a_bounded_number_of_times() -> None:
    row = saga(Phase.OBSERVE_SOURCE)
    tries = 0

    while row.phase is not Phase.ALARM:
        row = answered(row, Result.OBSERVED, SourceSeen.POSTCOPY_FAILED).saga
        row = answered(row, Result.OBSERVED, DestSeen.POSTCOPY_FAILED).saga
        if row.phase is Phase.RECOVER_POSTCOPY:
            tries += 1
            row = answered(row, Result.ERROR, detail="still running").saga
        assert tries <= MAX_RECOVER_TRIES

    assert tries == MAX_RECOVER_TRIES
    assert "could not be resumed" in row.reason


def test_a_post_copy_that_goes_on_again_is_watched() -> None:
    row = saga(Phase.RECOVER_POSTCOPY, is_postcopy_seen=True)

    assert answered(row, Result.OK).saga.phase is Phase.WATCH


def test_post_copy_that_was_ever_seen_is_remembered() -> None:
    row = answered(saga(Phase.OBSERVE_SOURCE), Result.OBSERVED, SourceSeen.POSTCOPY_RUNNING).saga
    row = answered(row, Result.ENDED).saga
    row = answered(row, Result.OBSERVED, SourceSeen.SHUTOFF).saga

    assert row.is_postcopy_seen
