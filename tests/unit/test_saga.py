"""The engine: which events count, that every command has an epoch of its own, and what is a bug rather than a race."""

from itertools import product

import pytest

from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb
from conductor import live_migration
from conductor.saga import (
    AbortAsked,
    Answered,
    CandidateUnfit,
    DeclaredDown,
    Event,
    JudgeAgain,
    Restored,
    Saga,
    TimePassed,
    Transition,
    TransitionError,
    advance,
    finish,
    is_current,
    issue,
    waiting,
)
from tests.unit.sagas import DEST, EPOCH, SOURCE, answered, outcome, saga

OPEN_PHASES = [phase for phase in Phase if phase is not Phase.DONE]

# ---- rule 3: only the answer to the current command counts


@pytest.mark.parametrize("phase", OPEN_PHASES)
@pytest.mark.parametrize("result", Result)
def test_an_answer_of_an_older_epoch_changes_nothing(phase: Phase, result: Result) -> None:
    row = saga(phase)
    late = outcome(row, result, epoch=row.epoch - 1)

    transition = advance(row, Answered(outcome=late), plan=live_migration.PLAN)

    assert not is_current(row, late)
    assert transition == Transition(saga=row)


def test_an_answer_of_another_migration_with_the_same_epoch_changes_nothing() -> None:
    row = saga(Phase.POST_SOURCE)
    foreign = outcome(row, Result.OK, migration="m0")

    assert advance(row, Answered(outcome=foreign), plan=live_migration.PLAN) == Transition(saga=row)


def test_an_answer_that_was_used_is_not_current_any_more() -> None:
    row = saga(Phase.LIVE)
    first = outcome(row, Result.ERROR)

    after = advance(row, Answered(outcome=first), plan=live_migration.PLAN).saga

    assert not is_current(after, first)
    assert advance(after, Answered(outcome=first), plan=live_migration.PLAN) == Transition(saga=after)


def test_an_answer_repeated_after_an_alarm_is_dropped() -> None:
    row = saga(Phase.OBSERVE_DEST, source_seen=SourceSeen.RUNNING)
    both = outcome(row, Result.OBSERVED, DestSeen.RUNNING)
    alarmed = advance(row, Answered(outcome=both), plan=live_migration.PLAN).saga
    assert alarmed.phase is Phase.ALARM

    assert advance(alarmed, Answered(outcome=both), plan=live_migration.PLAN) == Transition(saga=alarmed)


@pytest.mark.parametrize(
    "event",
    [
        AbortAsked(),
        TimePassed(seconds=60),
        CandidateUnfit(findings=()),
        DeclaredDown(host=SOURCE),
        DeclaredDown(host=DEST),
        JudgeAgain(),
        Restored(),
    ],
)
def test_nothing_changes_a_migration_that_has_ended(event: Event) -> None:
    row = saga(Phase.DONE, status=MigrationStatus.COMPLETED)

    assert advance(row, event, plan=live_migration.PLAN) == Transition(saga=row)


# ---- rule 27: a host knows a newer epoch than the database


@pytest.mark.parametrize("phase", [phase for phase in OPEN_PHASES if phase is not Phase.ALARM])
def test_a_superseded_command_is_an_alarm_and_stays_current(phase: Phase) -> None:
    row = saga(phase)

    transition = answered(row, Result.SUPERSEDED, accepted_epoch=EPOCH + 3)

    assert transition.saga.needs_operator
    assert "commits were lost" in transition.saga.waiting_for
    assert (transition.saga.phase, transition.saga.epoch) == (phase, EPOCH)
    assert not transition.has_command(row)


# ---- rule 1: every command has a new epoch


def _events(row: Saga) -> list[Event]:
    source_seen = [(Result.OBSERVED, seen) for seen in SourceSeen]
    dest_seen = [(Result.OBSERVED, seen) for seen in DestSeen]
    seen = dest_seen if row.phase is Phase.OBSERVE_DEST else source_seen
    plain = [(result, None) for result in Result if result is not Result.OBSERVED]
    answers: list[Event] = [
        Answered(outcome=outcome(row, result, word))
        for result, word in [*plain, *seen]
        if result is Result.SUPERSEDED or (row.phase, result) in live_migration.PLAN.answers
    ]
    return [
        *answers,
        AbortAsked(),
        TimePassed(seconds=60),
        CandidateUnfit(findings=()),
        DeclaredDown(host=SOURCE),
        DeclaredDown(host=DEST),
        JudgeAgain(),
        Restored(),
    ]


