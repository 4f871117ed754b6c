"""On the dest: whether its libvirt has the secrets that the guest's XML names, or they can be made here.

Whether a secret has the right value cannot be told without reading it, and no check reads one.
"""

from collections.abc import Iterator

from common.checks import Finding
from common.guest_checks import SECRET_MISSING, SECRET_PRIVATE, SECRET_UNSAFE
from compute_agent.checks.look import DestLook
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.migrate_request import connection_uri
from compute_agent.secret_sources import Origin, SecretFileError, SecretSources


def check_secrets(look: DestLook) -> Iterator[Finding]:
    """Of a source that does not answer, or not by an encrypted connection, nothing can be had."""
    sources = SecretSources(path=look.settings.volumes.secrets_path, secrets=look.hypervisor)
    address = look.source_address or look.source_host
    uri = connection_uri(look.settings.live_migration, address) if address else ""
    for name in look.guest.secrets:
        yield from _against(look, name, sources, uri)


def _against(look: DestLook, name: str, sources: SecretSources, uri: str) -> Iterator[Finding]:
    host, instance = look.settings.host, look.guest.name
    try:
        origin = sources.origin(name, uri=uri)
    except HypervisorUnreachableError as error:
        if error.fields.get("uri") != uri:
            raise
        origin = Origin.NONE
    except SecretFileError as error:
        yield SECRET_UNSAFE.finding(host, instance=instance, secret=name, reason=str(error).rstrip("."))
        return
    if origin is Origin.PRIVATE:
        yield SECRET_PRIVATE.finding(host, instance=instance, secret=name, path=sources.path)
    elif origin is Origin.NONE:
        yield SECRET_MISSING.finding(host, instance=instance, secret=name, path=sources.path)
