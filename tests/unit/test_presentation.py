"""From rows to what a client is shown."""

from common.states import MigrationStatus, Phase, Verb
from conductor.db.models import Journal
from conductor.presentation import iso, step_times, version

T0 = 1_700_000_000_000


def line(at_ms, phase, epoch, host="compute2", seconds_on_host=None):
    return Journal(
        migration="m",
        at_ms=T0 + at_ms,
        phase=phase,
        status=MigrationStatus.RUNNING,
        epoch=epoch,
        host=host,
        seconds_on_host=seconds_on_host,
        sentence="",
    )


def test_a_step_lasts_from_its_commit_to_the_commit_of_its_outcome():
    story = [
        line(0, Phase.CHECK_DEST, 1),
        line(20, Phase.CHECK_SOURCE, 2, host="compute1", seconds_on_host=0.015),
        line(50, Phase.DONE, 2, host="compute1", seconds_on_host=0.025),
    ]

    first, second = step_times(story)

    assert (first.step, first.host, first.seconds, first.seconds_on_host) == (
        Verb.CHECK_DEST, "compute2", 0.02, 0.015,
    )  # fmt: skip
    assert (second.step, second.host, second.seconds, second.seconds_on_host) == (
        Verb.CHECK_SOURCE, "compute1", 0.03, 0.025,
    )  # fmt: skip


def test_what_is_learnt_in_between_does_not_end_a_step():
    story = [
        line(0, Phase.OBSERVE_SOURCE, 4),
        line(30_000, Phase.OBSERVE_SOURCE, 4),
        line(31_000, Phase.OBSERVE_DEST, 5, seconds_on_host=0.01),
    ]

    (step,) = step_times(story)

    assert step.seconds == 31.0


def test_two_lines_of_one_commit_are_one_change():
    story = [
        line(0, Phase.POST_SOURCE, 6),
        line(40, Phase.DONE, 6, seconds_on_host=0.03),
        line(40, Phase.DONE, 6),
    ]

    assert [step.seconds for step in step_times(story)] == [0.04]


def test_an_alarm_is_no_step():
    story = [
        line(0, Phase.OBSERVE_DEST, 5),
        line(10, Phase.ALARM, 5),
        line(99_000, Phase.OBSERVE_SOURCE, 6),
        line(99_010, Phase.OBSERVE_DEST, 7),
    ]

    assert [(step.step, step.seconds) for step in step_times(story)] == [
        (Verb.OBSERVE, 0.01),
        (Verb.OBSERVE, 0.01),
    ]


def test_the_current_command_is_no_step_yet():
    assert step_times([line(0, Phase.CHECK_DEST, 1)]) == ()
    assert step_times([]) == ()


def test_times_are_told_in_utc_to_the_millisecond():
    assert iso(T0 + 7) == "2023-11-14T22:13:20.007+00:00"


def test_versions_are_written_as_people_write_them():
    assert version(7_002_000) == "7.2.0"
    assert version(11_003_012) == "11.3.12"
