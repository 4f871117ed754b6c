"""On the source: which other guests of the host use an image, so that it is not taken away from under them.

A guest that runs says all that it stands on; of one that is off only the disks' own images are in its definition, and what
they stand on is in their headers.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from common.facts import DiskFacts, GuestFacts
from compute_agent.storage import qcow2
from compute_agent.storage.gate import GATE

LOOK_TIMEOUT_S = 20.0
CHAIN_MAX: Final = 64  # images below each other; libvirt itself follows 200


def users_of(path: str, guests: Iterable[GuestFacts]) -> tuple[str, ...]:
    """The names of those that have this image, or stand on it. Raises StorageSilentError."""
    return GATE.look(_users_of, path, tuple(guests), timeout_s=LOOK_TIMEOUT_S, what=path)


# ---- in a native thread


def _users_of(path: str, guests: tuple[GuestFacts, ...]) -> tuple[str, ...]:
    real = os.path.realpath(path)
    return tuple(
        guest.name
        for guest in guests
        if any(os.path.realpath(used) == real for disk in guest.disks for used in _images(disk))
    )


def _images(disk: DiskFacts) -> Iterator[str]:
    if not disk.source.startswith("/"):
        return
    yield disk.source
    yield from (path for _, path in disk.layers)
    if not disk.layers and disk.format == "qcow2":
        yield from _named_in_headers(disk.source)


def _named_in_headers(path: str) -> Iterator[str]:
    for _ in range(CHAIN_MAX):
        try:
            with Path(path).open("rb") as file:
                header = qcow2.read(file.read(qcow2.HEADER_MAX_BYTES))
        except (OSError, ValueError):
            return  # the guest could not be started from it either
        if not header.backing:
            return
        path = str(Path(path).parent / _file_in(header.backing))
        yield path
        if header.backing_format not in ("", "qcow2"):
            return


def _file_in(backing: str) -> str:
    """The file that a header names plainly, after `file:`, or in the JSON that QEMU takes for a name; as it is otherwise."""
    if not backing.startswith("json:"):
        return backing.removeprefix("file:")
    try:
        named = json.loads(backing.removeprefix("json:"))
    except ValueError:
        return backing
    waiting = [named] if isinstance(named, dict) else []
    while waiting:
        for key, value in waiting.pop().items():
            if key.rpartition(".")[2] == "filename" and isinstance(value, str):
                return value
            if isinstance(value, dict) and key != "backing":
                waiting.append(value)
    return backing
