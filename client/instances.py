"""`limosa list` and `limosa show`: the guests that the agents have found."""

import argparse

from client.command import ListCommand, ShowCommand, add_instance
from common.views import InstanceView


class InstanceList(ListCommand):
    """List the instances: the guests of all hosts, as their agents report them."""

    kind = InstanceView
    table_keys = ("uuid", "name", "host", "power_state", "task_state", "vcpus", "memory_mib")

    def fetch(self, _arguments: argparse.Namespace) -> tuple[InstanceView, ...]:
        return self.conductor.list_instances()


class InstanceShow(ShowCommand):
    """Show one instance."""

    kind = InstanceView
    table_keys = (
        "uuid", "name", "host", "power_state", "task_state", "migration", "conflict", "vcpus", "memory_mib",
        "is_persistent", "has_autostart", "updated_at",
    )  # fmt: skip

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> InstanceView:
        return self.conductor.show_instance(arguments.instance)
