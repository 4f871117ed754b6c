"""A migration that a client watches in a process of its own: quick, but not at once, so that a bar is drawn."""

import time
from collections.abc import Iterator

from common.migration import JobStatistics, Progress
from common.states import MigrationStatus, Phase
from common.views import MigrationView
from tests.fakes.conductor import INSTANCE, MIGRATION, FakeConductor, migration_view
from tests.fakes.migrations import COMPLETED, MIB

STEP_S = 0.05


def moving(*, is_endless: bool) -> FakeConductor:
    """The way of an undisturbed migration; an endless one stays in its transfer."""
    return FakeConductor(
        migrations=(migration_view(),),
        script=_way(is_endless=is_endless),
        on_poll=lambda timeout_s: time.sleep(timeout_s),
    )


def _way(*, is_endless: bool) -> Iterator[MigrationView]:
    for phase in (Phase.CHECK_SOURCE, Phase.PRE):
        time.sleep(STEP_S)
        yield migration_view(phase=phase)
    for sequence, (passed, left_mib) in enumerate(((1, 90), (1, 40), (2, 12)), start=1):
        time.sleep(STEP_S)
        yield migration_view(
            phase=Phase.LIVE, status=MigrationStatus.RUNNING, progress=_told(sequence, passed, left_mib)
        )
    if is_endless:
        return
    time.sleep(STEP_S)
    yield migration_view(phase=Phase.POST_DEST, status=MigrationStatus.RUNNING)
    time.sleep(STEP_S)
    yield COMPLETED


def _told(sequence: int, passed: int, left_mib: int) -> Progress:
    statistics = JobStatistics(
        memory_total=100 * MIB,
        memory_remaining=left_mib * MIB,
        memory_rate=41 * MIB,
        memory_dirty_rate=9 * MIB,
        iteration=passed,
    )
    return Progress(
        instance=INSTANCE,
        migration=MIGRATION,
        epoch=1,
        host="compute1",
        sequence=sequence,
        statistics=statistics,
        eta_s=left_mib / 32,
    )
