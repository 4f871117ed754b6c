"""`limosa-conductor restored`: what an older copy of the database needs before a conductor is started on it."""

import argparse
from typing import TYPE_CHECKING

from common.tools import say

if TYPE_CHECKING:
    from oslo_config import cfg

_SINCE = """\
The copy knows nothing of what was decided since it was made:
- administrators revoked and hosts removed since may speak again: `limosa-conductor host remove`, `limosa admin revoke`;
- hosts and administrators added since must be added again;
- a migration begun since is not known, and may have left something on its hosts: `limosa list`, `limosa host list`."""


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    command = commands.add_parser(
        "restored",
        parents=[common],
        help="after an older copy of the database was put in place, while no conductor runs",
    )
    command.set_defaults(run=_run)


def _run(_arguments: argparse.Namespace, conf: "cfg.ConfigOpts") -> None:
    from conductor.restoring import restored

    done = restored(conf)
    say(f"The hosts will obey this copy: the epochs of {done.instances} instances were raised.")
    for migration in done.migrations:
        say(f"Migration {migration} was open: both its hosts are asked when a conductor starts.")
    say(_SINCE)
