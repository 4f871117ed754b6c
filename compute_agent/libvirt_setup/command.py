"""`limosa-compute-agent libvirt-setup`: the command line, and what a person reads of it."""

import argparse
import socket
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common import tools

if TYPE_CHECKING:
    from compute_agent.libvirt_setup.changes import Changes, Undone
    from compute_agent.libvirt_setup.model import Credentials, Observed, Plan, Wish

WOULD_STOP_EXIT_CODE: Final = 4
LEFT_EXIT_CODE: Final = 1
_ROOT: Final = Path("/")
_STATE_PATH: Final = Path("/var/lib/limosa")  # where none is configured yet


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    setup = commands.add_parser(
        "libvirt-setup", parents=[common], help="make this host's libvirt reachable for migrations"
    )
    what = setup.add_mutually_exclusive_group(required=True)
    for name, run, help_text in (
        ("print", _print, "show what would be changed"),
        ("apply", _apply, "change it; every file is backed up"),
        ("check", _check, "say what is missing; exit code 4 if it would stop a migration"),
        ("undo", _undo, "put everything back as it was"),
    ):
        what.add_argument(f"--{name}", dest="run", action="store_const", const=run, help=help_text)
    setup.add_argument(
        "--transport",
        choices=("tls", "tcp", "ssh"),
        default="tls",
        help="how the libvirt of other hosts reaches this one (default: tls)",
    )
    setup.add_argument(
        "--insecure", action="store_true", help="permit tcp, where whoever reaches the port is root here"
    )
    setup.add_argument(
        "--restart", action="store_true", help="start libvirt again where that is needed; guests run on"
    )
    for option, what_file in (("ca", "CA"), ("cert", "certificate"), ("key", "private key")):
        setup.add_argument(
            f"--{option}-file", type=Path, metavar="FILE", help=f"{what_file} instead of /etc/limosa/pki's"
        )
    setup.add_argument(
        "--root",
        type=Path,
        default=_ROOT,
        metavar="DIRECTORY",
        help="the tree of an image instead of this machine's",
    )


def _print(arguments: argparse.Namespace) -> None:
    job = _Job(arguments)
    observed, plan = job.observed_and_plan()
    _tell(plan, observed)


def _apply(arguments: argparse.Namespace) -> None:
    from compute_agent.libvirt_setup.plan import needs_restart

    job = _Job(arguments)
    observed, plan = job.observed_and_plan()
    _tell(plan, observed)
    if not job.is_restart_due(observed):
        job.changes.restarted()  # also by hand; what follows may need another one
    if not plan.is_empty:
        job.changes.apply(plan, needs_restart=needs_restart(plan, observed))
        tools.say("Done. `limosa-compute-agent libvirt-setup --undo` takes it back.")
    if not job.changes.record().needs_restart:
        if not plan.is_empty and job.is_this_machine:
            job.units.reload_certificates(observed.daemon)
        return
    job.restart_or_say(observed, plan)


def _check(arguments: argparse.Namespace) -> int:
    from compute_agent.libvirt_setup import check, credentials
    from compute_agent.network import HostNetwork

    job = _Job(arguments, is_for_reading=True)
    observed, plan = job.observed_and_plan()
    given = job.wish.credentials
    found = tuple(
        check.lacks(
            observed,
            plan,
            is_restart_due=job.is_restart_due(observed),
            transport=job.wish.transport,
            host=job.host,
            certificate_problems=() if given is None else credentials.problems(given, host=job.host),
            connect=HostNetwork().connect,
        )
    )
    for lack in found:
        tools.say(f"{lack.sentence}\n    {lack.fix}")
    if not found:
        tools.say(f"libvirt is reached by {job.wish.transport}.")
    return WOULD_STOP_EXIT_CODE if any(lack.stops_migrations for lack in found) else 0


def _undo(arguments: argparse.Namespace) -> int:
    job = _Job(arguments, has_wish=False)
    undone = job.changes.undo()
    for line in _undone(undone, job.changes):
        tools.say(line)
    return LEFT_EXIT_CODE if undone.left else 0


