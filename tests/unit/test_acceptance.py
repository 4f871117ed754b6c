"""The rules of the ledger: which command is obeyed, what survives a newer one, when a call is in flight."""

from dataclasses import replace
from itertools import product

import pytest

from common.migration import Command, Outcome
from common.states import Result, SourceSeen, Verb
from compute_agent.acceptance import (
    Decision,
    Entry,
    accept,
    acknowledge,
    call,
    call_ended,
    decide,
    is_call_in_flight,
    is_kept,
    job_ended,
    settle,
)

DRAIN_S = 60.0


def command(epoch: int = 7, *, verb: Verb = Verb.LIVE, migration: str = "m1") -> Command:
    return Command(instance="i1", migration=migration, epoch=epoch, verb=verb, host="compute1")


def outcome(epoch: int = 7, *, verb: Verb = Verb.LIVE, result: Result = Result.OK) -> Outcome:
    return Outcome(
        instance="i1",
        migration="m1",
        epoch=epoch,
        verb=verb,
        host="compute1",
        boot_id="boot",
        result=result,
    )


def entry(epoch: int = 7, *, verb: Verb | None = Verb.LIVE, **changes: object) -> Entry:
    migration = "m1" if verb else ""
    return replace(Entry(instance="i1", epoch=epoch, migration=migration, verb=verb), **changes)  # type: ignore[arg-type]


# ---- rule 7: which command is obeyed


def test_the_first_command_that_a_host_ever_gets_is_obeyed() -> None:
    assert decide(None, command(1), running_epoch=None) is Decision.RUN


def test_a_newer_command_is_obeyed_even_while_an_older_one_runs() -> None:
    assert decide(entry(7), command(8), running_epoch=7) is Decision.RUN


@pytest.mark.parametrize("running_epoch", [None, 6, 7])
@pytest.mark.parametrize("kept", [None, outcome()])
def test_an_older_command_never_has_an_effect(running_epoch: int | None, kept: Outcome | None) -> None:
    assert decide(entry(7, outcome=kept), command(6), running_epoch=running_epoch) is Decision.SUPERSEDED


def test_a_repeated_command_gets_the_outcome_that_was_kept() -> None:
    assert decide(entry(7, outcome=outcome()), command(7), running_epoch=None) is Decision.REPEAT


def test_a_repeated_command_joins_the_verb_that_still_runs() -> None:
    assert decide(entry(7), command(7), running_epoch=7) is Decision.JOIN


def test_a_repeated_command_whose_verb_died_with_the_agent_is_run_again() -> None:
    assert decide(entry(7), command(7), running_epoch=None) is Decision.RUN


def test_a_repeated_command_does_not_join_a_verb_of_an_older_epoch() -> None:
    assert decide(entry(7), command(7), running_epoch=6) is Decision.RUN


@pytest.mark.parametrize(
    "other", [command(7, verb=Verb.OBSERVE), command(7, migration="m0")], ids=["verb", "migration"]
)
@pytest.mark.parametrize("kept", [None, outcome()])
def test_another_command_under_the_same_epoch_means_lost_commits(
    other: Command, kept: Outcome | None
) -> None:
    assert decide(entry(7, outcome=kept), other, running_epoch=None) is Decision.SUPERSEDED


# ---- rule 7: the floor of a ledger that was lost


def test_a_floor_refuses_what_is_older_than_it() -> None:
    assert decide(entry(7, verb=None), command(6), running_epoch=None) is Decision.SUPERSEDED


def test_a_floor_lets_the_current_command_pass() -> None:
    floor = entry(7, verb=None)

    assert decide(floor, command(7), running_epoch=None) is Decision.RUN
    assert accept(floor, command(7)).verb is Verb.LIVE


# ---- rule 8: what accepting does


def test_accepting_forgets_the_old_outcome_and_its_acknowledgement() -> None:
    accepted = accept(entry(7, outcome=outcome(), is_acknowledged=True), command(8, verb=Verb.OBSERVE))

    assert accepted == entry(8, verb=Verb.OBSERVE)


def test_a_call_in_flight_outlives_newer_epochs() -> None:
    first = accept(entry(7, called=7), command(8, verb=Verb.OBSERVE))
    second = accept(first, command(9, verb=Verb.ABORT))

    assert second.called == 7


def test_accepting_again_after_a_restart_changes_nothing() -> None:
    once = accept(None, command(7))

    assert accept(once, command(7)) == once


def test_the_result_of_an_overtaken_verb_is_void() -> None:
    overtaken = accept(entry(7), command(8, verb=Verb.OBSERVE))

    assert settle(overtaken, outcome(7)) is None


def test_the_result_of_another_verb_under_the_same_epoch_is_void() -> None:
    assert settle(entry(7, verb=Verb.OBSERVE), outcome(7)) is None


def test_an_outcome_that_is_kept_enters_the_ledger() -> None:
    settled = settle(entry(7), outcome(7))

    assert settled is not None
    assert settled.outcome == outcome(7)


