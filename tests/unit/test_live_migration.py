"""A live migration step by step: the way forward, the way back before anything moved, and what each command says."""

from dataclasses import replace
from itertools import pairwise

import pytest

from common.checks import DOMAIN_EXISTS, INSTANCE_GONE, MEMORY_SHORT
from common.migration import (
    CheckDestArguments,
    CheckSourceArguments,
    Command,
    DestinationFacts,
    DomainChanges,
    GraphicsListen,
    GuestTraits,
    JobStatistics,
    LiveArguments,
    ObserveArguments,
    PostDestArguments,
    PreArguments,
    RollbackArguments,
)
from common.states import MigrationStatus, Phase, Result, Verb
from conductor import live_migration
from conductor.live_migration import PLAN, command, start
from conductor.saga import CandidateUnfit, Saga, TimePassed, Transition, advance
from tests.unit.sagas import DEST, EPOCH, SOURCE, aborted, answered, saga

FACTS = DestinationFacts(connect_address="10.0.0.2", inbound_address="10.1.0.2")
TRAITS = GuestTraits(is_persistent=True, has_autostart=True, is_paused=False)
CHANGES = DomainChanges(graphics=(GraphicsListen(type="vnc", address="10.0.0.2"),))
SHORT = MEMORY_SHORT.finding(
    DEST, instance="guest", needed_mib=96, free_mib=64, total_mib=128, ratio=1, reserved_mib=0
)
KNOWN = DOMAIN_EXISTS.finding(DEST, what="name", value="guest")
GONE = INSTANCE_GONE.finding(SOURCE, instance="guest")


def overdue(row: Saga, *, seconds: float = 60) -> Transition:
    return advance(row, TimePassed(seconds=seconds), plan=PLAN)


def commanded(row: Saga) -> Command:
    order = command(row)
    assert order is not None
    return order


# ---- forward


def test_an_undisturbed_migration_goes_through_six_commands_of_six_epochs_and_completes() -> None:
    rows = [start(saga(Phase.CHECK_DEST, is_prepared=False, status=MigrationStatus.ACCEPTED)).saga]
    results = [Result.OK, Result.OK, Result.OK, Result.OK, Result.RUNNING, Result.OK]

    for result in results:
        rows.append(answered(rows[-1], result).saga)

    assert [(order.verb, order.host) for order in map(command, rows) if order] == [
        (Verb.CHECK_DEST, DEST),
        (Verb.CHECK_SOURCE, SOURCE),
        (Verb.PRE, DEST),
        (Verb.LIVE, SOURCE),
        (Verb.POST_DEST, DEST),
        (Verb.POST_SOURCE, SOURCE),
    ]
    assert [row.status for row in rows] == [
        MigrationStatus.ACCEPTED,
        MigrationStatus.ACCEPTED,
        MigrationStatus.PREPARING,
        MigrationStatus.RUNNING,
        MigrationStatus.RUNNING,
        MigrationStatus.SOURCE_UNCONFIRMED,
        MigrationStatus.COMPLETED,
    ]
    assert all(later.epoch == earlier.epoch + 1 for earlier, later in pairwise(rows[:-1]))


def test_the_instance_changes_its_host_only_when_the_dest_has_proven_the_guest() -> None:
    moved = answered(saga(Phase.LIVE), Result.OK).saga
    assert moved.home == SOURCE

    proven = answered(moved, Result.RUNNING).saga
    assert proven.home == DEST


def test_what_the_hosts_tell_travels_on_to_the_verbs_that_need_it() -> None:
    checked = answered(saga(Phase.CHECK_DEST), Result.OK, dest_facts=FACTS).saga
    assert commanded(checked).arguments == CheckSourceArguments(dest_facts=FACTS)

    known = answered(checked, Result.OK, traits=TRAITS).saga
    assert commanded(known).arguments == PreArguments(name="guest", source_address=SOURCE)

    prepared = answered(known, Result.OK, changes=CHANGES).saga
    assert commanded(prepared).arguments == LiveArguments(dest_facts=FACTS, changes=CHANGES)

    moved = answered(prepared, Result.OK).saga
    assert commanded(moved).arguments == PostDestArguments(name="guest", traits=TRAITS)


