"""`limosa host list|show`: what the compute hosts are and have."""

import argparse

from client.command import ListCommand, ShowCommand, add_host
from common.views import HostView


class HostList(ListCommand):
    """List the compute hosts: what they have, and what is left of it for guests."""

    kind = HostView
    table_keys = (
        "name", "status", "state", "vcpus_used", "vcpus_total", "memory_free_mib", "memory_total_mib", "instances",
        "libvirt_version", "hypervisor_version",
    )  # fmt: skip

    def fetch(self, _arguments: argparse.Namespace) -> tuple[HostView, ...]:
        return self.conductor.list_hosts()


class HostShow(ShowCommand):
    """Show one compute host: versions, CPU, memory, disk space, guests, and how long ago it was heard."""

    kind = HostView
    table_keys = (
        "name", "status", "disabled_reason", "state", "last_seen_s", "hypervisor_age_s", "agent_version",
        "hypervisor_type", "hypervisor_version", "libvirt_version", "cpu_model", "cpu_arch", "vcpus_total",
        "vcpus_used", "memory_total_mib", "memory_used_mib", "memory_claimed_mib", "memory_free_mib",
        "disk_total_gib", "disk_free_gib", "disk_claimed_gib", "instances", "guests",
    )  # fmt: skip

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_host(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> HostView:
        return self.conductor.show_host(arguments.host)
