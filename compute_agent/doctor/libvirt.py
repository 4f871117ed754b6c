"""Whether libvirt answers, which versions are here, and whether libvirtd listens for other hosts."""

import os
from collections.abc import Iterator
from pathlib import Path

from common.diagnosis import Diagnosis
from common.doctor_checks import LIBVIRT_OLD, LIBVIRT_UNUSABLE, NOT_LISTENING, TCP_OPEN
from common.doctor_questions import LIBVIRT, LISTENING
from compute_agent.checks.reach import LIBVIRTD_PORTS, transport_of
from compute_agent.doctor.look import HostLook, text_of
from compute_agent.errors import NetworkError
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.hypervisor.qemu_conf import setting_in
from compute_agent.migrate_request import connection_uri

LIBVIRT_NEEDED = 9_000_000  # Debian 12's: the oldest that Limosa is tested with
_SOCKETS = ("libvirt/libvirt-sock", "libvirt/virtqemud-sock")
# TLS, unless the operator has written that he wants the other.
_SETUPS = {"": "tls", "tls": "tls", "tcp": "tcp --insecure"}
_DAEMONS = ("/usr/sbin/libvirtd", "/usr/sbin/virtqemud")


def answer_libvirt(look: HostLook) -> Iterator[Diagnosis]:
    host = look.host
    try:
        facts = look.hypervisor.host_facts()
    except HypervisorUnreachableError as error:
        remedy, command = _remedy(look.paths.run)
        reason = str(error.fields["reason"]).rstrip(".")
        yield LIBVIRT.found(
            LIBVIRT_UNUSABLE.finding(
                host, uri=look.settings.libvirt_uri, reason=reason, remedy=remedy, command=command
            ),
            host=host,
        )
        return
    libvirt = version_text(facts.libvirt_version)
    if facts.libvirt_version < LIBVIRT_NEEDED:
        needed = version_text(LIBVIRT_NEEDED)
        yield LIBVIRT.found(LIBVIRT_OLD.finding(host, version=libvirt, needed=needed), host=host)
        return
    qemu = version_text(facts.hypervisor_version)
    yield LIBVIRT.passed(
        f"libvirt {libvirt} with QEMU {qemu} answers at {look.settings.libvirt_uri}.", host=host
    )


def answer_listening(look: HostLook) -> Iterator[Diagnosis]:
    """By the transport with which this host calls others: all hosts are meant to have the same."""
    host = look.host
    transport = transport_of(connection_uri(look.settings.live_migration, host))
    port = LIBVIRTD_PORTS.get(transport)
    if port is None:
        yield LISTENING.passed(
            f"Hosts call each other by {transport}, which has no port of libvirtd.", host=host
        )
        return
    conf = text_of(look.settings.libvirtd_conf)
    reason = _why_not_reached(look, conf, port)
    if reason:
        setup = _SETUPS.get(look.settings.live_migration.scheme or "", "tls")
        finding = NOT_LISTENING.finding(host, port=port, transport=transport, reason=reason, setup=setup)
        yield LISTENING.found(finding, host=host)
    elif transport == "tcp" and setting_in(conf, "auth_tcp") == "none":
        yield LISTENING.found(TCP_OPEN.finding(host, port=port), host=host)
    else:
        yield LISTENING.passed(f"libvirtd listens at port {port} ({transport}).", host=host)


def version_text(number: int) -> str:
    """libvirt's number of a version as people write it: 7002000 is 7.2.0."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _remedy(run: Path) -> tuple[str, str]:
    """What to do about a silent libvirt, and the command."""
    sockets = [run / name for name in _SOCKETS if (run / name).exists()]
    if not sockets and not any(Path(daemon).exists() for daemon in _DAEMONS):
        return "Install it", "apt install libvirt-daemon-system qemu-system-x86"
    if not sockets:
        return "Start it", "systemctl enable --now libvirtd"
    if not any(os.access(socket, os.W_OK) for socket in sockets):
        return "This user may not write to its socket; run this as root", "sudo limosa-compute-agent doctor"
    return "Its log says more", "journalctl -u libvirtd -u virtqemud"


def _why_not_reached(look: HostLook, conf: str, port: int) -> str:
    """It may listen on one address only: that of its own file, or the one by which others are to come."""
    addresses = (setting_in(conf, "listen_addr"), look.settings.inbound_address or look.host, "localhost")
    reason = ""
    for address in filter(None, addresses):
        try:
            look.network.connect(address, port)
        except NetworkError as error:
            reason = reason or str(error)
        else:
            return ""
    return reason
