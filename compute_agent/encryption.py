"""Whether two hosts can send a guest encrypted, by what each tells of its certificates. Pure.

QEMU proves both ends: the dest shows its certificate, and so does the source (migrate_tls_x509_verify). So each is looked
at with the CA of the other.
"""

from collections.abc import Sequence

from common.facts import HostFacts
from common.migration import DestinationFacts
from common.states import MemoryTls
from compute_agent.settings import LiveMigrationSettings

TLS = "VIR_MIGRATE_TLS"
_WITHOUT = ("VIR_MIGRATE_TUNNELLED", "VIR_MIGRATE_ZEROCOPY")  # see common/migration_flags.py


def is_wanted(settings: LiveMigrationSettings) -> bool:
    if any(flag in settings.flags for flag in _WITHOUT):
        return False
    return settings.tls is not MemoryTls.OFF or TLS in settings.flags


def is_required(settings: LiveMigrationSettings) -> bool:
    """Rather not at all than unencrypted."""
    return is_wanted(settings) and (settings.tls is MemoryTls.REQUIRED or TLS in settings.flags)


def has_any(host: HostFacts | None) -> bool:
    return host is not None and bool(host.tls_certificate or host.tls_problem)


def is_agreed(source: HostFacts, dest: HostFacts | None, *, settings: LiveMigrationSettings) -> bool:
    """Of a pair that no check refused."""
    return is_wanted(settings) and has_any(source) and has_any(dest)


def tls_name(dest: DestinationFacts) -> str:
    """Whom the dest's QEMU must prove to be: a name that its certificate has. Empty: it has none of its names.

    libvirt would take the host of the migration URI, which may be an address that no certificate has.
    """
    names = (dest.host, dest.connect_address, dest.inbound_address, dest.hostname)
    certificate = dest.facts.tls_certificate if dest.facts is not None else ""
    return next((name for name in names if name and _is_good_for(certificate, name)), "")


def _is_good_for(certificate: str, name: str) -> bool:
    from common import certificates  # not for an agent at rest: it loads all of X.509

    try:
        return certificates.is_good_for(certificate, name)
    except certificates.CertificateError:
        return False


def misfits(host: HostFacts, *, believed_by: HostFacts, names: Sequence[str]) -> tuple[str, ...]:
    """What makes the other host refuse this one's certificates, sentences. Of their time each host speaks itself."""
    from common import certificates

    if host.tls_problem:
        return (host.tls_problem,)
    try:
        return certificates.misfits(
            host.tls_certificate, authority_pem=believed_by.tls_authority, names=names
        )
    except certificates.CertificateError as error:
        return (str(error),)
