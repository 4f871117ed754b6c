"""`limosa port`: what is declared of the interfaces of guests, their addresses and groups."""

import argparse

from client.command import ListCommand, ShowCommand, add_instance, add_instance_filter, name
from common.firewall_views import PortFilter, PortRequest, PortView

_KEYS = ("instance_name", "host", "mac", "addresses", "groups", "is_present", "instance_uuid")


class PortList(ListCommand):
    """List the interfaces of guests: their addresses and groups. One without a group is not filtered."""

    kind = PortView
    table_keys = _KEYS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance_filter(parser)
        parser.add_argument("--group", metavar="GROUP", type=name, help="only those in this security group")
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[PortView, ...]:
        return self.conductor.list_ports(PortFilter(instance=arguments.instance, group=arguments.group))


class PortCommand(ShowCommand):
    """One interface."""

    kind = PortView
    table_keys = _KEYS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        parser.add_argument("mac", metavar="MAC", type=name, help="of the interface, as `port list` shows it")
        return parser


class PortSet(PortCommand):
    """Say what addresses an interface has, and which security groups it is in.

    What is given replaces what was; what is not given stays. With a group the interface is filtered: only what the rules
    of its groups let through passes, and it can send only from its own MAC and, where they are given, its own addresses.
    Without a group nothing is filtered. Without addresses it is in no rule by group.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        addresses = parser.add_mutually_exclusive_group()
        addresses.add_argument(
            "--address",
            metavar="ADDRESS",
            dest="addresses",
            action="append",
            type=name,
            help="may be repeated",
        )
        addresses.add_argument(
            "--no-address", dest="addresses", action="store_const", const=(), help="none is known any more"
        )
        groups = parser.add_mutually_exclusive_group()
        groups.add_argument(
            "--group", metavar="GROUP", dest="groups", action="append", type=name, help="may be repeated"
        )
        groups.add_argument(
            "--no-group", dest="groups", action="store_const", const=(), help="do not filter it any more"
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> PortView:
        request = PortRequest(
            instance=arguments.instance,
            mac=arguments.mac,
            addresses=None if arguments.addresses is None else tuple(arguments.addresses),
            groups=None if arguments.groups is None else tuple(arguments.groups),
        )
        return self.conductor.set_port(request)


class PortUnset(PortCommand):
    """Forget all that is declared of an interface, also of an instance that is gone: it is not filtered any more."""

    def fetch(self, arguments: argparse.Namespace) -> PortView:
        return self.conductor.unset_port(arguments.instance, arguments.mac)