def test_a_state_that_changed_since_the_checks_is_the_one_that_is_completed() -> None:
    paused = replace(TRAITS, is_paused=True)

    moved = answered(saga(Phase.LIVE, traits=TRAITS), Result.OK, traits=paused).saga

    assert moved.traits == paused


def test_the_downtime_that_libvirt_measured_is_kept() -> None:
    statistics = JobStatistics(downtime_ms=23, elapsed_ms=900)

    moved = answered(saga(Phase.LIVE), Result.OK, statistics=statistics)

    assert moved.saga.downtime_ms == 23
    assert "downtime 23 ms, 900 ms in all" in moved.story[0]


@pytest.mark.parametrize("phase", [Phase.ALARM, Phase.DONE])
def test_a_phase_without_a_step_commands_nothing(phase: Phase) -> None:
    assert command(saga(phase)) is None


@pytest.mark.parametrize("phase", live_migration.BY_PHASE)
def test_a_command_carries_the_rows_epoch_and_is_the_same_when_resent(phase: Phase) -> None:
    row = saga(phase, guest=CheckDestArguments(name="g", memory_mib=1, vcpus=1, machine="pc", disks=()))

    assert commanded(row) == commanded(row)
    assert (commanded(row).migration, commanded(row).epoch) == (row.migration, EPOCH)


@pytest.mark.parametrize(("phase", "is_source"), [(Phase.OBSERVE_SOURCE, True), (Phase.OBSERVE_DEST, False)])
def test_an_observed_host_is_told_which_side_it_is(phase: Phase, is_source: bool) -> None:
    assert commanded(saga(phase)).arguments == ObserveArguments(is_source=is_source)


# ---- the next candidate


def test_a_refusing_candidate_is_followed_by_the_next_one() -> None:
    row = saga(Phase.CHECK_DEST, is_prepared=False, candidates=("compute3", "compute4"))

    onward = answered(row, Result.REFUSED, findings=(SHORT,))

    assert (onward.saga.phase, onward.saga.dest) == (Phase.CHECK_DEST, "compute3")
    assert onward.saga.candidates == ("compute4",)
    assert onward.saga.findings == (SHORT,)
    assert onward.acknowledge == (DEST,)


def test_the_last_refusal_fails_with_all_reasons_and_changes_nothing() -> None:
    row = saga(Phase.CHECK_DEST, is_prepared=False, findings=(SHORT,))

    ended = answered(row, Result.REFUSED, findings=(KNOWN,)).saga

    assert (ended.phase, ended.status, ended.home) == (Phase.DONE, MigrationStatus.FAILED, SOURCE)
    assert ended.reason == f"{SHORT.sentence} {KNOWN.sentence}"


def test_when_the_last_dest_refuses_the_source_is_asked_too_and_all_reasons_are_told() -> None:
    row = saga(Phase.CHECK_DEST, is_prepared=False, findings=(SHORT,))

    asking = answered(row, Result.REFUSED, findings=(KNOWN,), dest_facts=FACTS).saga
    assert commanded(asking).arguments == CheckSourceArguments(dest_facts=FACTS)
    assert commanded(asking).host == SOURCE

    ended = answered(asking, Result.REFUSED, findings=(GONE,)).saga
    assert (ended.phase, ended.status, ended.home) == (Phase.DONE, MigrationStatus.FAILED, SOURCE)
    assert ended.findings == (SHORT, KNOWN, GONE)
    assert ended.reason == f"{SHORT.sentence} {KNOWN.sentence} {GONE.sentence}"


