"""The files that make this host a member, and what is found there before it becomes one."""

import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oslo_config import cfg

from common import certificates, credentials, new_files
from common.errors import LimosaError, describe_os_error

PUBLIC_MODE: Final = 0o644
SECRET_MODE: Final = 0o600
CONFIG_MODE: Final = 0o640  # it holds the broker's password
DIRECTORY_MODE: Final = 0o755


class FileRefusedError(LimosaError):
    message = "{path} cannot be written: {reason}."
    hint = "Run it as root, and look whether the file system may be written; then run the same command again."


class ForeignFileError(LimosaError):
    message = "{path} is there already, and is of something else: {reason}."
    hint = (
        "Move it away if it is not needed. Of an earlier membership `limosa-compute-agent leave` removes it."
    )
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    config_file: Path
    host_key: Path  # of messages
    conductor_public_key: Path
    authority: Path
    certificate: Path
    certificate_key: Path

    @classmethod
    def of(cls, conf: cfg.ConfigOpts, *, config_file: Path) -> "Places":
        return cls(
            config_file=config_file,
            host_key=credentials.key_path(conf, "host_key"),
            conductor_public_key=credentials.key_path(conf, "conductor_public_key"),
            authority=Path(conf.pki.ca_certificate),
            certificate=Path(conf.pki.host_certificate),
            certificate_key=Path(conf.pki.host_key),
        )

    @property
    def all(self) -> tuple[Path, ...]:
        return (
            self.config_file,
            self.host_key,
            self.conductor_public_key,
            self.authority,
            self.certificate,
            self.certificate_key,
        )

    @property
    def own(self) -> tuple[Path, ...]:
        """Worth nothing to anybody once the host has left; the others may be a controller's, too."""
        return (self.host_key, self.certificate, self.certificate_key)

    def refuse_foreign(self, *, authority_pem: str, conductor_public_pem: str) -> None:
        """Raise ForeignFileError for what another installation has left, or this machine's own as a controller of it."""
        for path, pem, what in (
            (self.authority, authority_pem, "another CA's certificate"),
            (self.conductor_public_key, conductor_public_pem, "the key of other conductors"),
        ):
            if os.path.lexists(path) and path.read_text(errors="replace") != pem:
                raise ForeignFileError(path=path, reason=what)
        if os.path.lexists(self.certificate) and not _is_issued_by(self.certificate, authority_pem):
            raise ForeignFileError(path=self.certificate, reason="another CA has issued it")


def make_directories(paths: Places, undo: ExitStack) -> None:
    """And find out that they may be written, before anybody is asked for anything; raises FileRefusedError."""
    for path in paths.all:
        try:
            new_files.make_directories(
                path.parent, mode=DIRECTORY_MODE, made=lambda made: undo.callback(_remove_if_empty, made)
            )
            probe = path.with_name(f".{path.name}.probe")
            new_files.replace(probe, "", mode=SECRET_MODE)
            probe.unlink()
        except OSError as error:
            raise FileRefusedError(path=path, reason=_reason(error)) from error


def write(path: Path, text: str, *, mode: int, undo: ExitStack) -> None:
    """Undoing brings back what was there, or nothing. Whoever owned it owns it. Raises FileRefusedError."""
    try:
        if os.path.lexists(path):
            before, found = path.read_text(), path.stat()
            owner = (found.st_uid, found.st_gid)
            new_files.replace(path, text, mode=mode, owner=owner)
            old_mode = stat.S_IMODE(found.st_mode)
            undo.callback(new_files.replace, path, before, mode=old_mode, owner=owner)
        else:
            new_files.replace(path, text, mode=mode)
            undo.callback(path.unlink, missing_ok=True)
    except OSError as error:
        raise FileRefusedError(path=path, reason=_reason(error)) from error


def _remove_if_empty(path: Path) -> None:
    """A key that is kept stays where it is."""
    with suppress(OSError):
        path.rmdir()


def _is_issued_by(path: Path, authority_pem: str) -> bool:
    try:
        return certificates.is_issued_by(path.read_text(errors="replace"), authority_pem=authority_pem)
    except certificates.CertificateError:
        return False


def _reason(error: OSError) -> str:
    return error.strerror or describe_os_error(error)
