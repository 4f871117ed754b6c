"""On both hosts: whether the certificates by which they know each other are there, name this host, and last.

The dest is looked at as the server of a connection, the source as its client. An expired one is found here before libvirt
says only that a handshake failed.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common import concurrency
from common.certificate_checks import (
    CERTIFICATE_ENDS_SOON,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_MISSING,
    CERTIFICATE_UNFIT,
)
from common.checks import Finding
from common.errors import LimosaError
from compute_agent.certificate_files import CertificateFile, End, certificate_files
from compute_agent.checks.look import DestLook, SourceLook
from compute_agent.migrate_request import connection_uri
from compute_agent.settings import Settings

if TYPE_CHECKING:
    from common.certificates import CertificateFacts

READ_TIMEOUT_S = 5.0
CONF_MAX_CHARS = 1_000_000
PEM_MAX_CHARS = 100_000
WARNED_BEFORE: Final = timedelta(days=30)


def check_server_certificates(look: DestLook) -> Iterator[Finding]:
    yield from certificate_findings(look.settings, ends=(End.SERVER,))


def check_client_certificates(look: SourceLook) -> Iterator[Finding]:
    yield from certificate_findings(look.settings, ends=(End.CLIENT,))


def certificate_findings(settings: Settings, *, ends: Iterable[End]) -> tuple[Finding, ...]:
    """Of all that this host uses at those ends, by its configuration and libvirt's."""
    wanted = [one for one in files_of(settings) if one.end in ends]
    return tuple(finding for one in wanted for finding in findings_of(one, settings=settings))


def files_of(settings: Settings) -> tuple[CertificateFile, ...]:
    """Raises OSError where libvirt's files are there and may not be read."""
    return certificate_files(
        peer_uri=connection_uri(settings.live_migration, "peer"),
        flags=settings.live_migration.flags,
        libvirtd_conf=_text_or_nothing(settings.libvirtd_conf),
        qemu_conf=_text_or_nothing(settings.qemu_conf),
    )


def findings_of(
    file: CertificateFile,
    *,
    settings: Settings,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Finding]:
    """What is wrong with one of them. One that is neither there nor needed is no finding."""
    told = {"path": file.path, "use": file.use, "command": file.command}
    pems = {}
    for path in (file.path, file.authority):
        try:
            pems[path] = _text(path, PEM_MAX_CHARS)
        except OSError as error:
            if file.is_needed or not isinstance(error, FileNotFoundError):
                reason = error.strerror or str(error)
                yield CERTIFICATE_MISSING.finding(settings.host, **{**told, "path": path}, reason=reason)
            return
    from common import certificates  # only now: cryptography's X.509 takes memory that an idle agent need not

    try:
        facts = certificates.read(pems[file.path])
        names = () if file.end is End.CLIENT else (settings.inbound_address or settings.host,)
        misfits = certificates.misfits(pems[file.path], authority_pem=pems[file.authority], names=names)
        yield from _of_time(facts, settings.host, now=now(), **told)
        yield from _of_time(
            certificates.read(pems[file.authority]),
            settings.host,
            now=now(),
            **{**told, "path": file.authority},
        )
    except LimosaError as error:
        misfits = (str(error),)
    for reason in misfits:
        yield CERTIFICATE_UNFIT.finding(settings.host, **told, reason=reason.rstrip("."))


def _of_time(facts: "CertificateFacts", host: str, *, now: datetime, **told: object) -> Iterator[Finding]:
    at = f"{facts.not_after:%Y-%m-%d %H:%M} UTC"
    if now < facts.not_before:
        reason = f"it is not valid before {facts.not_before:%Y-%m-%d %H:%M} UTC; is this host's clock right"
        yield CERTIFICATE_UNFIT.finding(host, **told, reason=reason)
    elif now >= facts.not_after:
        yield CERTIFICATE_EXPIRED.finding(host, **told, at=at)
    elif facts.not_after - now < WARNED_BEFORE:
        yield CERTIFICATE_ENDS_SOON.finding(host, **told, at=at, days=(facts.not_after - now).days)


def _text_or_nothing(path: Path) -> str:
    try:
        return _text(path, CONF_MAX_CHARS)
    except FileNotFoundError:
        return ""


def _text(path: Path, most_chars: int) -> str:
    def read() -> str:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(most_chars)

    return concurrency.call_blocking(read, timeout_s=READ_TIMEOUT_S)
