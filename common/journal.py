"""systemd's journal by its own protocol: a line with fields beside it, so that `journalctl MIGRATION=id` is one story.

One datagram a line (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). A line that is longer than a datagram may be would need
a file handed over; ours are cut long before (`log.LINE_MAX_CHARS`).
"""

import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from common import concurrency

SOCKET: Final = Path("/run/systemd/journal/socket")
SEND_TIMEOUT_S: Final = 0.5  # a journal that hangs must not hold a service; the line goes to stderr then
_STDERR: Final = 2
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")  # others are dropped by the journal, without a word


def is_stderr_the_journal(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd joined stderr to the journal (systemd.exec, JOURNAL_STREAM), and nobody has turned it elsewhere."""
    try:
        here = os.fstat(_STDERR)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"


class Journal:
    """The journal's socket. From any native thread, under a lock of the caller's."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path
        self._socket: Any = None

    def send(self, fields: Mapping[str, str]) -> bool:
        """Whether the journal has it. One that was started anew has a new socket under the same name."""
        try:
            if self._socket is None:
                # As it is without eventlet: under the lock of a log handler nothing may yield.
                native = concurrency.native_socket()
                self._socket = native.socket(native.AF_UNIX, native.SOCK_DGRAM | native.SOCK_CLOEXEC)
                self._socket.settimeout(SEND_TIMEOUT_S)
            self._socket.sendto(encode(fields), str(self._path))
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def encode(fields: Mapping[str, str]) -> bytes:
    """One entry; a name that the journal would not take is left out."""
    return b"".join(_encoded(name, value) for name, value in fields.items() if _NAME.fullmatch(name))


def _encoded(name: str, value: str) -> bytes:
    content = value.encode("utf-8", errors="backslashreplace")
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"
