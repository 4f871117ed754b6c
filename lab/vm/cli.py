"""lab/vm/ctl: the VM lab by hand."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lab.errors import LabError
from lab.vm import network
from lab.vm.lab import VmLab


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, the machine's command's own (exec), or 1 with a sentence on stderr."""
    signal.signal(signal.SIGTERM, _end)
    if os.geteuid() != 0:
        print("lab/vm/ctl: the lab makes namespaces: run this as root", file=sys.stderr)
        return 1
    arguments = _parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except LabError as e:
        print(f"lab/vm/ctl: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)  # unlike the default, it lets `up` clean up


def _up(arguments: argparse.Namespace) -> int:
    VmLab.up(names=arguments.machine or network.NAMES, packages=arguments.package)
    print(f"up: {' '.join(arguments.machine or network.NAMES)}")
    return 0


def _down(_: argparse.Namespace) -> int:
    VmLab.down()
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    lab = VmLab.attach()
    argv = lab.switch.command(lab.machine(arguments.name).argv(arguments.script))
    return subprocess.run(argv).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab/vm/ctl", description="Whole machines for Limosa, by hand.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the machines; the first time a disk is built for each role")
    up.add_argument("machine", nargs="*", help="these only (default: all)")
    up.add_argument(
        "--package", type=Path, action="append", default=[], help="a Debian package that apt finds there"
    )
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="end them; their consoles' logs stay in .lab/vm/machines")
    down.set_defaults(run=_down)
    execute = commands.add_parser("exec", help="run a shell script in a machine as root")
    execute.add_argument("name")
    execute.add_argument("script")
    execute.set_defaults(run=_exec)
    return parser