def test_a_source_that_has_nothing_against_it_does_not_make_up_for_a_dest_that_has() -> None:
    asking = answered(
        saga(Phase.CHECK_DEST, is_prepared=False), Result.REFUSED, findings=(KNOWN,), dest_facts=FACTS
    ).saga

    ended = answered(asking, Result.OK, traits=TRAITS).saga

    assert (ended.phase, ended.status, ended.reason) == (
        Phase.DONE,
        MigrationStatus.FAILED,
        KNOWN.sentence,
    )


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_source_that_cannot_be_asked_ends_a_refused_migration_all_the_same(is_answered: bool) -> None:
    asking = answered(
        saga(Phase.CHECK_DEST, is_prepared=False), Result.REFUSED, findings=(KNOWN,), dest_facts=FACTS
    ).saga

    undoing = answered(asking, Result.ERROR, detail="down").saga if is_answered else overdue(asking).saga
    assert commanded(undoing).arguments == RollbackArguments(name="guest", is_prepared=False)
    ended = answered(undoing, Result.OK).saga

    assert (ended.phase, ended.status) == (Phase.DONE, MigrationStatus.FAILED)
    assert ended.reason
    assert KNOWN in ended.findings


def test_a_silent_source_does_not_hide_why_the_dest_had_refused() -> None:
    asking = answered(
        saga(Phase.CHECK_DEST, is_prepared=False), Result.REFUSED, findings=(KNOWN,), dest_facts=FACTS
    ).saga

    undoing = overdue(asking).saga
    ended = answered(undoing, Result.OK).saga

    assert undoing.ends_in is MigrationStatus.FAILED
    known, late = ended.findings
    assert known is KNOWN
    assert ended.reason == f"{KNOWN.sentence} {late.sentence}"
    assert late.sentence == f"{SOURCE} did not answer as the source within 60 s."


def test_an_abort_while_the_source_is_asked_for_its_reasons_cancels() -> None:
    asking = answered(
        saga(Phase.CHECK_DEST, is_prepared=False), Result.REFUSED, findings=(KNOWN,), dest_facts=FACTS
    ).saga

    ended = answered(aborted(asking).saga, Result.OK).saga

    assert ended.status is MigrationStatus.CANCELLED


def test_a_candidate_that_cannot_be_claimed_is_followed_by_the_next_one() -> None:
    row = saga(Phase.CHECK_DEST, is_prepared=False, candidates=("compute3",))

    onward = advance(row, CandidateUnfit(findings=(SHORT,)), plan=PLAN).saga

    assert (onward.phase, onward.dest, onward.findings) == (Phase.CHECK_DEST, "compute3", (SHORT,))


def test_a_dest_that_has_no_room_for_the_disks_has_its_probe_removed_before_the_next_candidate() -> None:
    row = answered(saga(Phase.CHECK_SOURCE, is_prepared=False, candidates=("compute3",)), Result.OK).saga

    undoing = advance(row, CandidateUnfit(findings=(SHORT,)), plan=PLAN).saga
    assert commanded(undoing).arguments == RollbackArguments(name="guest", is_prepared=False)
    assert (commanded(undoing).host, undoing.plan, undoing.status) == (DEST, None, MigrationStatus.ACCEPTED)

    onward = answered(undoing, Result.OK).saga
    assert (onward.phase, onward.dest, onward.findings) == (Phase.CHECK_DEST, "compute3", (SHORT,))


@pytest.mark.parametrize("result", [Result.REFUSED, Result.ERROR])
def test_a_refusing_source_has_the_dests_probe_removed_before_the_next_candidate(result: Result) -> None:
    row = saga(Phase.CHECK_SOURCE, is_prepared=False, candidates=("compute3",))

    undoing = answered(row, result, findings=(SHORT,)).saga
    assert commanded(undoing).arguments == RollbackArguments(name="guest", is_prepared=False)
    assert commanded(undoing).host == DEST

    onward = answered(undoing, Result.OK).saga
    assert (onward.phase, onward.dest) == (Phase.CHECK_DEST, "compute3")


