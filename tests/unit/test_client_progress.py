"""The bar never goes backwards and tells no lie."""

import io
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import bar, progress
from client.bar import Bar
from client.display import Quiet, display_for
from common.migration import JobStatistics, Progress
from common.states import MigrationStatus, Phase
from tests.fakes.conductor import INSTANCE, MIGRATION, migration_view

MIB = 1024 * 1024


def statistics(*, remaining_mib: float, iteration: int | None = 1, **more: object) -> JobStatistics:
    fields = {"memory_total": 100 * MIB, "memory_remaining": int(remaining_mib * MIB), "iteration": iteration}
    return JobStatistics(**{**fields, **more})


def transferring(*, eta_s: float | None = None, **numbers: object):
    newest = Progress(
        instance=INSTANCE,
        migration=MIGRATION,
        epoch=1,
        host="compute1",
        sequence=1,
        statistics=statistics(**numbers),
        eta_s=eta_s,
    )
    return migration_view(phase=Phase.LIVE, status=MigrationStatus.RUNNING, progress=newest)


def position(view) -> float:
    return progress.Course().advance(view)


def test_each_phase_of_an_undisturbed_migration_stands_further_than_the_one_before():
    way = (Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE, Phase.LIVE, Phase.POST_DEST, Phase.POST_SOURCE)
    positions = [position(migration_view(phase=phase)) for phase in way]
    assert positions == sorted(set(positions))


def test_only_a_completed_migration_arrives():
    done = migration_view(phase=Phase.DONE, status=MigrationStatus.COMPLETED)
    failed = migration_view(phase=Phase.DONE, status=MigrationStatus.FAILED)
    assert position(done) == 1.0
    assert position(failed) < 1.0


def test_a_further_pass_goes_on_where_the_last_one_ended():
    end_of_first = position(transferring(remaining_mib=0, iteration=1))
    begin_of_second = position(transferring(remaining_mib=100, iteration=2))
    assert begin_of_second == pytest.approx(end_of_first)
    assert position(transferring(remaining_mib=10, iteration=2)) > begin_of_second


def test_disks_come_before_the_memory_and_the_bar_does_not_stand_still_between_them():
    begin, half, end = (
        position(transferring_disks(remaining_mib=remaining_mib)) for remaining_mib in (50, 25, 0)
    )
    then = position(transferring(remaining_mib=100, disk_total=50 * MIB, disk_processed=50 * MIB))
    assert begin < half < end == pytest.approx(then)
    assert position(transferring(remaining_mib=50, disk_total=50 * MIB)) > then


def transferring_disks(*, remaining_mib: int):
    return transferring(
        remaining_mib=0, memory_total=0, disk_total=50 * MIB, disk_remaining=remaining_mib * MIB
    )


def test_while_disks_are_copied_nothing_is_said_of_the_memory():
    disks = JobStatistics(disk_total=50 * MIB, disk_remaining=20 * MIB, iteration=0)
    assert progress.numbers(disks, eta_s=3.0) == "20 of 50 MiB of disks left, ETA 3 s"


def test_a_transfer_never_arrives_by_itself():
    begin_of_completion = position(migration_view(phase=Phase.POST_DEST))
    assert position(transferring(remaining_mib=0, iteration=60)) <= begin_of_completion


def test_a_job_that_tells_nothing_stands_where_its_phase_begins():
    silent = transferring(remaining_mib=0, iteration=None)
    assert position(silent) > position(migration_view(phase=Phase.LIVE))
    unknown = Progress(
        instance=INSTANCE,
        migration=MIGRATION,
        epoch=1,
        host="compute1",
        sequence=1,
        statistics=JobStatistics(),
    )
    assert position(migration_view(phase=Phase.LIVE, progress=unknown)) == position(
        migration_view(phase=Phase.LIVE)
    )


