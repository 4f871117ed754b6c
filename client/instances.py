"""`limosa list`, `limosa show` and `limosa instance history`: the guests, and where they have been."""

import argparse

from client.command import ListCommand, ShowCommand, add_instance, add_limit
from common.views import HistoryView, InstanceView


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


class InstanceHistory(ListCommand):
    """Show an instance's past migrations, the newest first: what was predicted, and what was measured.

    An instance that is gone is found by its uuid, or by its name if no other has that now.
    """

    kind = HistoryView
    table_keys = (
        "finished_at", "status", "source", "dest", "predicted_seconds", "measured_seconds",
        "predicted_downtime_ms", "measured_downtime_ms", "predicted_sent_mib", "measured_sent_mib",
        "predicted_passes", "measured_passes", "predicted_rate_mib_s", "measured_rate_mib_s",
        "network_gap_ms", "network_verified", "migration",
    )  # fmt: skip
    optional_keys = (
        "predicted_seconds", "predicted_downtime_ms", "predicted_sent_mib", "predicted_passes",
        "predicted_rate_mib_s", "network_gap_ms", "network_verified",
    )  # fmt: skip

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        add_limit(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[HistoryView, ...]:
        return self.conductor.instance_history(arguments.instance, limit=arguments.limit)
