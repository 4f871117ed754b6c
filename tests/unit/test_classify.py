"""The words for a domain's states: every one of them has exactly one, on both sides."""

from itertools import product

import pytest

from common.states import DestSeen, SourceSeen
from compute_agent.hypervisor.classify import classify_dest, classify_source, is_settling
from compute_agent.hypervisor.driver import ABSENT, DomainSnapshot, DomainState, JobKind, Reason

ALL = [
    DomainSnapshot(
        exists=True, is_active=active, is_persistent=persistent, state=state, reason=reason, job=job
    )
    for active, persistent, state, reason, job in product(
        (True, False), (True, False), DomainState, Reason, JobKind
    )
]


def active(state: DomainState, reason: Reason = Reason.OTHER, job: JobKind = JobKind.NONE) -> DomainSnapshot:
    return DomainSnapshot(
        exists=True, is_active=True, is_persistent=True, state=state, reason=reason, job=job
    )


def off(*, is_persistent: bool) -> DomainSnapshot:
    return DomainSnapshot(exists=True, is_persistent=is_persistent, state=DomainState.SHUTOFF)


PAUSED, RUNNING = DomainState.PAUSED, DomainState.RUNNING
OUTGOING, INCOMING, OTHER = JobKind.OUTGOING, JobKind.INCOMING, JobKind.OTHER


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (active(RUNNING, Reason.BOOTED), SourceSeen.RUNNING),
        (active(RUNNING, Reason.BOOTED, OTHER), SourceSeen.RUNNING),  # a backup
        (active(RUNNING, Reason.BOOTED, OUTGOING), SourceSeen.RUNNING_JOB),
        (active(PAUSED, Reason.USER, OUTGOING), SourceSeen.PAUSED_MIGRATING_JOB),
        (active(PAUSED, Reason.MIGRATION, OUTGOING), SourceSeen.PAUSED_MIGRATING_JOB),
        (active(PAUSED, Reason.POSTCOPY, OUTGOING), SourceSeen.POSTCOPY_RUNNING),
        (active(PAUSED, Reason.POSTCOPY_FAILED, OUTGOING), SourceSeen.POSTCOPY_FAILED),
        (active(PAUSED, Reason.POSTCOPY_FAILED), SourceSeen.POSTCOPY_FAILED),
        (active(PAUSED, Reason.MIGRATION), SourceSeen.PAUSED_MIGRATING),
        (active(PAUSED, Reason.UNKNOWN), SourceSeen.PAUSED_MIGRATING),
        (active(PAUSED, Reason.USER), SourceSeen.PAUSED_OTHER),
        (active(PAUSED, Reason.IO_ERROR), SourceSeen.PAUSED_OTHER),
        (active(PAUSED, Reason.WATCHDOG), SourceSeen.PAUSED_OTHER),
        (active(PAUSED, Reason.API_ERROR), SourceSeen.PAUSED_OTHER),
        (active(DomainState.PMSUSPENDED), SourceSeen.PAUSED_OTHER),
        (active(PAUSED, Reason.OTHER), SourceSeen.CONTRADICTORY),
        (active(DomainState.CRASHED), SourceSeen.CONTRADICTORY),
        (active(DomainState.SHUTDOWN), SourceSeen.CONTRADICTORY),
        (active(DomainState.UNKNOWN), SourceSeen.CONTRADICTORY),
        (active(PAUSED, Reason.MIGRATION, INCOMING), SourceSeen.CONTRADICTORY),
        (off(is_persistent=True), SourceSeen.SHUTOFF),
    ],
)
def test_source(snapshot: DomainSnapshot, expected: SourceSeen) -> None:
    assert classify_source(snapshot, has_record=False) is expected


def test_absent_source_with_a_record_was_undefined() -> None:
    assert classify_source(ABSENT, has_record=False) is SourceSeen.ABSENT
    assert classify_source(ABSENT, has_record=True) is SourceSeen.UNDEFINED


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (ABSENT, DestSeen.ABSENT),
        (active(PAUSED, Reason.STARTING_UP, INCOMING), DestSeen.INCOMING),
        (active(PAUSED, Reason.MIGRATION, INCOMING), DestSeen.INCOMING),
        (
            active(PAUSED, Reason.USER, INCOMING),
            DestSeen.INCOMING,
        ),  # Finish, of a guest that its user had paused
        (active(PAUSED, Reason.MIGRATION), DestSeen.INCOMING),
        (active(PAUSED, Reason.USER), DestSeen.PAUSED_OTHER),
        (active(PAUSED, Reason.IO_ERROR), DestSeen.PAUSED_OTHER),
        (active(DomainState.PMSUSPENDED), DestSeen.PAUSED_OTHER),
        (active(RUNNING, Reason.MIGRATED), DestSeen.RUNNING),
        (active(RUNNING, Reason.MIGRATED, INCOMING), DestSeen.RUNNING),  # Finish's last moment
        (active(RUNNING, Reason.MIGRATED, OUTGOING), DestSeen.RUNNING),
        (active(RUNNING, Reason.POSTCOPY, INCOMING), DestSeen.RUNNING_POSTCOPY),
        (active(RUNNING, Reason.POSTCOPY_FAILED, INCOMING), DestSeen.POSTCOPY_FAILED),
        (active(PAUSED, Reason.MIGRATION, OUTGOING), DestSeen.CONTRADICTORY),
        (active(DomainState.CRASHED), DestSeen.CONTRADICTORY),
        (active(DomainState.SHUTDOWN), DestSeen.CONTRADICTORY),
        (off(is_persistent=True), DestSeen.SHUTOFF),
        (off(is_persistent=False), DestSeen.INCOMING),  # libvirt is just making it
    ],
)
def test_dest(snapshot: DomainSnapshot, expected: DestSeen) -> None:
    assert classify_dest(snapshot) is expected


def test_classifiers_are_total_and_never_say_unreachable() -> None:
    for snapshot in ALL:
        assert classify_source(snapshot, has_record=False) is not SourceSeen.UNREACHABLE
        assert classify_dest(snapshot) is not DestSeen.UNREACHABLE


def test_nothing_that_exists_is_called_absent() -> None:
    for snapshot in ALL:
        assert classify_source(snapshot, has_record=True) not in (SourceSeen.ABSENT, SourceSeen.UNDEFINED)
        assert classify_dest(snapshot) is not DestSeen.ABSENT


def test_running_processors_are_never_called_a_half_or_gone() -> None:
    for snapshot in (s for s in ALL if s.is_active and s.state is RUNNING):
        assert classify_dest(snapshot) in (
            DestSeen.RUNNING,
            DestSeen.RUNNING_POSTCOPY,
            DestSeen.POSTCOPY_FAILED,
        )


def test_source_with_an_outgoing_job_is_never_called_jobless() -> None:
    for snapshot in (s for s in ALL if s.is_active and s.job is OUTGOING):
        seen = classify_source(snapshot, has_record=False)
        assert seen.has_job or seen is SourceSeen.POSTCOPY_FAILED


def test_dest_with_an_incoming_job_is_never_called_complete() -> None:
    for snapshot in (s for s in ALL if s.is_active and s.job is INCOMING):
        assert classify_dest(snapshot) not in (DestSeen.PAUSED_OTHER, DestSeen.SHUTOFF)


def test_states_of_a_moment_are_looked_at_again() -> None:
    assert is_settling(active(DomainState.SHUTDOWN))
    assert is_settling(off(is_persistent=False))
    assert not is_settling(off(is_persistent=True))
    assert not is_settling(active(RUNNING))
    assert not is_settling(ABSENT)
