"""The certificate of this host that libvirt and QEMU are given: the one that it has joined with, or the operator's."""

from datetime import UTC, datetime
from pathlib import Path

from common import certificates
from common.errors import describe_os_error
from compute_agent.libvirt_setup.model import Credentials, SetupError

PKI_DIRECTORY = Path("/etc/limosa/pki")
_FILES = ("ca.pem", "host.pem", "host.key")


def own_files(root: Path) -> tuple[Path, Path, Path] | None:
    """Those of /etc/limosa/pki; None where this host has none."""
    authority, certificate, key = (root / (PKI_DIRECTORY / name).relative_to("/") for name in _FILES)
    return (authority, certificate, key) if certificate.exists() else None


def read(files: tuple[Path, Path, Path]) -> Credentials:
    """CA, certificate and key. Raises SetupError, CertificateError."""
    authority, certificate, key = (_text(path) for path in files)
    if not certificates.is_key_of(key, certificate):
        raise SetupError(reason=f"{files[2]} is not the private key of {files[1]}. Nothing was changed.")
    return Credentials(authority=authority, certificate=certificate, key=key)


def refuse_if_unusable(credentials: Credentials, *, host: str) -> None:
    """Raises SetupError for what other hosts would refuse; that it ends soon is for `check` to say."""
    reasons = problems(credentials, host=host, ends_soon_days=0)
    if reasons:
        raise SetupError(reason=f"{' '.join(reasons)} Nothing was changed.")


def problems(
    credentials: Credentials, *, host: str, ends_soon_days: int = certificates.ENDS_SOON_DAYS
) -> tuple[str, ...]:
    return certificates.problems(
        credentials.certificate,
        authority_pem=credentials.authority,
        names=(host,),
        now=datetime.now(UTC),
        ends_soon_days=ends_soon_days,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise SetupError(reason=f"{path} is not in PEM form. Nothing was changed.") from error
    except OSError as error:
        raise SetupError(reason=f"{describe_os_error(error)}. Nothing was changed.") from error
