"""Disks that QEMU reaches over the network by itself (rbd, nbd, iscsi, ...): the same from everywhere.

Whether the dest may reach them, libvirt finds out in its Prepare phase, before anything moves.
"""

from common.checks import Finding
from common.migration import DiskProbe
from compute_agent.storage.driver import Disk, Examined


class NetworkStorage:
    """See `driver.StorageDriver`."""

    def examine(self, disk: Disk, *, host: str, probe_id: str) -> Examined:  # noqa: ARG002
        return Examined()

    def write(self, probe: DiskProbe, *, host: str) -> tuple[Finding, ...]:  # noqa: ARG002
        return ()

    def compare(self, probe: DiskProbe, *, dest: str) -> tuple[Finding, ...]:  # noqa: ARG002
        return ()

    def unproven(self, disk: Disk, *, dest: str) -> tuple[Finding, ...]:  # noqa: ARG002
        return ()