@given(
    st.lists(
        st.one_of(
            st.sampled_from(Phase).map(lambda phase: migration_view(phase=phase)),
            st.builds(
                lambda left, turn: transferring(remaining_mib=left, iteration=turn),
                st.floats(0, 500),
                st.none() | st.integers(0, 500),
            ),
        ),
        max_size=30,
    )
)
def test_the_bar_never_goes_backwards_whatever_happens(views):
    course = progress.Course()
    positions = [course.advance(view) for view in views]
    assert positions == sorted(positions)
    assert all(0.0 <= at <= 1.0 for at in positions)


def test_every_phase_but_the_last_has_words():
    for phase in Phase:
        if phase is not Phase.DONE:
            assert progress.label(migration_view(phase=phase)) != phase.value, phase


def test_the_numbers_are_those_of_the_job():
    told = statistics(remaining_mib=12, iteration=3, memory_rate=41 * MIB, memory_dirty_rate=9 * MIB)
    assert progress.numbers(told) == "pass 3, 12 MiB left, 41.0 MiB/s, dirtying 9.0 MiB/s"
    unmeasured = statistics(remaining_mib=90, iteration=1, memory_rate=41 * MIB, memory_dirty_rate=0)
    assert progress.numbers(unmeasured) == "pass 1, 90 MiB left, 41.0 MiB/s"
    assert (
        progress.numbers(statistics(remaining_mib=12, iteration=None, is_postcopy=True))
        == "post-copy, 12 MiB left"
    )


def test_the_end_is_told_in_one_unit_and_never_as_now():
    told = statistics(remaining_mib=12, iteration=3, memory_rate=41 * MIB, memory_dirty_rate=9 * MIB)
    for eta_s, words in ((0.0, "1 s"), (0.375, "1 s"), (59.5, "60 s"), (121.0, "3 min"), (7_201.0, "3 h")):
        assert progress.numbers(told, eta_s=eta_s).endswith(f", dirtying 9.0 MiB/s, ETA {words}"), eta_s
    assert "ETA" not in progress.numbers(told, eta_s=None)


def test_the_widest_numbers_fit_a_terminal_of_80_columns():
    widest = statistics(
        remaining_mib=123_456, iteration=99, memory_rate=9_999 * MIB, memory_dirty_rate=9_999 * MIB
    )
    assert len(progress.numbers(widest, eta_s=6_000.0)) <= 78


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def draw(*views) -> str:
    stderr = Terminal()
    with display_for(stderr, is_quiet=False) as display:
        for view in views:
            display.show(view)
        display.say("A word [in] between.")
    return stderr.getvalue()


def test_a_terminal_gets_the_bar_with_numbers_beside_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    drawn = draw(transferring(remaining_mib=50, iteration=1, eta_s=11.2))
    assert "web1: moving to compute2" in drawn
    assert "pass 1, 50 MiB left, ETA 12 s" in drawn
    assert "A word [in] between." in drawn


def test_the_seconds_run_on_while_no_newer_view_comes(monkeypatch):
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(bar, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    view = transferring(remaining_mib=50, iteration=1)
    stderr = Terminal()
    with display_for(stderr, is_quiet=False) as display:
        display.show(view)
        clock.now_s += 1000.0
        display.show(view)
    assert f"{view.seconds + 1000.0:.1f} s" in stderr.getvalue()


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    coloured = re.compile(r"\x1b\[[39]\d")  # SGR 30 to 39 and 90 to 97: foreground colours
    assert coloured.search(draw(transferring(remaining_mib=50)))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured.search(draw(transferring(remaining_mib=50)))


def test_a_stderr_that_nobody_looks_at_gets_warnings_only():
    stderr = io.StringIO()
    with display_for(stderr, is_quiet=False) as display:
        assert isinstance(display, Quiet)
        display.show(transferring(remaining_mib=50))
        display.say("Still watching.")
    assert stderr.getvalue() == "Still watching.\n"


def test_whoever_asks_for_quiet_gets_no_bar():
    assert not isinstance(display_for(Terminal(), is_quiet=True), Bar)
