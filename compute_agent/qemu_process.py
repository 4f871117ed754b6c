"""What the process of a guest's QEMU tells that libvirt does not: its command line, which libvirt has written."""

from itertools import pairwise
from pathlib import Path

PROCESSES = Path("/proc")


def was_begun_for_incoming(uuid: str, *, processes: Path = PROCESSES) -> bool | None:
    """Whether it was started to take over a guest's state, of a migration or of a saved guest; None: it is not found.

    Blocks, so for a native thread: /proc may hang with the process.
    """
    answers = [
        b"-incoming" in arguments
        for arguments in map(_arguments, processes.glob("[0-9]*/cmdline"))
        if (b"-uuid", uuid.encode()) in pairwise(arguments)
    ]
    return any(answers) if answers else None


def _arguments(command_line: Path) -> list[bytes]:
    try:
        return command_line.read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not for us to read
        return []
