"""The monitor's turn: what it does to a job, and what it tells of it."""

import threading
from dataclasses import replace

import pytest

from common.migration import Command, JobStatistics
from common.states import Verb
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError, JobAbsentError
from compute_agent.live_migration_monitor import Monitor
from compute_agent.settings import LiveMigrationSettings
from tests.fakes.host import MIGRATION, FakeClock, ListeningConductor

GIB = 2**30
COMMAND = Command(instance="i", migration=MIGRATION, epoch=4, verb=Verb.LIVE, host="compute1")
SETTINGS = LiveMigrationSettings(flags=(), completion_timeout_s=800, progress_interval_s=1.0)


class Job:
    """Stands in for the hypervisor: one job, and what was done to it."""

    def __init__(self):
        self.statistics = JobStatistics(memory_total=2 * GIB, memory_remaining=GIB, memory_rate=GIB)
        self.looks = 0
        self.done = []
        self.error = None

    def job_statistics(self, _uuid):
        self.looks += 1
        return self.statistics

    def set_max_downtime(self, _uuid, downtime_ms):
        self._do(f"downtime {downtime_ms}")

    def abort_job(self, _uuid):
        self._do("abort")

    def _do(self, what):
        if self.error is not None:
            raise self.error
        self.done.append(what)


class Story:
    """A monitor over a job, with time in the test's hand."""

    def __init__(self, settings=SETTINGS):
        self.job, self.conductor, self.clock = Job(), ListeningConductor(), FakeClock()
        self.monitor = Monitor(COMMAND, self.job, self.conductor, settings, clock=self.clock)

    def at(self, elapsed_s):
        """Half a second later by our clock, the job is this old."""
        self.clock.pass_s(0.5)
        if self.job.statistics is not None:
            self.job.statistics = replace(self.job.statistics, elapsed_ms=int(1000 * elapsed_s))
        statistics = self.monitor.turn()
        if self.monitor._telling is not None:
            self.monitor._telling.wait(5)
        return statistics


@pytest.fixture
def story():
    return Story()


def test_each_step_of_the_ramp_is_set_once(story):
    for elapsed_s in (0.0, 0.5, 1.0, 150.5, 151.0):
        story.at(elapsed_s)

    assert story.job.done == ["downtime 50", "downtime 95"]


def test_an_agent_that_takes_over_sets_the_step_that_is_due(story):
    story.at(700.0)

    assert story.job.done == ["downtime 230"]


def test_an_overdue_job_is_aborted_at_every_turn_until_it_ends(story):
    story.at(1600.5)
    story.at(1601.0)
    story.job.statistics = None

    assert story.at(0) is None
    assert story.job.done == ["abort", "abort"]
    assert story.monitor.given_up_after_s == pytest.approx(1600.5)


def test_progress_is_told_no_more_often_than_asked_for(story):
    for elapsed_s in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
        story.at(elapsed_s)

    told = story.conductor.progress_told
    assert len(told) == 3
    assert [progress.statistics.elapsed_ms for progress in told] == [500, 1500, 2500]
    assert (told[0].migration, told[0].epoch, told[0].host) == (MIGRATION, 4, "compute1")
    assert told[-1].downtime_max_ms == 50
    assert told[-1].eta_s == pytest.approx(1.0)


def test_the_sequence_goes_on_where_the_agent_before_left_it(story):
    story.at(100.0)
    successor = Story()
    successor.at(101.0)

    assert successor.conductor.progress_told[0].sequence > story.conductor.progress_told[0].sequence


def test_a_conductor_that_is_away_does_not_hold_the_monitor_up(story):
    let_go = threading.Event()
    story.conductor.progress = lambda _progress: let_go.wait(5)
    story.clock.pass_s(1)
    story.monitor.turn()
    story.clock.pass_s(5)

    assert story.monitor.turn() is not None
    let_go.set()


def test_a_lost_progress_message_is_no_error(story):
    story.conductor.is_away = True

    assert story.at(1.0) is not None


def test_a_job_that_ends_while_it_is_tuned_is_no_error(story):
    story.job.error = JobAbsentError(uuid="i")

    assert story.at(1.0) is not None


def test_a_burst_of_events_is_one_look(story):
    story.at(1.0)
    looks = story.job.looks
    for _ in range(50):
        story.clock.pass_s(0.001)
        story.monitor.turn()

    assert story.job.looks == looks


def test_news_of_the_end_is_looked_at_at_once(story):
    story.at(1.0)
    story.job.statistics = None

    story.monitor.forget_last_look()

    assert story.monitor.turn() is None


def test_a_silent_libvirt_is_for_the_one_who_follows(story):
    def silent(_uuid):
        raise HypervisorUnreachableError(uri="qemu:///system", reason="gone")

    story.job.job_statistics = silent

    with pytest.raises(HypervisorUnreachableError):
        story.at(1.0)
