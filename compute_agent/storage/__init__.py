"""How each kind of a guest's storage is shown to be the same on both hosts: one driver a file, by libvirt's disk type.

A new kind is a new file and a line in DRIVERS.
"""

from collections.abc import Mapping
from typing import Final

from compute_agent.storage.block import BlockStorage
from compute_agent.storage.driver import StorageDriver
from compute_agent.storage.file import FileStorage
from compute_agent.storage.network import NetworkStorage
from compute_agent.storage.unprovable import UnprovableStorage
from compute_agent.storage.volume import VolumeStorage

DRIVERS: Final[Mapping[str, StorageDriver]] = {
    "file": FileStorage(),
    "block": BlockStorage(),
    "network": NetworkStorage(),
    "volume": VolumeStorage(),
}


def driver_for(disk_type: str) -> StorageDriver:
    """The driver of this type of disk; of a type that nobody knows nothing can be shown."""
    return DRIVERS.get(disk_type, _UNKNOWN)


_UNKNOWN: Final = UnprovableStorage()
