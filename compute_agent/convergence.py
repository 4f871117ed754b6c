"""How a migration that runs is tuned: Nova's downtime ramp, the completion timeout, and a guess at the end. Pure.

The longest pause that is allowed for the hand-over grows in steps, since a guest that dirties its memory faster than it
can be sent never converges otherwise. With the defaults (500 ms, 10 steps, 75 s for each GiB) and a guest of 4 GiB:

    delay = 75 s * 4 = 300 s, first = 500 ms / 10 = 50 ms, increase = (500 - 50) ms / 10 = 45 ms
    after 0 s: 50 ms, after 300 s: 95 ms, after 600 s: 140 ms, ... after 3,000 s: 500 ms

Memory counts as at least 2 GiB, and disks that are copied count like memory. The time is that of the job itself, so that
an agent which was restarted goes on where the one before it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from common.migration import JobStatistics
from compute_agent.settings import LiveMigrationSettings

GIB = 2**30
MEMORY_MIN_GIB = 2.0
MS_PER_S = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What the policy says of a job at one moment."""

    downtime_max_ms: int | None  # None: before the first step, libvirt's own holds
    is_overdue: bool  # the completion timeout has passed: give it up
    eta_s: float | None


def steer(settings: LiveMigrationSettings, statistics: JobStatistics) -> Steering:
    """What is to be done about a job that says this of itself."""
    elapsed_s = statistics.elapsed_ms / MS_PER_S
    data_gib = counted_memory_gib(statistics.memory_total) + statistics.disk_total / GIB
    passed = [ms for after_s, ms in downtime_steps(settings, data_gib=data_gib) if elapsed_s > after_s]
    timeout_s = settings.completion_timeout_s * data_gib
    return Steering(
        downtime_max_ms=passed[-1] if passed else None,
        is_overdue=0 < timeout_s < elapsed_s and not statistics.is_postcopy,
        eta_s=eta_s(statistics),
    )


def downtime_steps(settings: LiveMigrationSettings, *, data_gib: float) -> Iterator[tuple[int, int]]:
    """(seconds after the start, allowed pause in ms), the first at 0 s, the last with the full pause."""
    delay_s = int(settings.downtime_delay_s * data_gib)
    first_ms = settings.downtime_max_ms / settings.downtime_steps
    increase_ms = (settings.downtime_max_ms - first_ms) / settings.downtime_steps
    for step in range(settings.downtime_steps + 1):
        yield delay_s * step, int(first_ms + increase_ms * step)


def counted_memory_gib(memory_bytes: int) -> float:
    return max(memory_bytes / GIB, MEMORY_MIN_GIB)


def eta_s(statistics: JobStatistics) -> float | None:
    """Seconds until what is left is sent at today's rates; None while it grows faster than that, or is not told.

    libvirt sends the disks first, and counts no memory until they have caught up: till then it is the end of the disks that
    is told. 600 MiB of disks, 200 MiB of them sent in 4 s: 400 / 50 = 8 s.
    """
    if statistics.disk_remaining and not statistics.memory_total:
        rate = statistics.disk_processed * MS_PER_S / max(1, statistics.elapsed_ms)
        return statistics.disk_remaining / rate if rate else None
    if statistics.memory_rate is None:
        return None
    gain = statistics.memory_rate - (statistics.memory_dirty_rate or 0)
    return statistics.memory_remaining / gain if gain > 0 else None
