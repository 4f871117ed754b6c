"""How much room there is where an image would be made.

| image | place | free | taken |
|---|---|---|---|
| file | the file system of its directory, or of the next one above that exists | what may still be written | bit by bit |
| logical volume | its volume group | extents that are not given out | when it is made |
| thin volume | its pool | not looked at: it may be larger than its pool | bit by bit |
| zvol | the dataset above it | what ZFS calls available | when it is made, or bit by bit |
"""

import os
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 512  # of st_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Images of one `key` take of the same room. `place` is for a sentence."""

    key: str
    place: str
    free_bytes: int
    file: str = ""  # what takes of it bit by bit; empty: an image has its room when it is made


def of_file(path: str) -> Room:
    """In a native thread. Raises OSError."""
    directory = Path(path).parent
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    found = os.statvfs(directory)
    return Room(
        key=f"device {directory.stat().st_dev}",
        place=f"the file system of {directory}",
        free_bytes=found.f_bavail * found.f_frsize,
        file=path,
    )


def taken_bytes(path: str) -> int:
    """What a file takes of its file system now; 0 where there is none. In a native thread. Raises OSError."""
    try:
        return Path(path).stat().st_blocks * BLOCK_BYTES
    except (FileNotFoundError, NotADirectoryError):
        return 0
