"""Where libvirt and QEMU look for certificates, as packages build them (libvirt.org/tlscerts.html, qemu.conf). Pure.

They are copies, not links: AppArmor lets a guest's QEMU read /etc/pki/qemu and nothing of ours. libvirt's client, which
each source's libvirtd is, cannot be told another place than /etc/pki.
"""

from pathlib import Path
from typing import Final

from compute_agent.libvirt_setup.model import Content, Credentials, Edit

LIBVIRT_AUTHORITY: Final = Path("/etc/pki/CA/cacert.pem")
LIBVIRT_DIRECTORY: Final = Path("/etc/pki/libvirt")
LIBVIRT_SERVER_CERTIFICATE: Final = LIBVIRT_DIRECTORY / "servercert.pem"
QEMU_DIRECTORY: Final = Path("/etc/pki/qemu")
_ENDS: Final = ("server", "client")  # each host is both
_ROOT_ONLY: Final = 0o600
_ROOT_AND_GROUP: Final = 0o640

PATHS: Final = (
    LIBVIRT_AUTHORITY,
    *(LIBVIRT_DIRECTORY / f"{end}cert.pem" for end in _ENDS),
    *(LIBVIRT_DIRECTORY / "private" / f"{end}key.pem" for end in _ENDS),
    QEMU_DIRECTORY / "ca-cert.pem",
    *(QEMU_DIRECTORY / f"{end}-cert.pem" for end in _ENDS),
    *(QEMU_DIRECTORY / f"{end}-key.pem" for end in _ENDS),
)


def key_files(credentials: Credentials, *, qemu_group: str) -> tuple[Edit, ...]:
    """All of them. A guest's QEMU runs as a user of its own, and must read its key."""
    return (*_of_libvirt(credentials), *_of_qemu(credentials, group=qemu_group))


def _of_libvirt(credentials: Credentials) -> tuple[Edit, ...]:
    certificates = [_certificate(LIBVIRT_AUTHORITY, credentials.authority)]
    keys = []
    for end in _ENDS:
        certificates.append(_certificate(LIBVIRT_DIRECTORY / f"{end}cert.pem", credentials.certificate))
        path = LIBVIRT_DIRECTORY / "private" / f"{end}key.pem"
        keys.append(Edit(path=path, text=credentials.key, mode=_ROOT_ONLY, content=Content.KEY))
    return (*certificates, *keys)


def _of_qemu(credentials: Credentials, *, group: str) -> tuple[Edit, ...]:
    certificates = [_certificate(QEMU_DIRECTORY / "ca-cert.pem", credentials.authority)]
    keys = []
    for end in _ENDS:
        certificates.append(_certificate(QEMU_DIRECTORY / f"{end}-cert.pem", credentials.certificate))
        path = QEMU_DIRECTORY / f"{end}-key.pem"
        key = Edit(path=path, text=credentials.key, mode=_ROOT_AND_GROUP, group=group, content=Content.KEY)
        keys.append(key)
    return (*certificates, *keys)


def _certificate(path: Path, text: str) -> Edit:
    return Edit(path=path, text=text, content=Content.CERTIFICATE)
