"""On the source: whether the guest's memory and disks are protected on their way, and libvirt from strangers."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from common.checks import Finding
from common.encryption_checks import PEER_OPEN_TO_ALL, TLS_MISSING, TLS_UNUSABLE
from common.facts import HostFacts
from compute_agent import encryption
from compute_agent.checks.look import SourceLook
from compute_agent.migrate_request import connection_uri


def check_transport(look: SourceLook) -> Iterator[Finding]:
    uri = connection_uri(look.settings.live_migration, look.reach.connect_address)
    if urlsplit(uri).scheme.endswith("+tcp"):
        yield PEER_OPEN_TO_ALL.finding(look.settings.host, peer=look.dest_host, uri=uri)


def check_encryption(look: SourceLook) -> Iterator[Finding]:
    """Never a fall back: who has certificates that do not work believes that they do."""
    settings = look.settings.live_migration
    if not encryption.is_wanted(settings) or look.dest is None:
        return  # a dest that is silent has a finding already
    by_host = {look.settings.host: look.source, look.dest_host: look.dest}
    lacking = [name for name, facts in by_host.items() if not encryption.has_any(facts)]
    if len(lacking) == len(by_host) and not encryption.is_required(settings):
        return  # nobody has asked for it here
    for name in lacking:
        yield _missing(look, name, by_host[name], is_refusing=encryption.is_required(settings))
    if not lacking:
        yield from _of(look, look.settings.host, look.source, believed_by=look.dest)
        yield from _of(look, look.dest_host, look.dest, believed_by=look.source)


def _missing(look: SourceLook, name: str, facts: HostFacts | None, *, is_refusing: bool) -> Finding:
    make = TLS_MISSING.finding if is_refusing else TLS_MISSING.warning
    directory = (facts.tls_directory if facts is not None else "") or "/etc/pki/qemu"
    return make(look.settings.host, lacking=name, directory=directory, instance=look.guest.name)


def _of(look: SourceLook, name: str, facts: HostFacts, *, believed_by: HostFacts) -> Iterator[Finding]:
    # Of the source only that its CA is believed: QEMU asks a client for no name.
    is_dest = name == look.dest_host
    names = (look.reach.host or name,) if is_dest and not encryption.tls_name(look.reach) else ()
    reasons = encryption.misfits(facts, believed_by=believed_by, names=names)
    if reasons:
        reason = " ".join(reasons).removesuffix(".")
        yield TLS_UNUSABLE.finding(look.settings.host, broken=name, reason=reason)