def test_facts_of_a_refused_candidate_are_not_taken_for_the_next_ones() -> None:
    row = saga(Phase.ROLLBACK, is_prepared=False, dest_facts=FACTS, candidates=("compute3",))

    onward = answered(row, Result.OK).saga

    assert (onward.dest_facts, onward.is_prepared) == (None, False)


# ---- undone before anything moved


@pytest.mark.parametrize("result", [Result.REFUSED, Result.ERROR])
def test_a_failed_preparation_is_undone_and_fails(result: Result) -> None:
    row = saga(Phase.PRE, candidates=("compute3",))

    undoing = answered(row, result, detail="no space").saga
    assert commanded(undoing).arguments == RollbackArguments(name="guest", is_prepared=True)

    ended = answered(undoing, Result.OK).saga
    assert (ended.status, ended.home, ended.reason) == (
        MigrationStatus.FAILED,
        SOURCE,
        f"{DEST} could not prepare: no space",
    )


@pytest.mark.parametrize("phase", [Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE])
def test_an_abort_before_anything_moved_undoes_and_ends_in_cancelled(phase: Phase) -> None:
    undoing = aborted(saga(phase, candidates=("compute3",))).saga
    assert commanded(undoing).verb is Verb.ROLLBACK

    ended = answered(undoing, Result.OK).saga
    assert (ended.phase, ended.status) == (Phase.DONE, MigrationStatus.CANCELLED)


def test_an_abort_while_a_candidate_is_rolled_back_tries_no_further_one() -> None:
    row = saga(Phase.ROLLBACK, is_prepared=False, candidates=("compute3",))

    ended = answered(aborted(row).saga, Result.OK).saga

    assert (ended.phase, ended.status) == (Phase.DONE, MigrationStatus.CANCELLED)


def test_an_abort_while_an_error_is_rolled_back_does_not_hide_the_error() -> None:
    row = saga(Phase.ROLLBACK, ends_in=MigrationStatus.ERROR)

    ended = answered(aborted(row).saga, Result.OK).saga

    assert ended.status is MigrationStatus.ERROR


@pytest.mark.parametrize(
    ("phase", "ends_in"),
    [(Phase.CHECK_DEST, None), (Phase.CHECK_SOURCE, None), (Phase.PRE, MigrationStatus.FAILED)],
)
def test_a_check_or_preparation_that_takes_too_long_is_undone(
    phase: Phase, ends_in: MigrationStatus | None
) -> None:
    undoing = overdue(saga(phase)).saga

    assert (undoing.phase, undoing.ends_in) == (Phase.ROLLBACK, ends_in)
    assert [finding.code for finding in undoing.findings] == ["check_timed_out"]


def test_a_probe_that_a_silent_candidate_still_has_holds_nobody_up() -> None:
    row = saga(Phase.ROLLBACK, is_prepared=False, candidates=("compute3",), reason="compute2 was silent")

    onward = overdue(row).saga

    assert (onward.dest, onward.reason) == ("compute3", "")  # why the last one failed is a finding by now


def test_a_prepared_dest_that_is_silent_stays_owed_its_rollback() -> None:
    row = saga(Phase.ROLLBACK, ends_in=MigrationStatus.FAILED)

    waits = overdue(row)

    assert (waits.saga.phase, waits.saga.epoch) == (Phase.ROLLBACK, EPOCH)
    assert waits.saga.needs_operator
    assert not waits.has_command(row)


# ---- rollback keeps disks that may be newer


@pytest.mark.parametrize(
    ("is_postcopy_seen", "ends_in", "keep_disks"),
    [
        (False, MigrationStatus.FAILED, False),
        (True, MigrationStatus.FAILED, True),
        (False, MigrationStatus.ERROR, True),
        (False, None, False),
    ],
)
def test_a_rollback_keeps_the_disks_of_a_dest_where_the_guest_may_have_run(
    is_postcopy_seen: bool, ends_in: MigrationStatus | None, keep_disks: bool
) -> None:
    arguments = commanded(saga(Phase.ROLLBACK, is_postcopy_seen=is_postcopy_seen, ends_in=ends_in)).arguments

    assert arguments == RollbackArguments(name="guest", is_prepared=True, keep_disks=keep_disks)


