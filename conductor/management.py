"""`limosa-conductor bootstrap`, `host` and `administrator`: what is done on a controller, not over the message bus."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common import tools
from common.tools import say
from conductor import broker_commands, host_commands, restored_command
from conductor.owners import DEFAULT_OWNER

if TYPE_CHECKING:
    from oslo_config import cfg

Arguments = argparse.Namespace
COMMANDS: Final = (
    broker_commands,
    host_commands,
    restored_command,
)  # modules with `add_to(commands, common)`
DEFAULT_ADMINISTRATOR: Final = "admin"


def main(argv: Sequence[str]) -> int:
    """Run one command; the process's exit code."""
    arguments = parser().parse_args(argv)
    command: Callable[[Arguments, cfg.ConfigOpts], None] = arguments.run

    def load_and_run() -> None:
        from conductor.db.engine import told_as_errors

        with told_as_errors():
            command(arguments, tools.configuration(arguments))

    return tools.run(load_and_run)


def _bootstrap(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.bootstrap import bootstrap

    bootstrap(
        conf,
        administrator=arguments.administrator,
        administrator_key=arguments.administrator_key,
        client_conf=arguments.client_conf,
        owner=arguments.owner,
    )


def _administrator_add(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.registration import add_administrator

    add_administrator(conf, arguments.name, arguments.public_key, client_conf=arguments.client_conf)
    say(f"{arguments.name} is an administrator now, with the role admin.")


def parser() -> argparse.ArgumentParser:
    """Of all commands; the manual page is made from it."""
    common = argparse.ArgumentParser(add_help=False)
    tools.add_config_file(common)
    top = argparse.ArgumentParser(
        prog="limosa-conductor",
        description="Without a command: run a conductor, with --config-file FILE (default /etc/limosa/limosa.conf).",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    first = commands.add_parser(
        "bootstrap", parents=[common], help="make database, schema, keys and the first administrator, once"
    )
    first.add_argument("--administrator", metavar="NAME", default=DEFAULT_ADMINISTRATOR)
    kept = first.add_mutually_exclusive_group()
    kept.add_argument(
        "--client-conf",
        metavar="FILE",
        type=Path,
        help="write there all that the administrator needs, with a user of RabbitMQ (after broker-setup)",
    )
    kept.add_argument(
        "--administrator-key",
        metavar="FILE",
        type=Path,
        help="write the private key there instead of printing it",
    )
    first.add_argument(
        "--owner",
        metavar="USER",
        help=f"whom files belong to if root makes them (default {DEFAULT_OWNER}, if known)",
    )
    first.set_defaults(run=_bootstrap)

    for command in COMMANDS:
        command.add_to(commands, common)

    administrator = commands.add_parser(
        "administrator", help="when no administrator is left who could create one"
    ).add_subparsers(required=True, metavar="COMMAND")
    new = administrator.add_parser("add", parents=[common], help="register one with the role admin")
    new.add_argument("name", metavar="NAME")
    known = new.add_mutually_exclusive_group(required=True)
    known.add_argument("--client-conf", metavar="FILE", type=Path, help="write there all that he needs")
    known.add_argument("--public-key", metavar="FILE", type=Path, help="register this key")
    new.set_defaults(run=_administrator_add)
    return top
