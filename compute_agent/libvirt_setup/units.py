"""systemd's part of it: sockets that are enabled, and a libvirt that is started again when an administrator says so.

A running guest does not notice: its QEMU is no child that ends with the daemon (libvirtd(8)).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from compute_agent.errors import CommandError
from compute_agent.libvirt_setup.model import Activation, Daemon, Observed
from compute_agent.subprocesses import run_command

RESTART_TIMEOUT_S = 90.0  # systemd's own for a unit that does not start or stop


class Units(Protocol):
    """Every method raises CommandError."""

    def enable(self, unit: str) -> None: ...

    def disable(self, unit: str) -> None: ...

    def restart(self, commands: Sequence[Sequence[str]]) -> None:
        """Run them one after the other, all of them, then raise the first error: libvirt must not stay stopped."""

    def reload_certificates(self, daemon: Daemon) -> bool:
        """Have a daemon that runs read its certificates anew; whether it did."""


class Systemd:
    """That of this machine, or of the tree of an image at `root`, where nothing runs."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def enable(self, unit: str) -> None:
        self._systemctl("enable", unit)

    def disable(self, unit: str) -> None:
        self._systemctl("disable", unit)

    def restart(self, commands: Sequence[Sequence[str]]) -> None:
        errors = []
        for command in commands:
            try:
                _run(command)
            except CommandError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def reload_certificates(self, daemon: Daemon) -> bool:
        try:
            _run(["virt-admin", "-c", f"{daemon}:///system", "server-update-tls", str(daemon)])
        except CommandError:
            return (
                False  # it does not run, and reads them when it starts; or it had none, and must be restarted
            )
        return True

    def _systemctl(self, verb: str, unit: str) -> None:
        where = [] if self._root == Path("/") else [f"--root={self._root}"]
        _run(["systemctl", *where, verb, unit])


def restart_commands(observed: Observed, units: Sequence[str] = ()) -> tuple[tuple[str, ...], ...]:
    """How libvirt is started again with `units` beside those that are enabled; empty where that is not systemd's.

    A socket unit cannot be started while its service runs, and a client that comes in between would start that: so all
    sockets are closed first.
    """
    if observed.activation is Activation.NONE:
        return ()
    daemon = observed.daemon
    service = f"{daemon}.service"
    guests = () if daemon is Daemon.LIBVIRTD else (("systemctl", "try-restart", "virtqemud.service"),)
    if observed.activation is Activation.SERVICE:
        return (*guests, ("systemctl", "restart", service))
    further = dict.fromkeys((*sorted(observed.enabled_units), *units))
    names = (f"{daemon}.socket", f"{daemon}-ro.socket", f"{daemon}-admin.socket", *further)
    sockets = tuple(name for name in names if name in observed.startable_sockets)
    return (
        *guests,
        ("systemctl", "stop", service, *sockets),
        ("systemctl", "start", *sockets),
        ("systemctl", "start", service),
    )


def _run(command: Sequence[str]) -> None:
    finished = run_command(command, timeout_s=RESTART_TIMEOUT_S)
    if finished.code != 0:
        raise CommandError(program=" ".join(command), reason=finished.last_line)
