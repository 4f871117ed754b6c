"""Which files and units have to change so that other hosts' libvirt reaches this one. Pure: from what was observed.

Nothing that another host may still use is closed: a port that was open before stays open, and `check` says so.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from compute_agent.libvirt_setup import conf_text, key_files
from compute_agent.libvirt_setup.model import (
    Activation,
    Daemon,
    Edit,
    Observed,
    Plan,
    Transport,
    Wish,
)
from compute_agent.settings import HOOK_PATH

QEMU_CONF: Final = Path("/etc/libvirt/qemu.conf")
_HOOK_MODE: Final = 0o755

# What is written although it is libvirt's default says what the administrator gets, and survives another default.
_DAEMON_SETTINGS: Final[Mapping[Transport, Mapping[str, str | int]]] = {
    Transport.TLS: {
        "listen_tls": 1,
        "auth_tls": "none",
    },  # none besides the certificate, which proves the client
    Transport.TCP: {"listen_tls": 0, "listen_tcp": 1, "auth_tcp": "none"},
    Transport.SSH: {},  # sshd listens, and root's keys decide
}
_QEMU_SETTINGS: Final[Mapping[str, str | int]] = {
    "migrate_tls_x509_cert_dir": str(key_files.QEMU_DIRECTORY),
    "migrate_tls_x509_verify": 1,  # of the other side, too: whoever sends a guest's memory shows a certificate
}


def daemon_conf(daemon: Daemon) -> Path:
    return Path(f"/etc/libvirt/{daemon}.conf")


def files(daemon: Daemon, *, arguments_file: Path, own_conf: Path) -> tuple[Path, ...]:
    """All that is looked at."""
    confs = (daemon_conf(daemon), QEMU_CONF, own_conf, arguments_file)
    return (*confs, HOOK_PATH, *key_files.PATHS)


def make_plan(observed: Observed, wish: Wish) -> Plan:
    """Empty where everything stands already. Raises ValueError where a file cannot be understood."""
    edits = tuple(edit for edit in _edits(observed, wish) if not _stands(edit, observed))
    units = tuple(unit for unit in _units(observed, wish) if unit not in observed.enabled_units)
    return Plan(edits=edits, units=units, notes=tuple(_notes(observed, wish)))


def needs_restart(plan: Plan, observed: Observed) -> bool:
    """Whether libvirt takes notice only when it starts. It looks for hooks then, too, and reads a hook at each call."""
    at_start = (daemon_conf(observed.daemon), QEMU_CONF, observed.arguments_file)
    is_first_hook = HOOK_PATH not in observed.files
    return bool(plan.units) or any(
        edit.path in at_start or (edit.path == HOOK_PATH and is_first_hook) for edit in plan.edits
    )


def _edits(observed: Observed, wish: Wish) -> Iterator[Edit]:
    if wish.credentials is not None:
        yield from key_files.key_files(wish.credentials, qemu_group=observed.qemu_group)
        yield _edit(observed, QEMU_CONF, _QEMU_SETTINGS)
    if _DAEMON_SETTINGS[wish.transport]:
        yield _edit(observed, daemon_conf(observed.daemon), _DAEMON_SETTINGS[wish.transport])
        yield from _arguments(observed)
    yield Edit(path=HOOK_PATH, text=wish.hook, mode=_HOOK_MODE)
    yield from _own_scheme(observed, wish)


def _edit(observed: Observed, path: Path, settings: Mapping[str, str | int]) -> Edit:
    # As Debian installs qemu.conf: a password may stand in it.
    return Edit(path=path, text=conf_text.with_settings(observed.files.get(path, ""), settings), mode=0o600)


def _arguments(observed: Observed) -> Iterator[Edit]:
    """--listen, where the daemon opens its ports itself; with systemd's sockets it ends at once because of it."""
    text, variable = observed.files.get(observed.arguments_file, ""), f"{observed.daemon.upper()}_ARGS"
    if observed.activation is Activation.SOCKET:
        text = conf_text.without_listen(text, variable)
    elif observed.activation is Activation.SERVICE:
        text = conf_text.with_listen(text, variable)
    if text:
        yield Edit(path=observed.arguments_file, text=text)


def _own_scheme(observed: Observed, wish: Wish) -> Iterator[Edit]:
    text = observed.files.get(observed.own_conf)
    if text is None or _has_uri(observed):
        return
    text = conf_text.with_option(
        text, section="libvirt", option="live_migration_scheme", value=wish.transport
    )
    yield Edit(path=observed.own_conf, text=text)


def _units(observed: Observed, wish: Wish) -> Iterator[str]:
    if observed.activation is Activation.SOCKET and wish.transport is not Transport.SSH:
        yield f"{observed.daemon}-{wish.transport}.socket"


def _notes(observed: Observed, wish: Wish) -> Iterator[str]:
    if _has_uri(observed):
        where = f"[libvirt]live_migration_uri in {observed.own_conf}"
        yield f"{where} decides how other hosts are reached; it was left as it is."
    elif observed.own_conf not in observed.files:
        yield f"There is no {observed.own_conf} yet: run this again when this host has joined."
    if observed.activation is Activation.NONE and wish.transport is not Transport.SSH:
        yield f"No unit of systemd starts {observed.daemon} here: whoever does must give it --listen."
    if wish.transport is Transport.SSH:
        yield (
            "Root of each host must reach root of the others by ssh without a password, and know their host keys: "
            "`ssh-keygen`, then `ssh-copy-id HOST` and `ssh HOST true` for each."
        )
    if wish.transport is Transport.TCP:
        yield "Over tcp without authentication, whoever reaches this port is root on this host."
    if wish.credentials is None:
        yield "No certificates were given: guests' memory and disks cross the network unencrypted."


def _has_uri(observed: Observed) -> bool:
    text = observed.files.get(observed.own_conf, "")
    return bool(conf_text.option(text, section="libvirt", name="live_migration_uri"))


def _stands(edit: Edit, observed: Observed) -> bool:
    is_executable = not edit.mode & 0o100 or edit.path in observed.executable_files
    return observed.files.get(edit.path) == edit.text and is_executable