def test_an_outcome_that_is_not_kept_leaves_the_entry_as_it_is() -> None:
    assert settle(entry(7), outcome(7, result=Result.LOST)) == entry(7)


# ---- rule 11: what is kept

KEPT = {
    (Verb.CHECK_DEST, Result.OK), (Verb.CHECK_DEST, Result.REFUSED), (Verb.CHECK_DEST, Result.ERROR),
    (Verb.CHECK_SOURCE, Result.OK), (Verb.CHECK_SOURCE, Result.REFUSED), (Verb.CHECK_SOURCE, Result.ERROR),
    (Verb.PRE, Result.OK), (Verb.PRE, Result.REFUSED), (Verb.PRE, Result.ERROR),
    (Verb.LIVE, Result.OK), (Verb.LIVE, Result.ERROR),
    (Verb.ROLLBACK, Result.OK), (Verb.RESUME, Result.OK), (Verb.RECOVER, Result.OK), (Verb.REAP, Result.OK),
    (Verb.POST_DEST, Result.RUNNING), (Verb.POST_SOURCE, Result.OK),
}  # fmt: skip


@pytest.mark.parametrize(("verb", "result"), list(product(Verb, Result)))
def test_only_what_stays_true_is_kept(verb: Verb, result: Result) -> None:
    assert is_kept(verb, result) is ((verb, result) in KEPT)


@pytest.mark.parametrize("seen", SourceSeen)
def test_an_observation_is_looked_up_anew_at_each_delivery(seen: SourceSeen) -> None:
    observing = entry(7, verb=Verb.OBSERVE)
    looked = replace(outcome(7, verb=Verb.OBSERVE, result=Result.OBSERVED), seen=seen)

    settled = settle(observing, looked)

    assert settled == observing
    assert decide(settled, command(7, verb=Verb.OBSERVE), running_epoch=None) is Decision.RUN


# ---- acknowledgement


@pytest.mark.parametrize(("epoch", "is_acknowledged"), [(6, False), (7, True), (8, True)])
def test_an_acknowledgement_covers_all_up_to_its_epoch(epoch: int, is_acknowledged: bool) -> None:
    assert acknowledge(entry(7, outcome=outcome()), epoch).is_acknowledged is is_acknowledged


def test_an_acknowledged_outcome_is_still_repeated_to_whoever_asks_again() -> None:
    settled = acknowledge(entry(7, outcome=outcome()), 7)

    assert decide(settled, command(7), running_epoch=None) is Decision.REPEAT


# ---- rule 9: at most one migrateToURI3 for an epoch


def test_a_call_is_written_down_before_it_is_issued() -> None:
    called = call(entry(7), 7)

    assert called == entry(7, called=7)


def test_a_fenced_call_is_not_issued() -> None:
    assert call(entry(8, verb=Verb.OBSERVE), 7) is None
    assert call(entry(8, verb=Verb.LIVE), 7) is None


def test_a_second_call_under_one_epoch_is_not_issued() -> None:
    assert call(entry(7, called=7), 7) is None


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.LIVE])
def test_no_other_verb_issues_a_call(verb: Verb) -> None:
    assert call(entry(7, verb=verb), 7) is None


# ---- rules 6 and 10: when a call is known to have ended


def test_a_call_that_returns_has_ended() -> None:
    assert call_ended(entry(7, called=7), 7, by_connection_error=False).called is None


def test_a_broken_connection_is_no_end() -> None:
    assert call_ended(entry(7, called=7), 7, by_connection_error=True).called == 7


def test_the_return_of_another_call_does_not_end_this_one() -> None:
    assert call_ended(entry(9, called=9), 7, by_connection_error=False).called == 9


def test_a_call_ends_with_its_job() -> None:
    assert job_ended(entry(9, verb=Verb.WATCH, called=7)).called is None


def _in_flight(
    known: Entry | None,
    *,
    is_thread_alive: bool = False,
    is_domain_active: bool = True,
    answering_for_s: float = 0.0,
) -> bool:
    return is_call_in_flight(
        known,
        is_thread_alive=is_thread_alive,
        is_domain_active=is_domain_active,
        answering_for_s=answering_for_s,
        drain_s=DRAIN_S,
    )


def test_a_living_thread_is_a_call_in_flight_whatever_else_is_known() -> None:
    assert _in_flight(None, is_thread_alive=True, is_domain_active=False, answering_for_s=2 * DRAIN_S)


def test_a_restarted_agent_counts_the_call_on_its_disk_until_libvirtd_has_drained() -> None:
    called = entry(8, verb=Verb.OBSERVE, called=7)

    assert _in_flight(called, answering_for_s=DRAIN_S - 1)
    assert not _in_flight(called, answering_for_s=DRAIN_S)


def test_for_a_domain_that_is_off_no_request_can_begin() -> None:
    assert not _in_flight(entry(7, called=7), is_domain_active=False)


@pytest.mark.parametrize("known", [None, entry(7)])
def test_without_a_call_on_disk_there_is_nothing_to_wait_for(known: Entry | None) -> None:
    assert not _in_flight(known)