ROWS = [
    saga(
        phase,
        home=home,
        source_seen=seen,
        is_abort_pending=pending,
        is_postcopy_seen=postcopy,
        ends_in=ends_in,
        candidates=candidates,
    )
    for phase, home, seen, pending, postcopy, ends_in, candidates in product(
        OPEN_PHASES,
        (SOURCE, DEST),
        (None, SourceSeen.RUNNING, SourceSeen.PAUSED_MIGRATING, SourceSeen.UNDEFINED),
        (False, True),
        (False, True),
        (None, MigrationStatus.FAILED),
        ((), ("compute3",)),
    )
]


@pytest.mark.parametrize("phase", OPEN_PHASES)
def test_every_transition_to_another_command_has_the_instances_next_epoch(phase: Phase) -> None:
    for row in (row for row in ROWS if row.phase is phase):
        for event in _events(row):
            transition = advance(row, event, plan=live_migration.PLAN)
            after = transition.saga
            assert after.instance_epoch == after.epoch or not after.is_open
            if after.epoch == row.epoch:
                assert after.phase in (row.phase, Phase.DONE), (row, event)
            else:
                assert after.epoch == row.instance_epoch + 1, (row, event)
                assert transition.story, (row, event)


@pytest.mark.parametrize("phase", OPEN_PHASES)
def test_what_names_a_migration_never_changes(phase: Phase) -> None:
    for row in (row for row in ROWS if row.phase is phase):
        for event in _events(row):
            after = advance(row, event, plan=live_migration.PLAN).saga
            assert (after.migration, after.instance, after.source) == (
                row.migration,
                row.instance,
                row.source,
            )
            assert after.home in (SOURCE, DEST)


# ---- a pair that no rule knows


@pytest.mark.parametrize(
    ("phase", "result"),
    [
        pair
        for pair in product(OPEN_PHASES, Result)
        if pair not in live_migration.PLAN.answers and pair[1] is not Result.SUPERSEDED
    ],
)
def test_an_answer_that_no_rule_knows_is_a_bug_told_with_row_and_event(phase: Phase, result: Result) -> None:
    row = saga(phase)

    with pytest.raises(TransitionError, match="no transition from") as caught:
        answered(row, result)

    assert caught.value.saga == row
    assert isinstance(caught.value.event, type(outcome(row, result)))


# ---- the moves


def test_issue_clears_what_the_row_was_waiting_for() -> None:
    row = saga(waiting_for="compute2", needs_operator=True)

    after = issue(row, Phase.OBSERVE_SOURCE, "in doubt").saga

    assert (after.phase, after.epoch, after.instance_epoch) == (Phase.OBSERVE_SOURCE, EPOCH + 1, EPOCH + 1)
    assert (after.waiting_for, after.needs_operator) == ("", False)


def test_an_epoch_comes_from_the_instances_counter_not_from_the_last_command() -> None:
    row = saga(instance_epoch=40)

    assert issue(row, Phase.WATCH).saga.epoch == 41


def test_waiting_for_the_same_again_is_no_change_and_no_journal_line() -> None:
    first = waiting(saga(), "compute2 is silent")
    second = waiting(first.saga, "compute2 is silent")

    assert first.story == ("waits: compute2 is silent",)
    assert not second.changes(first.saga)
    assert second.story == ()


def test_waiting_sends_nothing() -> None:
    row = saga()

    assert not waiting(row, "compute2 is silent").has_command(row)


def test_an_end_acknowledges_both_hosts_and_owes_nothing() -> None:
    row = saga(is_abort_pending=True, waiting_for="compute1")

    ended = finish(row, MigrationStatus.CANCELLED, "undone")

    assert ended.acknowledge == (SOURCE, DEST)
    assert ended.story == ("undone", "cancelled")
    assert not ended.saga.is_open
    assert not ended.has_command(row)
    assert (ended.saga.is_abort_pending, ended.saga.waiting_for) == (False, "")


@pytest.mark.parametrize("status", [status for status in MigrationStatus if status.is_final])
def test_only_an_error_needs_an_operator(status: MigrationStatus) -> None:
    assert finish(saga(), status).saga.needs_operator is (status is MigrationStatus.ERROR)


def test_every_verb_is_commanded_by_some_phase() -> None:
    assert {step.verb for step in live_migration.BY_PHASE.values()} == set(Verb)


def test_a_saga_can_be_a_member_of_a_set() -> None:
    """The exploration of the saga's rules keeps every state that it has met: no field may hold what can change."""
    assert len({saga(Phase.PRE), saga(Phase.PRE), saga(Phase.LIVE)}) == 2
