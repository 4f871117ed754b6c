"""Where the value of a libvirt secret that this host lacks could come from: a file of root's here, or the source's libvirtd.

Over a connection that is not encrypted no value is ever asked for.
"""

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from common import concurrency
from common.errors import LimosaError
from compute_agent.hypervisor.secrets import Secret, Secrets, SecretValue

VALUE_MAX_BYTES: Final = 65_536  # libvirt's own limit is below it
LOOK_TIMEOUT_S: Final = 5.0
_ENCRYPTED: Final = ("tls", "ssh", "libssh", "libssh2")  # libvirt.org/uri.html
_ROOT: Final = 0


class SecretFileError(LimosaError):
    message = "{path}: {reason}"
    hint = "It must be root's alone: `chown root:root` and `chmod 0600`, its directory 0700."


class SecretUnavailableError(LimosaError):
    message = "The libvirt secret {secret} is not here any more, and cannot be had: {reason}"
    hint = "Define it here, or put its value into [volumes]secrets_path."


class Origin(StrEnum):
    HERE = "here"  # this libvirtd has it
    FILE = "file"
    PEER = "peer"  # the source's libvirtd may tell it
    PRIVATE = "private"  # and tells it to nobody
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSources:
    """For ordinary threads."""

    path: Path  # [volumes]secrets_path
    secrets: Secrets

    def origin(self, name: str, *, uri: str) -> Origin:
        """`uri`: of the source's libvirtd; empty: not known. Reads no value. Raises SecretFileError, HypervisorError."""
        here = self.secrets.secret(name)
        if here is not None and here.has_value:
            return Origin.HERE
        if self._has_file(name):
            return Origin.FILE
        if not is_encrypted(uri):
            return Origin.NONE
        there = self.secrets.secret_at(uri, name)
        if there is None or not there.has_value:
            return Origin.NONE
        return Origin.PRIVATE if there.is_private else Origin.PEER

    def read(self, name: str, *, uri: str) -> tuple[Secret, SecretValue]:
        """The secret and its value, to be defined here.

        Raises SecretUnavailableError, SecretFileError, HypervisorError.
        """
        if self._has_file(name):
            kept = concurrency.call_blocking(_read, self.path / name, timeout_s=LOOK_TIMEOUT_S)
            # Whoever comes by here next reads the file of his own host: no need to let this one be read.
            return Secret(uuid=name, is_private=True), kept
        if not is_encrypted(uri):
            raise SecretUnavailableError(
                secret=name, reason="the way to the source's libvirtd is not encrypted"
            )
        there, value = self.secrets.secret_at(uri, name), self.secrets.secret_value_at(uri, name)
        if there is None or value is None:
            raise SecretUnavailableError(secret=name, reason="the source's libvirtd does not tell it")
        return there, value

    def _has_file(self, name: str) -> bool:
        return _is_plain(name) and concurrency.call_blocking(
            _is_there, self.path / name, timeout_s=LOOK_TIMEOUT_S
        )


def is_encrypted(uri: str) -> bool:
    return urlsplit(uri).scheme.partition("+")[2] in _ENCRYPTED


def _is_plain(name: str) -> bool:
    """A uuid: a usage may hold anything, and is no name of a file."""
    return bool(name) and all(character in "0123456789abcdefABCDEF-" for character in name)


# ---- in native threads


def _is_there(path: Path) -> bool:
    try:
        _refuse_if_unsafe(path, path.lstat())
        _refuse_if_unsafe(path.parent, path.parent.lstat(), allowed=0o755)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SecretFileError(path=path, reason=str(error.strerror)) from error
    return True


def _read(path: Path) -> SecretValue:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            _refuse_if_unsafe(path, os.fstat(file.fileno()))
            data = file.read(VALUE_MAX_BYTES + 1)
    except OSError as error:
        raise SecretFileError(path=path, reason=str(error.strerror)) from error
    if not 0 < len(data) <= VALUE_MAX_BYTES:
        raise SecretFileError(path=path, reason=f"it must have 1 to {VALUE_MAX_BYTES} bytes")
    return SecretValue(data=data)


def _refuse_if_unsafe(path: Path, found: os.stat_result, *, allowed: int = 0o600) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise SecretFileError(path=path, reason="it is a link")
    if found.st_uid != _ROOT:
        raise SecretFileError(path=path, reason=f"it belongs to user {found.st_uid}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~allowed:
        raise SecretFileError(path=path, reason=f"its mode is {mode:04o}")
