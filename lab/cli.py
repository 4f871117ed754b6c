"""lab/ctl: the lab by hand."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import FrameType
from typing import NoReturn

from lab import faults, network, services
from lab.errors import LabError
from lab.faults import Victim
from lab.generation import Generation
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import DEFAULT_MEMORY_MIB, GuestOptions
from lab.lab import Lab

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, the command's own (exec, limosa), or 1 with a sentence on stderr."""
    signal.signal(signal.SIGTERM, _end)
    if os.geteuid() != 0:
        print("lab/ctl: the lab makes namespaces and mounts: run this as root", file=sys.stderr)
        return 1
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        # The words after these two are another program's: argparse would take its options for ours.
        if words[:1] == ["limosa"]:
            return _run_in(network.CONTROLLER, [*Lab.limosa_argv(), *words[1:]])
        if words[:1] == ["exec"] and len(words) > 2:
            return _run_in(words[1], words[3:] if words[2] == "--" else words[2:])
        arguments = _parser().parse_args(words)
        run: Callable[[Arguments], int] = arguments.run
        return run(arguments)
    except LabError as e:
        print(f"lab/ctl: {e}", file=sys.stderr)
        return 1
    except FileNotFoundError as e:
        print(f"lab/ctl: {e.filename} is missing\n  run lab/bootstrap.sh", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)  # unlike the default, it lets `up` clean up


def _up(arguments: Arguments) -> int:
    lab = Lab.up(
        hosts=arguments.hosts,
        generations=dict.fromkeys(arguments.debian13, Generation.DEBIAN_13),
        owner_pid=arguments.owner,
        with_services=not arguments.without_services,
        settings=dict(arguments.set),
    )
    print(f"up: {' '.join(lab.compute_hosts)}, controller")
    return 0


def _down(_: Arguments) -> int:
    Lab.down()
    return 0


def _status(_: Arguments) -> int:
    lab = Lab.attach()
    rows = [(network.CONTROLLER, victim) for victim in (Victim.RABBITMQ, Victim.CONDUCTOR)]
    rows += [(name, victim) for name in lab.compute_hosts for victim in (Victim.LIBVIRTD, Victim.AGENT)]
    for host_name, victim in rows:
        try:
            state = f"pid {faults.process_of(lab.host(host_name), victim).pid}"
        except LabError:
            state = "not running"
        print(f"{host_name:12} {victim:12} {state}")
    return 0


def _run_in(host_name: str, argv: Sequence[str]) -> int:
    """Run a command with our standard streams and terminal, and return its exit code."""
    command = Lab.attach().host(host_name).command(argv)
    # The terminal sends Ctrl-C to the command too: it is the command's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = subprocess.run(command, preexec_fn=_default_interrupt)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _guest_create(arguments: Arguments) -> int:
    options = GuestOptions(
        memory_mib=arguments.memory_mib,
        is_transient=arguments.transient,
        is_paused=arguments.paused,
        is_autostarted=arguments.autostart,
        dirty_mib_s=arguments.dirty_mib_s,
        dirty_mib=arguments.dirty_mib,
        is_root_local=arguments.local_root,
        local_disks=(LocalDisk(),) if arguments.local_disk else (),
        machine_type=arguments.machine_type,
        cpu_model=arguments.cpu_model,
    )
    first = Lab.attach().guest_create(arguments.name, arguments.host, options)
    print(f"{arguments.name} runs on {arguments.host}, boot id {first.boot_id}")
    return 0


def _guest_list(_: Arguments) -> int:
    for place in Lab.attach().guest_places():
        print(f"{place.name:20} {place.host:12} {place.state:12} {place.address}")
    return 0


def _guest_delete(arguments: Arguments) -> int:
    Lab.attach().guest_delete(arguments.name)
    return 0


def _guest_probe(arguments: Arguments) -> int:
    print(json.dumps(asdict(Lab.attach().probe(arguments.name))))
    return 0


def _guest_ask(arguments: Arguments) -> int:
    print(Lab.attach().ask(arguments.name, " ".join(arguments.request)))
    return 0


def _fault(arguments: Arguments) -> int:
    lab = Lab.attach()
    host_name, victim, guest = _target(arguments.target)
    if arguments.fault == "start":
        lab.start(victim, host_name=host_name)
        if victim in (Victim.AGENT, Victim.CONDUCTOR):
            print(f"started; it logs to {lab.log(faults.host_of(victim, host_name), _log_name(victim))}")
    else:
        act = {"kill": lab.kill, "stop": lab.stop, "pause": lab.pause, "resume": lab.resume}[arguments.fault]
        act(victim, host_name=host_name, guest=guest)
    return 0


