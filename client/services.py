"""`limosa service list|enable|disable|describe-resource`: who is heard, when last, and who gets new work."""

import argparse

from client.command import ListCommand, ShowCommand, add_host
from common.views import ResourceView, ServiceView


class ServiceList(ListCommand):
    """List the conductors and compute agents.

    Status is what the administrators want (`service enable`, `service disable`), state whether it is heard.
    Hypervisor age is how long libvirt on that host has not answered its agent.
    """

    kind = ServiceView
    optional_keys = ("disabled_reason",)
    table_keys = (
        "binary", "host", "status", "state", "last_seen_s", "hypervisor_age_s", "instances", "memory_free_mib",
        "memory_total_mib", "libvirt_version", "disabled_reason",
    )  # fmt: skip

    def fetch(self, _arguments: argparse.Namespace) -> tuple[ServiceView, ...]:
        return self.conductor.list_services()


class ServiceCommand(ShowCommand):
    """One compute agent's service."""

    kind = ServiceView
    table_keys = ("binary", "host", "status", "disabled_reason", "state", "last_seen_s", "instances")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_host(parser)
        return parser


class ServiceEnable(ServiceCommand):
    """Let guests be moved to a host again."""

    def fetch(self, arguments: argparse.Namespace) -> ServiceView:
        return self.conductor.enable_service(arguments.host)


class ServiceDisable(ServiceCommand):
    """Let no guest be moved to a host. Those that run there stay, and may be moved away; migrations under way go on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--reason", metavar="TEXT", type=reason, required=True, help="why, for whoever wonders later"
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> ServiceView:
        return self.conductor.disable_service(arguments.host, arguments.reason)


def reason(text: str) -> str:
    """Something that can be shown in one line; raises ArgumentTypeError. The conductor bounds its length."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("one line of printable characters is needed")
    return text


class ServiceDescribeResource(ListCommand):
    """Show what a host has, what is taken of it, and by which guests.

    (used_now) is what guests that run take, and what migrations hold for those that are to come; those rows have a
    migration. (used_max) is what would be taken if all its guests ran.
    """

    kind = ResourceView
    table_keys = ("host", "instance", "cpu", "memory_mib", "disk_gib", "power_state", "migration")
    optional_keys = ("migration",)
    headings = {  # noqa: RUF012  # Nova's
        "host": "HOST", "instance": "INSTANCE", "cpu": "cpu", "memory_mib": "mem(mb)", "disk_gib": "hdd",
    }  # fmt: skip

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_host(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[ResourceView, ...]:
        return self.conductor.describe_resource(arguments.host)
