"""`limosa-conductor broker-setup`: RabbitMQ made ready for conductors, hosts and administrators."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common.backend import CONFIG_PATH

if TYPE_CHECKING:
    from oslo_config import cfg

Arguments = argparse.Namespace
DEFAULT_VIRTUAL_HOST: Final = "limosa"


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    setup = commands.add_parser(
        "broker-setup",
        parents=[common],
        help="make RabbitMQ on this machine ready: TLS, virtual host, users, and what this controller knows of it",
    )
    setup.add_argument(
        "--name",
        metavar="NAME",
        action="append",
        default=[],
        help="a name or address of this machine, the first one for transport_url (default [DEFAULT]host)",
    )
    setup.add_argument("--virtual-host", metavar="NAME", default=DEFAULT_VIRTUAL_HOST, help="default limosa")
    setup.add_argument(
        "--rabbitmq-directory",
        metavar="DIRECTORY",
        type=Path,
        default=Path("/etc/rabbitmq"),
        help="where RabbitMQ is configured (default /etc/rabbitmq)",
    )
    setup.add_argument(
        "--owner",
        metavar="USER",
        help="whom the conductor's files belong to if root makes them (default limosa, if known)",
    )
    how = setup.add_mutually_exclusive_group()
    how.add_argument(
        "--restart", action="store_true", help="restart RabbitMQ where it must be, to take what was written"
    )
    how.add_argument(
        "--offline",
        action="store_true",
        help="ask no running RabbitMQ: it is to load the users when it starts",
    )
    setup.set_defaults(run=_set_up)


def _set_up(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.broker_setup import BrokerSetup, set_up

    wanted = BrokerSetup(
        names=tuple(arguments.name) or (conf.host,),
        virtual_host=arguments.virtual_host,
        rabbitmq=arguments.rabbitmq_directory,
        config_file=Path(arguments.config_file[-1] if arguments.config_file else CONFIG_PATH),
        owner=arguments.owner,
        is_restarting=arguments.restart,
        is_offline=arguments.offline,
    )
    set_up(conf, wanted)
