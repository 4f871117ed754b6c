"""`limosa-compute-agent leave`."""

import argparse
from pathlib import Path

from common import tools
from common.backend import CONFIG_PATH


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    leaving = commands.add_parser(
        "leave", parents=[common], help="undo `join`: this host is no member any more; its guests run on"
    )
    leaving.add_argument(
        "--local-only",
        action="store_true",
        help="ask no conductor: for a host whose controllers are gone; else `limosa-conductor host remove` is needed there",
    )
    leaving.set_defaults(run=_leave)


def _leave(arguments: argparse.Namespace) -> None:
    from compute_agent.joining.leave import leave

    config_file = Path(arguments.config_file[-1] if arguments.config_file else CONFIG_PATH)
    host = leave(config_file, is_local_only=arguments.local_only)
    tools.say(f"{host} has left; its guests run on, and nobody here commands them any more.")
