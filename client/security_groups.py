"""`limosa security-group`: groups of interfaces, and what their rules let through."""

import argparse

from client.command import ListCommand, ShowCommand, name
from common.firewall_views import RuleRequest, RuleView, SecurityGroupRequest, SecurityGroupView
from common.states import Direction

_KEYS = ("name", "description", "members", "rules", "created_at", "created_by")


class SecurityGroupList(ListCommand):
    """List the security groups, and how many interfaces are in each."""

    kind = SecurityGroupView
    table_keys = ("name", "description", "members", "created_at", "created_by")

    def fetch(self, _arguments: argparse.Namespace) -> tuple[SecurityGroupView, ...]:
        return self.conductor.list_security_groups()


class SecurityGroupCommand(ShowCommand):
    """One group."""

    kind = SecurityGroupView
    table_keys = _KEYS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_group(parser)
        return parser


class SecurityGroupShow(SecurityGroupCommand):
    """Show a security group and its rules."""

    def fetch(self, arguments: argparse.Namespace) -> SecurityGroupView:
        return self.conductor.show_security_group(arguments.group)


class SecurityGroupCreate(SecurityGroupCommand):
    """Create a security group.

    It begins with two rules, which let its members send to all (IPv4 and IPv6); nothing is let in but what answers. Who
    wants less removes those rules and adds others. `limosa port set` puts interfaces into it.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--description", metavar="TEXT", default="", help="one line, for whoever wonders later"
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> SecurityGroupView:
        request = SecurityGroupRequest(name=arguments.group, description=arguments.description)
        return self.conductor.create_security_group(request)


class SecurityGroupDelete(SecurityGroupCommand):
    """Delete a security group and its rules. Refused while an interface is in it, or a rule of another group names it."""

    def fetch(self, arguments: argparse.Namespace) -> SecurityGroupView:
        return self.conductor.delete_security_group(arguments.group)


class RuleCommand(ShowCommand):
    """One rule."""

    kind = RuleView
    table_keys = (
        "id",
        "group",
        "direction",
        "family",
        "protocol",
        "port_min",
        "port_max",
        "remote",
        "remote_group",
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_group(parser)
        return parser


class RuleAdd(RuleCommand):
    """Add a rule to a security group: something that is let through, and what answers it.

    Rules only allow; an interface has those of all its groups together. The hosts have it in force a moment later:
    `limosa firewall show` shows it.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        direction = parser.add_mutually_exclusive_group()
        direction.add_argument(
            "--ingress",
            dest="direction",
            action="store_const",
            const=Direction.INGRESS,
            default=Direction.INGRESS,
            help="to the members of the group (the default)",
        )
        direction.add_argument(
            "--egress", dest="direction", action="store_const", const=Direction.EGRESS, help="from them"
        )
        parser.add_argument(
            "--protocol",
            metavar="NAME|NUMBER",
            default="any",
            help="tcp, udp, icmp, icmpv6, ... (default: any)",
        )
        parser.add_argument(
            "--port",
            metavar="PORT[:LAST]",
            type=ports,
            help="of tcp and udp, where packets go (default: all)",
        )
        parser.add_argument("--icmp-type", metavar="N", type=int, help="of icmp (default: all)")
        parser.add_argument("--icmp-code", metavar="N", type=int, help="of that type (default: all)")
        remote = parser.add_mutually_exclusive_group()
        remote.add_argument(
            "--remote", metavar="CIDR", type=name, help="an address or a network (default: anybody)"
        )
        remote.add_argument("--remote-group", metavar="GROUP", type=name, help="the addresses of its members")
        parser.add_argument(
            "--family",
            metavar="4|6",
            type=int,
            help="IP version (default: that of the CIDR or the protocol, or 4)",
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> RuleView:
        port_min, port_max = arguments.port or (None, None)
        request = RuleRequest(
            group=arguments.group,
            direction=arguments.direction,
            protocol=arguments.protocol,
            family=arguments.family,
            port_min=port_min,
            port_max=port_max,
            icmp_type=arguments.icmp_type,
            icmp_code=arguments.icmp_code,
            remote=arguments.remote,
            remote_group=arguments.remote_group,
        )
        return self.conductor.add_security_group_rule(request)


class RuleRemove(RuleCommand):
    """Remove a rule from a security group."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "rule", metavar="RULE", type=int, help="its number, as `security-group show` shows it"
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> RuleView:
        return self.conductor.remove_security_group_rule(arguments.group, arguments.rule)


def _add_group(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("group", metavar="GROUP", type=name, help="a security group")


def ports(text: str) -> tuple[int, int]:
    """`80` or `8000:8080`; raises ArgumentTypeError. Whether they make sense is for the conductor to say."""
    first, colon, last = text.partition(":")
    try:
        return int(first), int(last if colon else first)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither a port nor PORT:LAST") from None
