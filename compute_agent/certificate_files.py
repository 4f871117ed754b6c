"""Which certificates this host uses, and for what: libvirt's own defaults, or what its files name instead. Pure.

Sources: libvirt.org/tlscerts.html, libvirtd.conf (ca_file, cert_file), qemu.conf (default_tls_x509_cert_dir,
migrate_tls_x509_cert_dir), and the files that every host of Limosa has. The client's of libvirt have fixed places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from compute_agent.hypervisor.qemu_conf import setting_in

LIBVIRT_AUTHORITY: Final = Path("/etc/pki/CA/cacert.pem")
LIBVIRT_SERVER: Final = Path("/etc/pki/libvirt/servercert.pem")
LIBVIRT_CLIENT: Final = Path("/etc/pki/libvirt/clientcert.pem")
QEMU_DIRECTORY: Final = Path("/etc/pki/qemu")
LIMOSA_DIRECTORY: Final = Path("/etc/limosa/pki")

_OF_LIBVIRT: Final = "limosa-compute-agent libvirt-setup --transport tls --apply"
_OF_LIMOSA: Final = "limosa-compute-agent renew-certificate"
_TLS_SCHEME: Final = "+tls://"
_TLS_FLAG: Final = "VIR_MIGRATE_TLS"


class End(StrEnum):
    """Of a connection between two hosts."""

    SERVER = "server"  # the dest
    CLIENT = "client"  # the source
    BUS = "bus"  # neither: RabbitMQ's


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFile:
    path: Path
    authority: Path
    end: End
    use: str
    command: str  # makes it anew
    is_needed: bool  # else it is looked at where it is there


def certificate_files(
    *, peer_uri: str, flags: Sequence[str], libvirtd_conf: str, qemu_conf: str
) -> tuple[CertificateFile, ...]:
    """`peer_uri`: how this host's libvirtd calls others'; the texts are those of libvirt's files here."""
    by_tls = _TLS_SCHEME in peer_uri
    authority = _path(libvirtd_conf, "ca_file", LIBVIRT_AUTHORITY)
    directory = _path(qemu_conf, "default_tls_x509_cert_dir", QEMU_DIRECTORY)
    directory = _path(qemu_conf, "migrate_tls_x509_cert_dir", directory)
    encrypts = _TLS_FLAG in flags
    libvirt, qemu = "libvirtd's connections between hosts", "the streams of memory and disks"
    return (
        CertificateFile(
            path=_path(libvirtd_conf, "cert_file", LIBVIRT_SERVER),
            authority=authority,
            end=End.SERVER,
            use=libvirt,
            command=_OF_LIBVIRT,
            is_needed=by_tls,
        ),
        CertificateFile(
            path=LIBVIRT_CLIENT,
            authority=LIBVIRT_AUTHORITY,
            end=End.CLIENT,
            use=libvirt,
            command=_OF_LIBVIRT,
            is_needed=by_tls,
        ),
        *(
            CertificateFile(
                path=directory / f"{end}-cert.pem",
                authority=directory / "ca-cert.pem",
                end=end,
                use=qemu,
                command=_OF_LIBVIRT,
                is_needed=encrypts,
            )
            for end in (End.SERVER, End.CLIENT)
        ),
        CertificateFile(
            path=LIMOSA_DIRECTORY / "host.pem",
            authority=LIMOSA_DIRECTORY / "ca.pem",
            end=End.BUS,
            use="what Limosa issues to this host",
            command=_OF_LIMOSA,
            is_needed=False,
        ),
    )


def _path(conf: str, name: str, default: Path) -> Path:
    """As libvirt has it: a setting that is there and empty is the default."""
    return Path(setting_in(conf, name) or default)
