"""`limosa service list`: who is heard, and when last."""

import argparse

from client.command import ListCommand
from common.views import ServiceView


class ServiceList(ListCommand):
    """List the conductors and compute agents.

    Hypervisor age is how long libvirt on that host has not answered its agent.
    """

    kind = ServiceView
    table_keys = (
        "binary", "host", "state", "last_seen_s", "hypervisor_age_s", "instances", "memory_free_mib",
        "memory_total_mib", "libvirt_version",
    )  # fmt: skip

    def fetch(self, _arguments: argparse.Namespace) -> tuple[ServiceView, ...]:
        return self.conductor.list_services()
