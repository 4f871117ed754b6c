"""`limosa firewall show`: what a host filters at this moment."""

import argparse

from client.command import ShowCommand, add_instance, name
from common.firewall_views import FirewallView


class FirewallShow(ShowCommand):
    """Show what is in force of an instance on its host, as it is read there: not what is declared.

    Where both differ (`is_current` is no) the host has not heard of the last change yet, or cannot apply it; its log says.
    """

    kind = FirewallView
    table_keys = ("instance_name", "host", "driver", "is_current", "revision", "declared_revision", "ports")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        parser.add_argument(
            "--host",
            metavar="HOST",
            type=name,
            help="on this host, as the dest of a migration (default: its own)",
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> FirewallView:
        return self.conductor.show_firewall(arguments.instance, host=arguments.host)
