"""Disks of which nothing can be shown: all types that have no driver. A check refuses them."""

from common.checks import DISK_NOT_PROVABLE, Finding
from common.migration import DiskProbe
from compute_agent.storage.driver import Disk, Examined


class UnprovableStorage:
    """See `driver.StorageDriver`."""

    def examine(self, disk: Disk, *, host: str, probe_id: str) -> Examined:  # noqa: ARG002
        return Examined(findings=self.unproven(disk, dest=host))

    def write(self, probe: DiskProbe, *, host: str) -> tuple[Finding, ...]:  # noqa: ARG002
        return ()

    def compare(self, probe: DiskProbe, *, dest: str) -> tuple[Finding, ...]:  # noqa: ARG002
        return ()

    def unproven(self, disk: Disk, *, dest: str) -> tuple[Finding, ...]:
        if not disk.path:
            return ()
        return (DISK_NOT_PROVABLE.finding(dest, disk=disk.target, type=disk.type),)
