"""Storage pools of this host's libvirt, by which a disk of type `volume` is named."""

from dataclasses import dataclass
from typing import Any, Protocol

import libvirt

from compute_agent.hypervisor.control import ControlConnection
from compute_agent.hypervisor.libvirt_errors import HypervisorError
from compute_agent.hypervisor.xml_text import XmlText

LOOK_TIMEOUT_S = 30.0
REFRESH_TIMEOUT_S = 60.0  # libvirt looks at every volume of the pool


class PoolAbsentError(HypervisorError):
    """`reason` is a half-sentence."""

    message = "The storage pool {pool} cannot be used: {reason}."
    hint = "`virsh pool-list --all` shows the pools of a host; `virsh pool-start {pool}` starts one."


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlace:
    """Where a volume of a pool is on this host, or would be."""

    pool_type: str  # libvirt's: dir, fs, netfs, logical, zfs, rbd, ...
    path: str  # empty: the pool has no place in the file system


class StoragePools(Protocol):
    def volume_place(self, pool: str, volume: str) -> VolumePlace:
        """Whether there is such a volume is not asked. Raises PoolAbsentError: not defined, or not active."""

    def refresh_pool(self, pool: str) -> None:
        """Have libvirt look at what is in the pool: of what was made or removed by others it knows nothing."""


class LibvirtStoragePools:
    """Mixed into `libvirt_hypervisor.LibvirtHypervisor`."""

    _control: ControlConnection

    def volume_place(self, pool: str, volume: str) -> VolumePlace:
        return self._control.call(
            lambda connection: _place(connection, pool, volume), timeout_s=LOOK_TIMEOUT_S
        )

    def refresh_pool(self, pool: str) -> None:
        self._control.call(
            lambda connection: _active(connection, pool).refresh(0), timeout_s=REFRESH_TIMEOUT_S
        )


def _place(connection: Any, pool: str, volume: str) -> VolumePlace:
    found = _active(connection, pool)
    root = XmlText.parse(found.XMLDesc(0)).root
    pool_type = root.get("type")
    try:
        return VolumePlace(pool_type=pool_type, path=found.storageVolLookupByName(volume).path())
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    directory = root.text_of("target/path")
    return VolumePlace(pool_type=pool_type, path=f"{directory.rstrip('/')}/{volume}" if directory else "")


def _active(connection: Any, pool: str) -> Any:
    try:
        found = connection.storagePoolLookupByName(pool)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise PoolAbsentError(
                pool=pool, reason="libvirt has none of that name"
            ) from error.with_traceback(None)
        raise
    if not found.isActive():
        raise PoolAbsentError(pool=pool, reason="it is not active")
    return found
