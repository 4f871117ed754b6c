"""Watching ends when it must, survives what happens in between, and says so once."""

from client.exit_codes import ExitCode
from client.watching import (
    DOUBT_LIMIT_S,
    RETRY_S,
    SILENCE_LIMIT_S,
    WATCH_LIMIT_S,
    Ending,
    Watcher,
    exit_code,
)
from common.errors import ServiceUnreachableError
from common.states import MigrationStatus, Phase
from tests.fakes.conductor import FakeConductor, migration_view

RUNNING = migration_view(status=MigrationStatus.RUNNING, phase=Phase.LIVE, version=5)
COMPLETED = migration_view(status=MigrationStatus.COMPLETED, phase=Phase.DONE, version=9)
DOUBTFUL = migration_view(
    status=MigrationStatus.RUNNING, phase=Phase.OBSERVE_SOURCE, waiting_for="compute1 has not answered yet"
)
UNREACHABLE = ServiceUnreachableError(timeout_s=10, bus="rabbit://mq1")


class Room:
    """A clock that only moves when somebody waits, and a display that remembers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.shown = []
        self.said = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def show(self, view) -> None:
        self.shown.append(view)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def watcher(self, view, *script, timeout_s: float | None = None) -> Watcher:
        conductor = FakeConductor(migrations=(view,), script=script, on_poll=self.sleep)
        return Watcher(conductor, view, display=self, timeout_s=timeout_s, clock=self.clock, sleep=self.sleep)


def test_a_migration_is_shown_step_by_step_to_its_end():
    room = Room()
    watcher = room.watcher(migration_view(), RUNNING, COMPLETED)
    assert watcher.watch() is Ending.FINAL
    assert watcher.view == COMPLETED
    assert room.shown == [migration_view(), RUNNING, COMPLETED]
    assert room.said == []


def test_a_migration_that_has_ended_is_not_polled():
    room = Room()
    assert room.watcher(COMPLETED, AssertionError()).watch() is Ending.FINAL


def test_the_timeout_ends_the_watching_on_the_second():
    room = Room()
    watcher = room.watcher(RUNNING, timeout_s=7.5)
    ending = watcher.watch()
    assert ending is Ending.TIME_PASSED
    assert room.now == 1007.5
    assert exit_code(watcher.view, ending) is ExitCode.STILL_RUNNING


def test_without_a_timeout_watching_is_bounded_too():
    room = Room()
    assert room.watcher(RUNNING).watch() is Ending.TIME_PASSED
    assert room.now == 1000.0 + WATCH_LIMIT_S


def test_a_conductor_that_comes_back_is_told_of_once_and_watching_goes_on():
    room = Room()
    watcher = room.watcher(RUNNING, UNREACHABLE, UNREACHABLE, UNREACHABLE, RUNNING, COMPLETED)
    assert watcher.watch() is Ending.FINAL
    assert room.said == [
        "No conductor answers; the migration goes on without it. Still watching.",
        "A conductor answers again.",
    ]
    assert room.now == 1000.0 + 3 * RETRY_S


def test_conductors_that_stay_away_leave_the_outcome_unknown():
    room = Room()
    watcher = room.watcher(RUNNING, *[UNREACHABLE] * 1000)
    ending = watcher.watch()
    assert ending is Ending.SILENCE
    assert 1000.0 + SILENCE_LIMIT_S <= room.now <= 1000.0 + SILENCE_LIMIT_S + RETRY_S
    assert exit_code(watcher.view, ending) is ExitCode.UNKNOWN


def test_a_timeout_during_silence_does_not_claim_that_the_migration_still_runs():
    room = Room()
    assert room.watcher(RUNNING, *[UNREACHABLE] * 10, timeout_s=3).watch() is Ending.SILENCE


def test_doubt_is_told_once_and_forgotten_when_it_ends():
    room = Room()
    assert room.watcher(RUNNING, DOUBTFUL, DOUBTFUL, RUNNING, COMPLETED).watch() is Ending.FINAL
    assert len(room.said) == 1
    assert "compute1 has not answered yet" in room.said[0]


def test_lasting_doubt_ends_the_watching_with_an_unknown_outcome():
    room = Room()
    watcher = room.watcher(DOUBTFUL)
    ending = watcher.watch()
    assert ending is Ending.IN_DOUBT
    assert room.now >= 1000.0 + DOUBT_LIMIT_S
    assert exit_code(watcher.view, ending) is ExitCode.UNKNOWN


def test_doubt_when_the_timeout_passes_is_an_unknown_outcome():
    room = Room()
    assert room.watcher(RUNNING, DOUBTFUL, timeout_s=10).watch() is Ending.IN_DOUBT
    assert room.now == 1010.0


def test_an_alarm_ends_the_watching_though_the_migration_stays_open():
    room = Room()
    alarm = migration_view(
        status=MigrationStatus.ERROR, phase=Phase.ALARM, reason="both hosts run it", waiting_for="an operator"
    )
    watcher = room.watcher(RUNNING, alarm)
    assert exit_code(alarm, watcher.watch()) is ExitCode.ERROR
    assert room.said == []
