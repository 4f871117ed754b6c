"""`limosa-conductor bootstrap`, `host` and `administrator`: what is done on a controller, not over the message bus."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common import tools
from common.tools import say

if TYPE_CHECKING:
    from oslo_config import cfg

Arguments = argparse.Namespace
DEFAULT_ADMINISTRATOR: Final = "admin"
DEFAULT_OWNER: Final = "limosa"  # the user of limosa-conductor.service


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
        owner=arguments.owner,
    )


def _host_add(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.registration import add_host

    add_host(conf, arguments.host, arguments.public_key, is_replacing=arguments.replace)
    say(f"{arguments.host} is registered; its compute agent may speak for it from now on.")


def _host_remove(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.registration import remove_host

    remove_host(conf, arguments.host)
    say(f"{arguments.host} is not registered any more: nothing that its compute agent says is believed.")


def _host_list(_arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.registration import registered_hosts

    for host in registered_hosts(conf):
        say(host)


def _administrator_add(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.registration import add_administrator

    add_administrator(conf, arguments.name, arguments.public_key)
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
    first.add_argument(
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

    host = commands.add_parser("host", help="which hosts may speak").add_subparsers(
        required=True, metavar="COMMAND"
    )
    add = host.add_parser("add", parents=[common], help="register the key of a host's compute agent")
    add.add_argument("host", metavar="HOST", help="as [DEFAULT]host has it there")
    add.add_argument(
        "--public-key",
        metavar="FILE",
        type=Path,
        required=True,
        help="what `limosa-compute-agent make-key` printed",
    )
    add.add_argument("--replace", action="store_true", help="in place of the one that is registered")
    add.set_defaults(run=_host_add)
    remove = host.add_parser("remove", parents=[common], help="believe nothing more of it")
    remove.add_argument("host", metavar="HOST")
    remove.set_defaults(run=_host_remove)
    host.add_parser("list", parents=[common], help="the registered ones").set_defaults(run=_host_list)

    administrator = commands.add_parser(
        "administrator", help="when no administrator is left who could create one"
    ).add_subparsers(required=True, metavar="COMMAND")
    new = administrator.add_parser("add", parents=[common], help="register one with the role admin")
    new.add_argument("name", metavar="NAME")
    new.add_argument("--public-key", metavar="FILE", type=Path, required=True)
    new.set_defaults(run=_administrator_add)
    return top
