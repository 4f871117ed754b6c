"""What operators say about a migration in doubt: stop it, that host is down, look again."""

import pytest

from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen
from conductor.live_migration import PLAN
from conductor.saga import DeclaredDown, JudgeAgain, Saga, Transition, advance
from tests.unit.sagas import DEST, EPOCH, SOURCE, aborted, answered, judged, saga


def declared_down(row: Saga, host: str) -> Transition:
    return advance(row, DeclaredDown(host=host), plan=PLAN)


# ---- rules 12, 17 and 22: aborts


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.WATCH, Phase.OBSERVE_SOURCE])
def test_an_abort_fences_the_source_and_is_told_once(phase: Phase) -> None:
    told = aborted(saga(phase)).saga
    assert (told.phase, told.is_abort_pending, told.is_abort_requested) == (Phase.ABORT_SOURCE, False, True)

    judged_next = answered(told, Result.OBSERVED, SourceSeen.RUNNING).saga
    assert judged_next.phase is Phase.OBSERVE_DEST


@pytest.mark.parametrize("phase", [Phase.OBSERVE_DEST, Phase.RESUME_SOURCE, Phase.POST_DEST])
def test_an_abort_that_cannot_be_told_now_is_remembered(phase: Phase) -> None:
    row = saga(phase)

    pending = aborted(row)

    assert pending.saga.is_abort_pending
    assert not pending.has_command(row)


def test_a_remembered_abort_goes_along_with_the_next_question() -> None:
    row = saga(Phase.POST_DEST, is_abort_pending=True)

    assert answered(row, Result.GONE).saga.phase is Phase.ABORT_SOURCE


def test_a_remembered_abort_stops_a_job_instead_of_watching_it() -> None:
    row = saga(Phase.OBSERVE_SOURCE, is_abort_pending=True)

    assert answered(row, Result.OBSERVED, SourceSeen.RUNNING_JOB).saga.phase is Phase.ABORT_SOURCE


def test_in_post_copy_an_abort_comes_too_late() -> None:
    row = saga(Phase.WATCH, is_postcopy_seen=True)

    refused = aborted(row)

    assert (refused.saga.phase, refused.saga.epoch) == (Phase.WATCH, EPOCH)
    assert not refused.saga.is_abort_pending
    assert "too late" in refused.story[0]


def test_a_remembered_abort_does_not_disturb_post_copy() -> None:
    row = saga(Phase.OBSERVE_SOURCE, is_abort_pending=True)

    assert answered(row, Result.OBSERVED, SourceSeen.POSTCOPY_RUNNING).saga.phase is Phase.WATCH


@pytest.mark.parametrize(
    ("source", "dest", "ends_in"),
    [
        (SourceSeen.RUNNING, DestSeen.ABSENT, MigrationStatus.CANCELLED),
        (SourceSeen.UNDEFINED, DestSeen.RUNNING, MigrationStatus.COMPLETED),
    ],
)
def test_an_abort_ends_in_cancelled_or_completed_as_the_verdict_says(
    source: SourceSeen, dest: DestSeen, ends_in: MigrationStatus
) -> None:
    row = answered(aborted(saga(Phase.LIVE)).saga, Result.OBSERVED, source).saga
    row = answered(row, Result.OBSERVED, dest).saga

    while row.is_open:
        proof = row.phase is Phase.POST_DEST
        row = answered(row, Result.RUNNING if proof else Result.OK).saga

    assert row.status is ends_in


# ---- a host that is declared down


def test_an_aborted_rollback_whose_host_is_declared_down_ends_in_cancelled() -> None:
    row = saga(Phase.ROLLBACK, ends_in=MigrationStatus.FAILED, is_abort_requested=True)

    assert declared_down(row, DEST).saga.status is MigrationStatus.CANCELLED


def test_a_candidate_that_is_declared_down_is_followed_by_the_next_one() -> None:
    row = saga(Phase.ROLLBACK, is_prepared=False, candidates=("compute3",))

    assert declared_down(row, DEST).saga.dest == "compute3"


@pytest.mark.parametrize(
    "phase",
    [
        Phase.LIVE,
        Phase.WATCH,
        Phase.OBSERVE_SOURCE,
        Phase.ABORT_SOURCE,
        Phase.RESUME_SOURCE,
        Phase.RECOVER_POSTCOPY,
    ],
)
def test_a_source_that_is_declared_down_has_the_guest_no_more(phase: Phase) -> None:
    asked = declared_down(saga(phase), SOURCE).saga

    assert (asked.phase, asked.source_seen) == (Phase.OBSERVE_DEST, SourceSeen.ABSENT)


@pytest.mark.parametrize(
    ("phase", "status"),
    [(Phase.POST_SOURCE, MigrationStatus.COMPLETED), (Phase.REAP_SOURCE, MigrationStatus.ERROR)],
)
def test_a_source_that_is_declared_down_needs_no_clean_up(phase: Phase, status: MigrationStatus) -> None:
    assert declared_down(saga(phase, home=DEST), SOURCE).saga.status is status


def test_a_paused_source_is_not_resumed_when_nobody_knows_whether_the_dest_ran_it() -> None:
    row = saga(Phase.OBSERVE_DEST, source_seen=SourceSeen.PAUSED_MIGRATING)

    alarmed = declared_down(row, DEST).saga

    assert alarmed.phase is Phase.ALARM
    assert "not known" in alarmed.reason


def test_a_dest_that_is_declared_down_after_the_hand_over_took_the_guest_with_it() -> None:
    reaping = declared_down(saga(Phase.POST_DEST, home=DEST), DEST).saga

    assert (reaping.phase, reaping.home) == (Phase.REAP_SOURCE, DEST)


def test_a_dest_that_is_declared_down_before_its_proof_is_judged() -> None:
    assert declared_down(saga(Phase.POST_DEST), DEST).saga.phase is Phase.OBSERVE_SOURCE


@pytest.mark.parametrize(
    ("phase", "host"),
    [
        (Phase.LIVE, DEST),
        (Phase.OBSERVE_SOURCE, DEST),
        (Phase.OBSERVE_DEST, SOURCE),
        (Phase.ROLLBACK, SOURCE),
    ],
)
def test_declaring_the_other_host_down_answers_nothing(phase: Phase, host: str) -> None:
    row = saga(phase)

    assert declared_down(row, host).saga == row


def test_the_owed_clean_up_is_ended_by_the_operator_who_declares_the_host_down() -> None:
    waits = judged(SourceSeen.RUNNING, DestSeen.UNREACHABLE)

    undoing = declared_down(waits, DEST).saga
    ended = declared_down(undoing, DEST).saga

    assert (ended.status, ended.home) == (MigrationStatus.FAILED, SOURCE)


# ---- after an alarm


def test_an_operator_who_has_looked_lets_both_hosts_be_asked_anew() -> None:
    alarmed = judged(SourceSeen.RUNNING, DestSeen.RUNNING)

    again = advance(alarmed, JudgeAgain(), plan=PLAN).saga

    assert (again.phase, again.status, again.needs_operator) == (
        Phase.OBSERVE_SOURCE,
        MigrationStatus.RUNNING,
        False,
    )


def test_without_an_alarm_there_is_nothing_to_judge_again() -> None:
    row = saga(Phase.LIVE)

    assert advance(row, JudgeAgain(), plan=PLAN).saga == row
