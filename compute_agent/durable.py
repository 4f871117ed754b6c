"""Small files that must survive: replaced in one piece, and on the disk when a rule needs them there.

These calls block their thread, under eventlet all of them, for the time of an fsync. That is on purpose: a ledger must
not wait behind calls to a libvirtd that hangs, and a write given up half way might still replace a newer one.
"""

import os
from pathlib import Path

from common.new_files import sync_directory

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
PASSABLE_DIRECTORY = 0o711  # the conductor's own may stand below it, with another owner
TEMPORARY_SUFFIX = ".tmp"


def make_state_directory(path: Path) -> None:
    """The directory that all others stand in. Raises FileNotFoundError where its parent is missing.

    A path that is mistyped, or a disk that is not mounted, must not become a state that is new and empty.
    """
    path.mkdir(mode=PASSABLE_DIRECTORY, exist_ok=True)


def make_directory(path: Path) -> None:
    """A directory in that, for root only; what is in it after a crash of a write is removed."""
    path.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    for leftover in path.glob(f"*{TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def write(path: Path, text: str, *, is_synced: bool = True) -> None:
    """Replace the file: a reader, or a restart, finds the old text or the new one.

    With `is_synced` the new one also survives the loss of power from here on. Without it, a loss of power may bring
    the old one back, but never half of one: the data is on the disk before the name is.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if is_synced:
        sync_directory(path.parent)


def write_many(texts: dict[Path, str]) -> None:
    """The same for files that nobody has read yet, with one sync for all of them."""
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        path.chmod(PRIVATE_FILE)
    os.sync()
