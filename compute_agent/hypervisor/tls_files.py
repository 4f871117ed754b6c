"""The certificates that a guest's QEMU shows to, and believes of, other hosts (qemu.conf, migrate_tls_x509_cert_dir).

Read anew each time, as QEMU does for each migration; the directory itself libvirtd knows since its start. The keys are
not read: only whether QEMU may.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compute_agent.hypervisor.qemu_conf import setting_in
from compute_agent.subprocesses import User

OWN_DIRECTORY: Final = Path(
    "/etc/pki/libvirt-migrate"
)  # taken where it exists, unless qemu.conf names another
DEFAULT_DIRECTORY: Final = Path("/etc/pki/qemu")
FILE_MAX_BYTES: Final = 100_000
AUTHORITY: Final = "ca-cert.pem"
CERTIFICATES: Final = ("server-cert.pem", "client-cert.pem")  # a host is both, there and back
KEYS: Final = ("server-key.pem", "client-key.pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    directory: Path
    certificate: str = ""  # empty: there is none
    authority: str = ""
    problem: str = ""  # a sentence


def look(qemu_conf: str, *, qemu_uid: int | None, qemu_gid: int | None) -> TlsFiles:
    """Without any of the files there is no problem, and no certificate."""
    directory = directory_in(qemu_conf)
    found, missing = {}, []
    for name in (AUTHORITY, *CERTIFICATES):
        try:
            with (directory / name).open(encoding="ascii", errors="replace") as file:
                found[name] = file.read(FILE_MAX_BYTES)
        except OSError:
            missing.append(name)
    if not found:
        return TlsFiles(directory=directory)
    problem = f"there is no {' and no '.join(missing)} in {directory}." if missing else ""
    if not problem:
        unreadable = [name for name in KEYS if not _may_read(directory / name, qemu_uid, qemu_gid)]
        problem = f"QEMU may not read {' and '.join(unreadable)} in {directory}." if unreadable else ""
    return TlsFiles(
        directory=directory,
        certificate=found.get(CERTIFICATES[0], ""),
        authority=found.get(AUTHORITY, ""),
        problem=problem,
    )


def directory_in(qemu_conf: str) -> Path:
    """As libvirt chooses it: virQEMUDriverConfigSetDefaults."""
    if named := setting_in(qemu_conf, "migrate_tls_x509_cert_dir"):
        return Path(named)
    if OWN_DIRECTORY.is_dir():
        return OWN_DIRECTORY
    return Path(setting_in(qemu_conf, "default_tls_x509_cert_dir") or DEFAULT_DIRECTORY)


def _may_read(path: Path, uid: int | None, gid: int | None) -> bool:
    """By owner, groups and mode; of a QEMU whose user is not known, and of root's, only whether it is there."""
    try:
        found = path.stat()
    except OSError:
        return False
    if uid in (None, 0) or gid is None:
        return True
    mode = stat.S_IMODE(found.st_mode)
    by_owner, by_group = found.st_uid == uid, found.st_gid in User(uid=uid, gid=gid).groups
    wanted = stat.S_IRUSR if by_owner else stat.S_IRGRP if by_group else stat.S_IROTH
    return bool(mode & wanted)
