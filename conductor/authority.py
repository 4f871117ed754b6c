"""The conductors' certificate authority: two files, made once on a controller, that issue to the broker and to hosts.

Its key is worth less than the conductors' own: who has it can be taken for the broker or for a host's libvirtd, and can
sign no message.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oslo_config import cfg

from common import certificates, new_files
from common.errors import ConfigurationError, describe_os_error

NAME: Final = "Limosa CA"
VALID_DAYS: Final = 7_300
CERTIFICATE_MODE: Final = 0o644
KEY_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o755  # RabbitMQ's user reads its certificate there
_GROUP: Final = "pki"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    certificate_pem: str
    key_pem: str = field(repr=False)
    valid_days: int

    def issue(self, request_pem: str, *, names: Sequence[str]) -> str:
        """A certificate for these names, the first of which is its subject; raises CertificateError."""
        return certificates.issue(
            request_pem,
            authority_pem=self.certificate_pem,
            authority_key_pem=self.key_pem,
            names=names,
            valid_days=self.valid_days,
        )


def make(conf: cfg.ConfigOpts) -> tuple[Path, Path]:
    """The files of certificate and key, made unless they are there. Raises ConfigurationError, OSError.

    The key comes first: a run that broke off between the two is told, and never silently replaced.
    """
    certificate, key = Path(conf.pki.ca_certificate), Path(conf.pki.ca_key)
    if os.path.lexists(certificate) or os.path.lexists(key):
        load(conf)
        return certificate, key
    for path in (certificate, key):
        new_files.make_directories(path.parent, mode=DIRECTORY_MODE)
    certificate_pem, key_pem = certificates.new_authority(NAME, valid_days=VALID_DAYS)
    new_files.write_new(key, key_pem, mode=KEY_MODE)
    new_files.write_new(certificate, certificate_pem, mode=CERTIFICATE_MODE)
    return certificate, key


def load(conf: cfg.ConfigOpts) -> Authority:
    """Raises ConfigurationError where one of the files is missing, or they do not belong together."""
    certificate, key = _read(conf, "ca_certificate"), _read(conf, "ca_key")
    try:
        is_pair = certificates.is_key_of(key, certificate)
    except certificates.CertificateError as error:
        raise ConfigurationError(group=_GROUP, option="ca_certificate", reason=str(error)) from error
    if not is_pair:
        reason = f"{conf.pki.ca_key} is not the key of {conf.pki.ca_certificate}"
        raise ConfigurationError(group=_GROUP, option="ca_key", reason=reason)
    return Authority(certificate_pem=certificate, key_pem=key, valid_days=conf.pki.valid_days)


def certificate_of(conf: cfg.ConfigOpts) -> str:
    """The public half alone, for whoever needs no more; raises ConfigurationError."""
    return _read(conf, "ca_certificate")


def _read(conf: cfg.ConfigOpts, option: str) -> str:
    path = Path(conf[_GROUP][option])
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = describe_os_error(error) if isinstance(error, OSError) else f"{path} is no PEM file"
        reason = f"{why}; `limosa-conductor broker-setup` makes it"
        raise ConfigurationError(group=_GROUP, option=option, reason=reason) from error
