"""What an open migration needs at a given moment."""

from dataclasses import replace

import pytest

from common.migration import CheckDestArguments
from common.states import MigrationStatus, Phase
from conductor.live_migration import BY_PHASE
from conductor.saga import Saga
from conductor.sweeper import Due, Patience, Waiting, due

PATIENCE = Patience(resend_interval_s=5.0, check_timeout_s=60.0, pre_timeout_s=300.0, silence_timeout_s=30.0)
SAGA = Saga(
    migration="m",
    instance="i",
    name="web1",
    source="compute1",
    dest="compute2",
    home="compute1",
    guest=CheckDestArguments(name="web1", memory_mib=96, vcpus=1, machine="pc", disks=()),
    phase=Phase.CHECK_DEST,
    status=MigrationStatus.ACCEPTED,
    instance_epoch=7,
    epoch=7,
)


def waiting(phase, *, issued_s=0.0, sent_s=0.0, heard_s=None, **changes):
    saga = replace(SAGA, phase=phase, **changes)
    return Waiting(saga=saga, issued_s=issued_s, sent_s=sent_s, heard_s=heard_s)


def test_what_this_conductor_never_sent_is_sent_at_once():
    assert due(waiting(Phase.CHECK_DEST, sent_s=None), PATIENCE) is Due.RESEND


@pytest.mark.parametrize("phase", BY_PHASE)
def test_every_command_is_resent_after_the_interval_and_not_before(phase):
    assert due(waiting(phase, issued_s=4.9, sent_s=4.9), PATIENCE) is Due.NOTHING
    assert due(waiting(phase, issued_s=5.0, sent_s=5.0), PATIENCE) is Due.RESEND


@pytest.mark.parametrize(
    ("phase", "timeout_s"),
    [
        (Phase.CHECK_DEST, 60),
        (Phase.CHECK_SOURCE, 60),
        (Phase.PRE, 300),
        (Phase.LIVE, 30),
        (Phase.ROLLBACK, 30),
    ],
)
def test_each_phase_has_its_own_patience(phase, timeout_s):
    assert due(waiting(phase, issued_s=timeout_s - 0.1), PATIENCE) is Due.NOTHING
    assert due(waiting(phase, issued_s=timeout_s), PATIENCE) is Due.TIME_PASSED


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.WATCH])
def test_a_job_that_is_heard_of_may_take_hours_and_needs_no_resend(phase):
    assert due(waiting(phase, issued_s=7200, sent_s=7200, heard_s=1.0), PATIENCE) is Due.NOTHING


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.WATCH])
def test_a_job_that_falls_silent_is_first_resent_and_then_asked_about(phase):
    assert due(waiting(phase, issued_s=7200, sent_s=7200, heard_s=6.0), PATIENCE) is Due.RESEND
    assert due(waiting(phase, issued_s=7200, sent_s=2.0, heard_s=30.0), PATIENCE) is Due.TIME_PASSED


def test_a_new_conductor_leaves_a_job_that_is_heard_of_in_peace():
    assert due(waiting(Phase.LIVE, issued_s=7200, sent_s=None, heard_s=1.0), PATIENCE) is Due.NOTHING


def test_an_alarm_is_raised_once_and_the_command_resent_all_the_same():
    told = waiting(Phase.OBSERVE_SOURCE, issued_s=90, sent_s=1.0, needs_operator=True)

    assert due(told, PATIENCE) is Due.NOTHING
    assert due(replace(told, sent_s=5.0), PATIENCE) is Due.RESEND


def test_an_alarm_does_not_keep_a_silent_job_from_being_asked_about():
    told = waiting(Phase.LIVE, issued_s=90, needs_operator=True)

    assert due(told, PATIENCE) is Due.TIME_PASSED


def test_nothing_is_sent_while_an_operator_is_waited_for():
    assert due(waiting(Phase.ALARM, issued_s=1e6, sent_s=None), PATIENCE) is Due.NOTHING
