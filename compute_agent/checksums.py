"""What is in a file, as a SHA-256: read once, and remembered for as long as the file is not touched."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from compute_agent.long_work import LONG_WORK, LongWork, Watch

PIECE_BYTES: Final = 2**20
REMEMBERED_MAX: Final = 1_000  # files


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Equal for files that a guest cannot tell from one another."""

    size_bytes: int
    sha256: str


class Checksums:
    """For ordinary threads; the reading is done in native ones."""

    def __init__(self, work: LongWork = LONG_WORK) -> None:
        self._work = work
        self._known: OrderedDict[tuple[int, ...], Content] = OrderedDict()

    def of(self, path: str, *, is_stopped: Callable[[], bool] = lambda: False) -> Content:
        """Of a regular file, or a block device. Raises OSError, WorkStoppedError, StorageSilentError."""
        identity, content = self._work.run(
            lambda watch: _read(path, watch, self._known), what=path, is_stopped=is_stopped
        )
        self._known[identity] = content
        self._known.move_to_end(identity)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return content


def _read(
    path: str, watch: Watch, known: "OrderedDict[tuple[int, ...], Content]"
) -> tuple[tuple[int, ...], Content]:
    """In a native thread. A file that is written meanwhile is found to be another one by whoever compares."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:  # noqa: PTH123
        status = os.fstat(file.fileno())
        # A change of content changes at least ctime, which nobody can set.
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        found = known.get(identity) if status.st_size else None
        if found is not None:
            return identity, found
        digest, size_bytes = hashlib.sha256(), 0
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
            watch.advance(len(piece))
    return identity, Content(size_bytes=size_bytes, sha256=digest.hexdigest())