class _Job:
    """What all of them begin with. Raises LimosaError where the command cannot be carried out."""

    def __init__(
        self, arguments: argparse.Namespace, *, is_for_reading: bool = False, has_wish: bool = True
    ) -> None:
        from compute_agent.libvirt_setup.changes import Changes
        from compute_agent.libvirt_setup.model import LIMOSA_CONF
        from compute_agent.libvirt_setup.units import Systemd

        self._arguments = arguments
        self._root = arguments.root.resolve()
        self._own_conf = _own_conf(arguments.config_file, root=self._root)
        self.is_this_machine = self._root == _ROOT
        own_conf = self._root / LIMOSA_CONF.relative_to("/")
        if not arguments.config_file and own_conf.exists():
            arguments.config_file = [str(own_conf)]
        self.host, state_path = socket.gethostname(), _STATE_PATH
        if arguments.config_file:
            conf = tools.configuration(arguments)
            self.host, state_path = conf.host, Path(conf.state_path)
        self.units = Systemd(self._root)
        self.changes = Changes(self._root, state_path, self.units)
        if has_wish:
            self.wish = self._wish(is_for_reading=is_for_reading)

    def observed_and_plan(self) -> "tuple[Observed, Plan]":
        from compute_agent.libvirt_setup.model import SetupError
        from compute_agent.libvirt_setup.observe import observe
        from compute_agent.libvirt_setup.plan import make_plan

        observed = observe(self._root, own_conf=self._own_conf)
        try:
            return observed, make_plan(observed, self.wish)
        except ValueError as error:  # shlex: a quotation mark without an end
            raise SetupError(reason=f"{observed.arguments_file}: {error}. Nothing was changed.") from error

    def is_restart_due(self, observed: "Observed") -> bool:
        from compute_agent.libvirt_setup.daemon_start import have_started_since

        record = self.changes.record()
        return record.needs_restart and not have_started_since(
            observed.daemon, record.changed_at, root=self._root
        )

    def restart_or_say(self, observed: "Observed", plan: "Plan") -> None:
        """Never without --restart: whoever runs a host decides when."""
        from compute_agent.libvirt_setup.units import restart_commands

        commands = restart_commands(observed, plan.units)
        if not self._arguments.restart or not self.is_this_machine or not commands:
            tools.say("libvirt takes notice when it is started again (guests run on):")
            for command in commands or (("start", observed.daemon, "again"),):
                tools.say("    " + " ".join(command))
            return
        self.units.restart(commands)
        self.changes.restarted()
        tools.say("libvirt was started again.")

    def _wish(self, *, is_for_reading: bool) -> "Wish":
        from compute_agent.libvirt_setup import credentials
        from compute_agent.libvirt_setup.model import SetupError, Transport, Wish

        transport = Transport(self._arguments.transport)
        if transport is Transport.TCP and not (self._arguments.insecure or is_for_reading):
            raise SetupError(
                reason="Over tcp, libvirt asks nobody who he is: whoever reaches the port is root on this host. Use "
                "--transport tls or ssh, or add --insecure on a network that nobody else reaches."
            )
        given = self._credentials()
        if given is None and transport is Transport.TLS:
            raise SetupError(
                reason="This host has no certificate. Let it join first (`limosa-compute-agent join`), or give "
                "--ca-file, --cert-file and --key-file."
            )
        if given is not None and not is_for_reading:
            credentials.refuse_if_unusable(given, host=self.host)
        return Wish(transport=transport, credentials=given, hook=hook_text())

    def _credentials(self) -> "Credentials | None":
        from compute_agent.libvirt_setup import credentials
        from compute_agent.libvirt_setup.model import SetupError

        named = (self._arguments.ca_file, self._arguments.cert_file, self._arguments.key_file)
        if any(named) and not all(named):
            raise SetupError(reason="--ca-file, --cert-file and --key-file belong together.")
        files = named if all(named) else credentials.own_files(self._root)
        return None if files is None else credentials.read(files)


def _own_conf(files: list[str], *, root: Path) -> Path:
    """The last one that the agent reads, without `root`; one that is not in that tree is for this run alone."""
    from compute_agent.libvirt_setup.model import LIMOSA_CONF

    if not files:
        return LIMOSA_CONF
    path = Path(files[-1])
    path = path.parent.resolve() / path.name  # a link itself is refused later
    return _ROOT / path.relative_to(root) if path.is_relative_to(root) else LIMOSA_CONF


def hook_text() -> str:
    """Our qemu hook, which is installed as it is shipped."""
    return resources.files("compute_agent.libvirt_setup").joinpath("qemu-hook").read_text(encoding="utf-8")


def _tell(plan: "Plan", observed: "Observed") -> None:
    from compute_agent.libvirt_setup.shown import shown

    for line in shown(plan, observed):
        tools.say(line)
    if plan.is_empty:
        tools.say("Everything stands already.")
    for note in plan.notes:
        tools.say(note)


def _undone(undone: "Undone", changes: "Changes") -> Iterator[str]:
    yield from (f"systemctl disable {unit}" for unit in undone.units)
    yield from (f"put back: {path}" for path in undone.restored)
    yield from (f"removed: {path}" for path in undone.removed)
    for path in undone.left:
        yield f"left, for somebody has changed it since: {path}; as it was before: {changes.backup_of(path)}"
    if undone.restored or undone.removed or undone.units:
        if undone.units:
            yield f"Ports that are open stay open until `systemctl stop {' '.join(undone.units)}`."
        yield "libvirt takes notice when it is started again."
    elif not undone.left:
        yield "There was nothing to take back."
