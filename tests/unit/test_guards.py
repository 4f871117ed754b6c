"""The second line of defence, over every word that a host may say."""

from collections.abc import Callable

import pytest

from common.states import DestSeen, SourceSeen
from compute_agent import guards

PAUSED_OR_ENDED = {
    SourceSeen.ABSENT,
    SourceSeen.UNDEFINED,
    SourceSeen.SHUTOFF,
    SourceSeen.PAUSED_MIGRATING,
    SourceSeen.PAUSED_OTHER,
    SourceSeen.POSTCOPY_FAILED,
}


@pytest.mark.parametrize("seen", SourceSeen)
def test_a_call_is_issued_only_for_a_guest_that_runs_or_that_its_user_paused(seen: SourceSeen) -> None:
    expected = seen in {SourceSeen.RUNNING, SourceSeen.PAUSED_OTHER}

    assert guards.may_issue_call(seen, is_older_call_in_flight=False) is expected
    assert not guards.may_issue_call(seen, is_older_call_in_flight=True)


@pytest.mark.parametrize("seen", DestSeen)
def test_a_rollback_destroys_halves_and_leftovers_only(seen: DestSeen) -> None:
    assert guards.may_roll_back(seen) is (seen in {DestSeen.ABSENT, DestSeen.INCOMING, DestSeen.SHUTOFF})


@pytest.mark.parametrize("seen", DestSeen)
def test_a_guest_with_all_its_memory_is_the_proof_of_arrival(seen: DestSeen) -> None:
    assert guards.is_proof_of_arrival(seen) is (seen in {DestSeen.RUNNING, DestSeen.PAUSED_OTHER})


@pytest.mark.parametrize("seen", DestSeen)
def test_gone_is_what_cannot_become_the_guest_by_itself(seen: DestSeen) -> None:
    assert guards.is_gone_from_dest(seen) is (seen in {DestSeen.ABSENT, DestSeen.SHUTOFF})


@pytest.mark.parametrize("guard", [guards.may_clean_source, guards.may_reap])
@pytest.mark.parametrize("seen", SourceSeen)
def test_a_source_that_runs_moves_or_is_silent_is_never_cleaned(
    guard: Callable[[SourceSeen], bool], seen: SourceSeen
) -> None:
    assert guard(seen) is (seen in PAUSED_OR_ENDED)


@pytest.mark.parametrize("seen", SourceSeen)
def test_only_what_the_migration_paused_is_resumed(seen: SourceSeen) -> None:
    assert guards.may_resume(seen) is (seen is SourceSeen.PAUSED_MIGRATING)


@pytest.mark.parametrize("seen", SourceSeen)
def test_a_source_with_a_job_is_left_alone(seen: SourceSeen) -> None:
    acts = (guards.may_clean_source(seen), guards.may_reap(seen), guards.may_resume(seen))

    assert not (seen.has_job and any(acts))


@pytest.mark.parametrize("seen", DestSeen)
def test_no_state_of_the_dest_is_both_proof_and_undoable(seen: DestSeen) -> None:
    assert not (guards.is_proof_of_arrival(seen) and guards.may_roll_back(seen))
