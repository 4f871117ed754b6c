"""Whether libvirt and QEMU have copies of the certificate that this host has joined with."""

from pathlib import Path

from common import certificates
from compute_agent.libvirt_setup import key_files
from compute_agent.libvirt_setup.changes import Changes
from compute_agent.libvirt_setup.units import Systemd


def are_of(authority_pem: str, *, state_path: Path, root: Path = Path("/")) -> bool:
    """Whether libvirt-setup has put them there, of any age; those of an operator's own CA are not ours to renew."""
    path = key_files.LIBVIRT_SERVER_CERTIFICATE
    if str(path) not in Changes(root, state_path, Systemd(root)).record().files:
        return False
    try:
        copy = (root / path.relative_to("/")).read_text(encoding="ascii")
        return certificates.is_issued_by(copy, authority_pem=authority_pem)
    except (OSError, UnicodeDecodeError, certificates.CertificateError):
        return False