def _log_name(victim: Victim) -> str:
    return services.AGENT if victim is Victim.AGENT else services.CONDUCTOR


def _target(words: Sequence[str]) -> tuple[str | None, Victim, str | None]:
    """Read `conductor`, `rabbitmq`, `HOST agent|libvirtd` or `HOST qemu [NAME]`."""
    try:
        if len(words) == 1:
            return None, Victim(words[0]), None
        return words[0], Victim(words[1]), words[2] if len(words) > 2 else None
    except ValueError as e:
        raise LabError(
            f"{' '.join(words)!r} names nothing that can be killed or started",
            hint="conductor, rabbitmq, HOST agent, HOST libvirtd, or HOST qemu [NAME]",
        ) from e


def _setting(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or "." not in key:
        raise argparse.ArgumentTypeError(f"{text!r} is not SECTION.OPTION=VALUE")
    return key, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab/ctl", description="Several virtualisation hosts on one machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a lab with N compute hosts")
    up.add_argument("hosts", nargs="?", type=int, default=2, metavar="N")
    up.add_argument("--owner", type=int, metavar="PID", help="end the lab when this process ends")
    up.add_argument(
        "--debian13", action="append", default=[], metavar="HOST", help="make this host a Debian 13"
    )
    up.add_argument("--without-services", action="store_true", help="no conductor, no agents")
    up.add_argument("--set", type=_setting, action="append", default=[], metavar="SECTION.OPTION=VALUE")
    up.set_defaults(run=_up)
    commands.add_parser("down", help="end the lab, whatever is left of it").set_defaults(run=_down)
    commands.add_parser("status", help="show what runs").set_defaults(run=_status)

    # Named here for the help; main() runs them.
    execute = commands.add_parser("exec", help="run a command on a host")
    execute.add_argument("host")
    execute.add_argument("command", nargs="+")
    commands.add_parser("limosa", help="run the client in the lab: limosa ARGS...")

    for fault, help_text in (
        ("kill", "kill -9"),
        ("stop", "stop orderly"),
        ("start", "start again"),
        ("pause", "make it hang"),
        ("resume", "let it go on"),
    ):
        command = commands.add_parser(
            fault, help=f"{help_text}: conductor, rabbitmq, HOST agent|libvirtd|qemu"
        )
        command.add_argument("target", nargs="+", metavar="[HOST] WHAT [GUEST]")
        command.set_defaults(run=_fault, fault=fault)
    _add_guest_commands(commands.add_parser("guest", help="guests of the lab"))
    return parser


def _add_guest_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a guest and wait until it has booted")
    create.add_argument("name")
    create.add_argument("host")
    create.add_argument("--memory-mib", type=int, default=DEFAULT_MEMORY_MIB)
    create.add_argument("--transient", action="store_true")
    create.add_argument("--paused", action="store_true", help="suspend it when it has booted")
    create.add_argument("--autostart", action="store_true")
    create.add_argument("--dirty-mib-s", type=int, default=0, help="rewrite its memory at this rate")
    create.add_argument("--dirty-mib", type=int, default=GuestOptions().dirty_mib, help="how much of it")
    create.add_argument("--local-root", action="store_true", help="its root is not shared either")
    create.add_argument("--local-disk", action="store_true", help="a second disk that is not shared")
    create.add_argument("--machine-type", default=GuestOptions().machine_type)
    create.add_argument("--cpu-model", default=GuestOptions().cpu_model)
    create.set_defaults(run=_guest_create)
    commands.add_parser("list", help="every domain on every host").set_defaults(run=_guest_list)
    for name, run, help_text in (
        ("delete", _guest_delete, "remove a guest and its disks"),
        ("probe", _guest_probe, "print its boot id, counter and uptime"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("name")
        command.set_defaults(run=run)
    ask = commands.add_parser(
        "ask", help="send a request to a guest: write vda TEXT, read vda, dirty 40 16, poweroff"
    )
    ask.add_argument("name")
    ask.add_argument("request", nargs=argparse.REMAINDER)
    ask.set_defaults(run=_guest_ask)
