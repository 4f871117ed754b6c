"""Small files that are there whole or not at all, with their mode from the first byte on: keys, configuration.

When a function here returns, what it has made survives the loss of power.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_new(path: Path, content: str | bytes, *, mode: int) -> None:
    """Raises FileExistsError where one is already, OSError."""
    with _written_beside(path, content, mode=mode) as beside:
        os.link(beside, path)
    sync_directory(path.parent)


def replace(path: Path, content: str | bytes, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write it, or put it in the place of the one that is there; `owner` is (uid, gid). Raises OSError."""
    with _written_beside(path, content, mode=mode, owner=owner) as beside:
        Path(beside).rename(path)
    sync_directory(path.parent)


def make_directories(path: Path, *, mode: int, made: Callable[[Path], object] = lambda _path: None) -> None:
    """Those that are missing, outermost first, with this mode whatever our umask; `made` is told. Raises OSError."""
    if path.is_dir():
        return
    make_directories(path.parent, mode=mode, made=made)
    path.mkdir(mode=mode)
    made(path)
    path.chmod(mode)
    sync_directory(path.parent)


@contextmanager
def _written_beside(
    path: Path, content: str | bytes, *, mode: int, owner: tuple[int, int] | None = None
) -> Iterator[str]:
    """A file in the same directory, and so on the same file system; gone at the end unless it was renamed."""
    number, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        Path(beside).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames and removals in it survive the loss of power. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
