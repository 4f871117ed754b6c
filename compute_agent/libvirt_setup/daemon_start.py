"""When libvirt's daemons were started: whether one of them can have read what was written."""

import os
from pathlib import Path
from typing import Final

from compute_agent.libvirt_setup.model import Daemon

_STARTED_AT_FIELD: Final = 22  # of /proc/PID/stat (proc(5)), in clock ticks since the boot


def have_started_since(daemon: Daemon, moment: float, *, root: Path) -> bool:
    """Whether one runs that was started after it, and none from before. One that does not run will read all of it."""
    names = dict.fromkeys((daemon.value, daemon.of_guests))
    found = [started_at(name, run=root / "run", proc=root / "proc") for name in names]
    known = [one for one in found if one is not None]
    return bool(known) and min(known) > moment


def started_at(name: str, *, run: Path, proc: Path) -> float | None:
    """Of the daemon of this name, by its pid file; None where it does not run, or it cannot be told. Up to 1 s early."""
    try:
        pid = int((run / f"{name}.pid").read_text(encoding="ascii"))
        after_name = (
            (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        )
        ticks = int(after_name.split()[_STARTED_AT_FIELD - 3])  # two fields stand before it
        booted_at = next(
            int(line.split()[1])
            for line in (proc / "stat").read_text(encoding="ascii").splitlines()
            if line.startswith("btime ")
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return booted_at + ticks / os.sysconf("SC_CLK_TCK")
