"""What still keeps other hosts' libvirt from this one, and what is open that need not be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compute_agent.errors import NetworkError
from compute_agent.libvirt_setup import conf_text
from compute_agent.libvirt_setup.model import (
    TCP_PORT,
    TLS_PORT,
    Activation,
    Content,
    Observed,
    Plan,
    Transport,
)
from compute_agent.libvirt_setup.plan import daemon_conf

PORTS = {Transport.TLS: TLS_PORT, Transport.TCP: TCP_PORT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    sentence: str
    fix: str  # a command
    stops_migrations: bool = True


def lacks(
    observed: Observed,
    plan: Plan,
    *,
    is_restart_due: bool,
    transport: Transport,
    host: str,
    certificate_problems: tuple[str, ...] = (),
    connect: Callable[[str, int], None],
) -> Iterator[Lack]:
    """`connect` raises NetworkError; the other way, from each peer, is what `limosa doctor` looks at."""
    command = f"limosa-compute-agent libvirt-setup --transport {transport} --apply"
    command += " --insecure" if transport is Transport.TCP else ""
    copies = [edit for edit in plan.edits if edit.content is not Content.TEXT and edit.path in observed.files]
    what = [*(str(edit.path) for edit in plan.edits if edit not in copies), *plan.units]
    if what:
        yield Lack(sentence=f"Not as {transport} needs it: {', '.join(what)}.", fix=command)
    if copies:  # as after renew-certificate
        paths = ", ".join(str(edit.path) for edit in copies)
        yield Lack(sentence=f"Copies of another certificate or key than this host's: {paths}.", fix=command)
    if is_restart_due:
        yield Lack(
            sentence="libvirt was not started again since its configuration was changed.",
            fix=f"{command} --restart",
        )
    for problem in certificate_problems:
        yield Lack(
            sentence=f"This host's certificate: {problem}",
            fix=f"limosa-compute-agent renew-certificate, then {command}",
            stops_migrations=" ends in " not in problem,
        )
    port = PORTS.get(transport)
    if port is not None:
        try:
            connect(host, port)
        except NetworkError as error:
            yield Lack(sentence=f"Port {port} of {host} is not open: {error}", fix=f"{command} --restart")
    yield from _open_to_all(observed, transport)
    yield from _unverified(observed, transport)


def _open_to_all(observed: Observed, transport: Transport) -> Iterator[Lack]:
    """What would be root's for whoever reaches it."""
    conf, daemon = daemon_conf(observed.daemon), observed.daemon
    text = observed.files.get(conf, "")
    unit = f"{daemon}-tcp.socket"
    if observed.activation is Activation.SOCKET:
        is_open, fix = unit in observed.enabled_units, f"systemctl disable --now {unit}"
    else:
        is_open = conf_text.setting(text, "listen_tcp") == "1"
        fix = f"sed -i 's/^ *listen_tcp *=.*/listen_tcp = 0/' {conf}, and restart {daemon}"
    if is_open and conf_text.setting(text, "auth_tcp") == "none":
        again = f"limosa-compute-agent libvirt-setup --transport {Transport.TLS} --apply, on every host; then {fix}"
        yield Lack(
            sentence=f"Whoever reaches port {TCP_PORT} is root on this host: tcp without authentication.",
            fix=fix if transport is not Transport.TCP else again,
            stops_migrations=False,
        )


def _unverified(observed: Observed, transport: Transport) -> Iterator[Lack]:
    """With TLS, the certificate alone proves who a client is."""
    conf, daemon = daemon_conf(observed.daemon), observed.daemon
    text = observed.files.get(conf, "")
    if observed.activation is Activation.SOCKET:
        is_open = f"{daemon}-tls.socket" in observed.enabled_units
    else:
        is_open = conf_text.setting(text, "listen_tls") != "0"
    has_login = conf_text.setting(text, "auth_tls") not in ("", "none")
    if conf_text.setting(text, "tls_no_verify_certificate") != "1" or has_login:
        return
    if is_open or transport is Transport.TLS:
        yield Lack(
            sentence=f"Whoever reaches port {TLS_PORT} is root on this host: {conf} has tls_no_verify_certificate = 1.",
            fix=f"sed -i 's/^ *tls_no_verify_certificate *=.*/tls_no_verify_certificate = 0/' {conf}, and restart {daemon}",
            stops_migrations=False,
        )
