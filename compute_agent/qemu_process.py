"""What the process of a guest's QEMU tells that libvirt does not: its command line, and the files that it has open."""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path

PROCESSES = Path("/proc")
OPEN_FILES_MAX = 10_000  # of one process; a QEMU has some tens, and one for each queue of its interfaces

FileNumber = tuple[int, int]
"""Device and inode: the same file under any name, or none."""


def was_begun_for_incoming(uuid: str, *, processes: Path = PROCESSES) -> bool | None:
    """Whether it was started to take over a guest's state, of a migration or of a saved guest; None: it is not found.

    Blocks, so for a native thread: /proc may hang with the process.
    """
    answers = [b"-incoming" in _arguments(process / "cmdline") for process in _of_guest(uuid, processes)]
    return any(answers) if answers else None


def open_files(uuid: str, *, processes: Path = PROCESSES) -> frozenset[FileNumber] | None:
    """The files that it has open; None: it is not found, or they are not for us to see. Blocks likewise."""
    for process in _of_guest(uuid, processes):
        with suppress(OSError):
            return frozenset(_open_in(process))
    return None


def _open_in(process: Path) -> Iterator[FileNumber]:
    for descriptor in islice((process / "fd").iterdir(), OPEN_FILES_MAX):
        with suppress(OSError):  # closed meanwhile
            found = os.stat(descriptor)  # noqa: PTH116 (follows the link to the file itself, whatever its name has become)
            yield found.st_dev, found.st_ino


def _of_guest(uuid: str, processes: Path) -> Iterator[Path]:
    for process in processes.glob("[0-9]*"):
        if (b"-uuid", uuid.encode()) in pairwise(_arguments(process / "cmdline")):
            yield process


def _arguments(command_line: Path) -> list[bytes]:
    try:
        return command_line.read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not for us to read
        return []
