"""`limosa-compute-agent COMMAND`: what is done on a compute host by hand, beside its agent.

Each command is a module with `add_to(commands, common)`, which adds its parser and sets `run` to a function of the
arguments. Its own imports wait until it runs, so that `--help` is quick.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from common import tools
from compute_agent import host_key
from compute_agent.doctor import command as doctor
from compute_agent.joining import join_command, leave_command, renewal
from compute_agent.libvirt_setup import command as libvirt_setup

Arguments = argparse.Namespace


class Command(Protocol):
    """A module."""

    def add_to(
        self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
    ) -> None:
        """`common` is to be a parent: it has --config-file."""


COMMANDS: Final[tuple[Command, ...]] = (join_command, leave_command, renewal, libvirt_setup, doctor, host_key)


def main(argv: Sequence[str]) -> int:
    """Run one command; the process's exit code."""
    arguments = parser().parse_args(argv)
    command: Callable[[Arguments], int | None] = arguments.run
    codes: list[int | None] = []
    return tools.run(lambda: codes.append(command(arguments))) or next(filter(None, codes), 0)


def parser() -> argparse.ArgumentParser:
    """Of all commands; the manual page is made from it."""
    common = argparse.ArgumentParser(add_help=False)
    tools.add_config_file(common)
    top = argparse.ArgumentParser(
        prog="limosa-compute-agent",
        description="Without a command: run this host's agent, with --config-file FILE (default /etc/limosa/limosa.conf).",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands, common)
    return top
