"""The downtime ramp, the completion timeout and the guess at the end, against figures worked out by hand."""

import pytest

from common.migration import JobStatistics
from compute_agent.convergence import GIB, downtime_steps, eta_s, steer
from compute_agent.settings import LiveMigrationSettings

DEFAULTS = LiveMigrationSettings(flags=())


def job(*, seconds, gib=4, **changes):
    fields = {"memory_total": int(gib * GIB), "elapsed_ms": int(1000 * seconds)}
    return JobStatistics(**{**fields, **changes})


def test_the_ramp_of_the_docstring():
    assert list(downtime_steps(DEFAULTS, data_gib=4)) == [
        (0, 50), (300, 95), (600, 140), (900, 185), (1200, 230), (1500, 275),
        (1800, 320), (2100, 365), (2400, 410), (2700, 455), (3000, 500),
    ]  # fmt: skip


def test_a_small_guest_counts_as_two_gib():
    assert list(downtime_steps(DEFAULTS, data_gib=2))[-1] == (1500, 500)
    assert steer(DEFAULTS, job(seconds=151, gib=0.1)).downtime_max_ms == 95


def test_other_options_make_another_ramp():
    settings = LiveMigrationSettings(flags=(), downtime_max_ms=300, downtime_steps=3, downtime_delay_s=10)

    assert list(downtime_steps(settings, data_gib=3)) == [(0, 100), (30, 166), (60, 233), (90, 300)]


@pytest.mark.parametrize(
    ("seconds", "downtime_ms"),
    [(0, None), (0.5, 50), (300, 50), (300.5, 95), (2999, 455), (3001, 500), (100_000, 500)],
)
def test_a_step_applies_when_its_time_has_passed(seconds, downtime_ms):
    assert steer(DEFAULTS, job(seconds=seconds)).downtime_max_ms == downtime_ms


@pytest.mark.parametrize(("seconds", "is_overdue"), [(3200, False), (3201, True)])
def test_the_completion_timeout_counts_per_gib(seconds, is_overdue):
    assert steer(DEFAULTS, job(seconds=seconds)).is_overdue is is_overdue


def test_without_a_completion_timeout_nothing_is_ever_overdue():
    settings = LiveMigrationSettings(flags=(), completion_timeout_s=0)

    assert not steer(settings, job(seconds=1_000_000)).is_overdue


def test_post_copy_is_never_given_up():
    assert not steer(DEFAULTS, job(seconds=100_000, is_postcopy=True)).is_overdue


@pytest.mark.parametrize(
    ("rate", "dirty_rate", "eta"),
    [(100, None, 10.0), (100, 50, 20.0), (100, 100, None), (100, 200, None), (None, None, None)],
)
def test_the_end_is_guessed_from_the_rates(rate, dirty_rate, eta):
    statistics = job(seconds=1, memory_remaining=1000, memory_rate=rate, memory_dirty_rate=dirty_rate)

    assert eta_s(statistics) == eta


def test_while_disks_are_copied_their_end_is_guessed():
    statistics = job(seconds=4, memory_total=0, disk_total=600, disk_processed=200, disk_remaining=400)

    assert eta_s(statistics) == 8.0


def test_disks_count_like_memory_in_the_time_that_a_migration_has():
    statistics = job(seconds=3201, disk_total=GIB)

    assert not steer(DEFAULTS, statistics).is_overdue
