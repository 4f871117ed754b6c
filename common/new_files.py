"""Small files that are there whole or not at all, with their mode from the first byte on: keys, configuration."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_new(path: Path, text: str, *, mode: int) -> None:
    """Raises FileExistsError where one is already, OSError."""
    with _written_beside(path, text, mode=mode) as beside:
        os.link(beside, path)


def replace(path: Path, text: str, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write it, or put it in the place of the one that is there; `owner` is (uid, gid). Raises OSError."""
    with _written_beside(path, text, mode=mode) as beside:
        if owner is not None:
            os.chown(beside, *owner)
        Path(beside).rename(path)


def make_directory(path: Path, *, mode: int) -> None:
    """With this mode, whatever the umask of whoever runs it. Raises OSError, FileExistsError where one is already."""
    path.mkdir(mode=mode)
    path.chmod(mode)


@contextmanager
def _written_beside(path: Path, text: str, *, mode: int) -> Iterator[str]:
    """A file in the same directory, and so on the same file system; gone at the end unless it was renamed."""
    number, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        Path(beside).unlink(missing_ok=True)
