"""A process that cannot be confused with another one that got its pid later."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_START_TIME_FIELD = 22  # of /proc/PID/stat, see proc(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A pid, as seen from outside the namespaces, with its start time in clock ticks since boot."""

    pid: int
    start_time_ticks: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Return the running process with this pid; raises LabError when there is none."""
        state = _state_and_start_time(pid)
        if state is None:
            raise LabError(f"there is no process {pid}")
        return cls(pid=pid, start_time_ticks=state[1])

    def is_alive(self) -> bool:
        """Tell whether it still runs. A zombie is dead: who reaps it, and when, is not our business."""
        state = _state_and_start_time(self.pid)
        return state is not None and state[0] not in "ZX" and state[1] == self.start_time_ticks

    def is_paused(self) -> bool:
        """Tell whether SIGSTOP has taken hold."""
        state = _state_and_start_time(self.pid)
        return state is not None and state == ("T", self.start_time_ticks)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to exactly this process; raises LabError when it is gone."""
        with contextlib.suppress(ProcessLookupError), _pidfd(self.pid) as pidfd:
            # The pidfd pins the process, so that a check made after opening it cannot become stale.
            if self.is_alive():
                signal.pidfd_send_signal(pidfd, signal_number)
                return
        raise LabError(f"process {self.pid} is not running any more")

    def wait_until_gone(self, *, timeout_s: float) -> bool:
        """Wait for its end; False when it still runs after timeout_s."""
        try:
            with _pidfd(self.pid) as pidfd:
                if not self.is_alive():
                    return True
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                return bool(poll.poll(timeout_s * 1000))
        except ProcessLookupError:
            return True


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def processes_in_pid_namespace(init_pid: int) -> dict[int, Process]:
    """Return the processes that live in the pid namespace of init_pid, by their pid inside it."""
    wanted = _pid_namespace(init_pid)
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or wanted is None or _pid_namespace(int(entry.name)) != wanted:
            continue
        with contextlib.suppress(OSError, LabError):
            found[_innermost_pid(entry)] = Process.of(int(entry.name))
    return found


def command_name(process: Process) -> str:
    """Return what /proc/PID/comm says ("beam.smp"); empty when the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process.pid}/comm").read_text().strip()
    return ""


def _pid_namespace(pid: int) -> str | None:
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return None


def _innermost_pid(entry: Path) -> int:
    for line in (entry / "status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    raise LabError(f"{entry}/status has no NSpid line: the kernel lacks pid namespaces")


def _state_and_start_time(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the command in parentheses and may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[_START_TIME_FIELD - 3])
