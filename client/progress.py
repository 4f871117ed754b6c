"""How far a migration has come: one number that never goes backwards, and the honest ones beside it.

Pure. The number is for the eye. It is made of the phases' shares, which are rough, and within the transfer of
the memory still to be sent, which may well grow; so the share of each further pass is half of what is left.
"""

import math
from collections.abc import Iterator, Mapping

from common.migration import JobStatistics
from common.states import MigrationStatus, Phase
from common.views import MigrationView

MIB = 1024 * 1024

# Where the bar stands at least when a phase begins. Phases that are not named (doubt, undo) leave it where it is.
_STARTS: Mapping[Phase, float] = {
    Phase.CHECK_DEST: 0.0,
    Phase.CHECK_SOURCE: 0.04,
    Phase.PRE: 0.08,
    Phase.LIVE: 0.12,
    Phase.WATCH: 0.12,
    Phase.POST_DEST: 0.86,
    Phase.POST_SOURCE: 0.94,
}
_TRANSFERS = (Phase.LIVE, Phase.WATCH)
_TRANSFER_SHARE = _STARTS[Phase.POST_DEST] - _STARTS[Phase.LIVE]
_DISKS_SHARE = 0.6  # of the transfer, where disks are copied
_FIRST_PASS_SHARE = 0.8  # of the transfer; an idle guest needs little more than one pass

_LABELS: Mapping[Phase, str] = {
    Phase.CHECK_DEST: "checking {dest}",
    Phase.CHECK_SOURCE: "checking {source}",
    Phase.PRE: "preparing {dest}",
    Phase.LIVE: "moving to {dest}",
    Phase.WATCH: "moving to {dest}",
    Phase.OBSERVE_SOURCE: "asking {source}",
    Phase.ABORT_SOURCE: "aborting on {source}",
    Phase.OBSERVE_DEST: "asking {dest}",
    Phase.RESUME_SOURCE: "resuming on {source}",
    Phase.RECOVER_POSTCOPY: "recovering post-copy",
    Phase.ROLLBACK: "undoing on {dest}",
    Phase.POST_DEST: "completing on {dest}",
    Phase.POST_SOURCE: "cleaning {source}",
    Phase.REAP_SOURCE: "ending the stale copy on {source}",
    Phase.ALARM: "an operator must act",
}


class Course:
    """Follow one migration; `position` is between 0 and 1, and 1 only for a completed one."""

    def __init__(self) -> None:
        self.position = 0.0

    def advance(self, view: MigrationView) -> float:
        """Take the newest view and return the position, never a smaller one than before."""
        self.position = max(self.position, _position(view))
        return self.position


def label(view: MigrationView) -> str:
    """What is being done now, in the fewest words."""
    if view.status.is_final:
        return view.status.value
    template = _LABELS.get(view.phase, view.phase.value)
    return template.format(source=view.source, dest=view.dest or "a host")


def numbers(statistics: JobStatistics, *, eta_s: float | None = None) -> str:
    """Pass, what remains, rate and dirty rate of a running job as far as libvirt tells them, and when it may end.

    Without `eta_s` the end is not in sight: the guest dirties its memory faster than it can be sent.
    """
    if not statistics.memory_total and not statistics.disk_total:
        return "starting"  # libvirt has counted nothing yet
    parts = ["post-copy"] if statistics.is_postcopy else []
    if statistics.disk_remaining:
        left, total = statistics.disk_remaining / MIB, statistics.disk_total / MIB
        parts.append(f"{left:.0f} of {total:.0f} MiB of disks left")
    if statistics.memory_total:
        parts += _memory_numbers(statistics)
    if eta_s is not None:
        parts.append(f"ETA {duration(eta_s)}")
    return ", ".join(parts)


def _memory_numbers(statistics: JobStatistics) -> Iterator[str]:
    if statistics.iteration is not None:
        yield f"pass {statistics.iteration}"
    yield f"{statistics.memory_remaining / MIB:.0f} MiB left"
    if statistics.memory_rate is not None:
        yield f"{statistics.memory_rate / MIB:.1f} MiB/s"
    # QEMU measures it between two passes: until the first has ended its 0 says nothing.
    if statistics.memory_dirty_rate is not None and statistics.iteration != 1:
        yield f"dirtying {statistics.memory_dirty_rate / MIB:.1f} MiB/s"


def duration(seconds: float) -> str:
    """A guess in one unit, rounded up: nobody is told that what still runs takes no time.

    >>> [duration(seconds) for seconds in (0.0, 0.2, 119.5, 121.0, 7_201.0)]
    ['1 s', '1 s', '120 s', '3 min', '3 h']
    """
    for unit_s, unit, up_to_s in ((1, "s", 120.0), (60, "min", 7_200.0)):
        if seconds <= up_to_s:
            return f"{max(1, math.ceil(seconds / unit_s))} {unit}"
    return f"{math.ceil(seconds / 3_600)} h"


def is_transferring(view: MigrationView) -> bool:
    """Whether the numbers of the last progress are still those of a running job."""
    return view.phase in _TRANSFERS and not view.status.is_final


def _position(view: MigrationView) -> float:
    if view.status is MigrationStatus.COMPLETED:
        return 1.0
    start = _STARTS.get(view.phase, 0.0)
    if is_transferring(view) and view.progress is not None:
        return start + _TRANSFER_SHARE * _transferred(view.progress.statistics)
    return start


def _transferred(statistics: JobStatistics) -> float:
    """The share of the transfer that is done. Disks are sent before the memory, which libvirt has not counted by then."""
    if not statistics.disk_total:
        return _memory_transferred(statistics)
    copied = 1.0 - min(1.0, statistics.disk_remaining / statistics.disk_total)
    return _DISKS_SHARE * copied + (1.0 - _DISKS_SHARE) * _memory_transferred(statistics)


def _memory_transferred(statistics: JobStatistics) -> float:
    """Pass 1 covers 0 to 0.8, pass 2 up to 0.9, pass 3 up to 0.95, and so on: it always moves and never arrives."""
    if statistics.memory_total <= 0:
        return 0.0
    in_pass = 1.0 - min(1.0, statistics.memory_remaining / statistics.memory_total)
    done = 0.0
    share = _FIRST_PASS_SHARE
    if statistics.iteration is not None and statistics.iteration > 1:
        share = (1.0 - _FIRST_PASS_SHARE) / 2.0 ** (statistics.iteration - 1)
        done = 1.0 - 2.0 * share
    return done + share * in_pass
