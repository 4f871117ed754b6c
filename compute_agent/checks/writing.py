"""On both hosts: whether the agent may write what must survive it. A guest is not begun to be moved without that.

What is tried leaves nothing: a file that never has a name (open(2), O_TMPFILE). Where the file system knows none (NFS), the
permissions are asked; that the disk is full is not seen there.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from common import concurrency
from common.checks import Finding
from common.place_checks import STATE_NOT_WRITABLE
from compute_agent.checks.running import Look

WRITE_TIMEOUT_S = 5.0
_KEPT = ("ledger", "permits", "arrivals")  # below state_path
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR)


def check_writing(look: Look) -> Iterator[Finding]:
    state_path = look.settings.state_path
    for path in (state_path, *(state_path / name for name in _KEPT)):
        if path == state_path or path.exists():
            reason = why_not_written(path)
            if reason:
                yield STATE_NOT_WRITABLE.finding(look.settings.host, path=path, reason=reason)


def why_not_written(directory: Path) -> str:
    """Empty where this process may make a file there, with a block of data in it."""
    try:
        concurrency.call_blocking(_try, directory, timeout_s=WRITE_TIMEOUT_S)
    except OSError as error:
        return error.strerror or str(error)
    except concurrency.BlockingCallTimeout:
        return f"no answer within {WRITE_TIMEOUT_S:g} s"
    return ""


def _try(directory: Path) -> None:
    try:
        descriptor = os.open(directory, os.O_WRONLY | os.O_TMPFILE, 0o600)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        if not os.access(directory, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES)) from error
        return
    try:
        os.write(descriptor, bytes(4096))
    finally:
        os.close(descriptor)