# ---- doubt


@pytest.mark.parametrize("result", [Result.ERROR, Result.LOST])
def test_an_error_of_the_call_is_only_a_reason_to_look(result: Result) -> None:
    doubted = answered(saga(Phase.LIVE), result, detail="connection closed")

    assert (doubted.saga.phase, doubted.saga.home) == (Phase.OBSERVE_SOURCE, SOURCE)
    assert doubted.saga.reason == "connection closed"
    assert doubted.saga.ends_in is None


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.WATCH])
def test_a_source_that_is_not_heard_is_fenced_and_observed(phase: Phase) -> None:
    assert overdue(saga(phase)).saga.phase is Phase.OBSERVE_SOURCE


@pytest.mark.parametrize(
    "phase",
    [
        Phase.OBSERVE_SOURCE,
        Phase.ABORT_SOURCE,
        Phase.OBSERVE_DEST,
        Phase.RECOVER_POSTCOPY,
        Phase.POST_DEST,
        Phase.POST_SOURCE,
        Phase.REAP_SOURCE,
    ],
)
def test_silence_in_doubt_or_after_the_hand_over_decides_nothing_but_raises_an_alarm(phase: Phase) -> None:
    row = saga(phase)

    waits = overdue(row).saga

    assert replace(waits, waiting_for="", needs_operator=False) == row
    assert waits.needs_operator
    assert waits.waiting_for


@pytest.mark.parametrize(
    "phase", [phase for phase, result in PLAN.answers if result is Result.ERROR and phase not in (
        Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE, Phase.LIVE, Phase.RECOVER_POSTCOPY)]
)  # fmt: skip
def test_what_could_not_be_done_yet_is_shown_and_asked_again(phase: Phase) -> None:
    row = saga(phase)

    waits = answered(row, Result.ERROR, detail="libvirt is starting")

    assert "libvirt is starting" in waits.saga.waiting_for
    assert (waits.saga.phase, waits.saga.epoch) == (phase, EPOCH)


# ---- the plan is total over what agents can answer

ANSWERS = {
    Phase.CHECK_DEST: {Result.OK, Result.REFUSED, Result.ERROR},
    Phase.CHECK_SOURCE: {Result.OK, Result.REFUSED, Result.ERROR},
    Phase.PRE: {Result.OK, Result.REFUSED, Result.ERROR},
    Phase.LIVE: {Result.OK, Result.ERROR, Result.LOST},
    Phase.WATCH: {Result.ENDED, Result.ERROR},
    Phase.OBSERVE_SOURCE: {Result.OBSERVED, Result.ERROR},
    Phase.ABORT_SOURCE: {Result.OBSERVED, Result.ERROR},
    Phase.OBSERVE_DEST: {Result.OBSERVED, Result.ERROR},
    Phase.RESUME_SOURCE: {Result.OK, Result.GONE, Result.LOCKED, Result.ERROR},
    Phase.RECOVER_POSTCOPY: {Result.OK, Result.GONE, Result.ERROR},
    Phase.ROLLBACK: {Result.OK, Result.RUNNING, Result.ERROR},
    Phase.POST_DEST: {Result.RUNNING, Result.GONE, Result.ERROR},
    Phase.POST_SOURCE: {Result.OK, Result.RUNNING, Result.ERROR},
    Phase.REAP_SOURCE: {Result.OK, Result.RUNNING, Result.ERROR},
}
"""Every pair that is handled; tests/unit/test_saga.py holds that each other pair of the product is a bug."""


def test_the_plan_handles_these_answers_and_no_others() -> None:
    expected = {(phase, result) for phase, results in ANSWERS.items() for result in results}

    assert PLAN.answers.keys() == expected
    assert ANSWERS.keys() == live_migration.BY_PHASE.keys()
