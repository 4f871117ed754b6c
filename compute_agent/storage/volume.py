"""Disks that are volumes of libvirt's storage pools: shown to be the same as what they are, a file or a device.

Where a volume is, each host's libvirt says (`located`), before the drivers look: they run in native threads, which libvirt
is not asked from.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from common.checks import STORAGE_NOT_SHARED, Finding
from common.device_checks import DEVICE_NOT_PROVABLE
from common.facts import DiskFacts, GuestFacts
from common.migration import DiskProbe
from common.place_checks import VOLUME_NOT_LOCATED
from compute_agent.hypervisor.pools import PoolAbsentError, StoragePools
from compute_agent.storage.block import BlockStorage
from compute_agent.storage.driver import Disk, Examined, StorageDriver
from compute_agent.storage.file import FileStorage
from compute_agent.storage.making import ImageNotCopyableError
from compute_agent.storage.volume_maker import place_of

_DRIVERS: Mapping[str, StorageDriver] = {"file": FileStorage(), "block": BlockStorage()}


class VolumeStorage:
    """See `driver.StorageDriver`."""

    def examine(self, disk: Disk, *, host: str, probe_id: str) -> Examined:
        if not disk.path:
            return Examined()
        if disk.obstacle or not disk.place:
            reason = disk.obstacle or "its pool was not asked"
            return Examined(findings=(_not_located(disk.target, disk.path, host, reason),))
        real = replace(disk, type=disk.place_type, path=disk.place)
        examined = _DRIVERS[disk.place_type].examine(real, host=host, probe_id=probe_id)
        probe = examined.probe
        if probe is not None:
            probe = replace(probe, path=disk.path, type=disk.type, place_type=disk.place_type)
        return replace(examined, findings=_renamed(examined.findings, disk.path), probe=probe)

    def write(self, probe: DiskProbe, *, host: str) -> tuple[Finding, ...]:
        return _renamed(_DRIVERS[probe.place_type].write(probe, host=host), probe.path)

    def compare(self, probe: DiskProbe, *, dest: str) -> tuple[Finding, ...]:
        if probe.obstacle or not probe.place:
            reason = probe.obstacle or "its pool was not asked"
            return (_not_located(probe.disk, probe.path, dest, reason),)
        real = replace(probe, type=probe.place_type, path=probe.place)
        return _renamed(_DRIVERS[probe.place_type].compare(real, dest=dest), probe.path)

    def unproven(self, disk: Disk, *, dest: str) -> tuple[Finding, ...]:
        if not disk.path:
            return ()
        return (_not_located(disk.target, disk.path, dest, f"{dest} has not looked at it"),)


def located(disks: Iterable[Disk], pools: StoragePools) -> tuple[Disk, ...]:
    """The same, each volume with its place on this host, or with what keeps it from being found. Raises HypervisorError."""
    return tuple(_located(disk, pools) if _is_volume(disk) else disk for disk in disks)


def located_here(probes: Iterable[DiskProbe], pools: StoragePools) -> tuple[DiskProbe, ...]:
    """On the source: the dest's probes with the places of volumes here. Raises HypervisorError."""
    return tuple(_located_here(probe, pools) if probe.type == "volume" else probe for probe in probes)


def located_guests(guests: Iterable[GuestFacts], pools: StoragePools) -> Iterator[GuestFacts]:
    """The same, each volume as the file or device that it is here; one that cannot be found stays as it is named."""
    for guest in guests:
        yield replace(guest, disks=tuple(_as_it_is(disk, pools) for disk in guest.disks))


def _as_it_is(disk: DiskFacts, pools: StoragePools) -> DiskFacts:
    if disk.type != "volume" or not disk.source:
        return disk
    place = _place(disk.source, pools)
    return replace(disk, type=place.type, source=place.path) if place.path else disk


@dataclass(frozen=True, slots=True)
class _Place:
    type: str = ""
    path: str = ""
    obstacle: str = ""


def _is_volume(disk: Disk) -> bool:
    return disk.type == "volume" and bool(disk.path)


def _located(disk: Disk, pools: StoragePools) -> Disk:
    place = _place(disk.path, pools)
    return replace(disk, place_type=place.type, place=place.path, obstacle=place.obstacle)


def _located_here(probe: DiskProbe, pools: StoragePools) -> DiskProbe:
    place = _place(probe.path, pools)
    if place.type and place.type != probe.place_type:
        place = _Place(obstacle=f"it is a {probe.place_type} there and a {place.type} on the source")
    return replace(probe, place=place.path, obstacle=place.obstacle)


def _place(name: str, pools: StoragePools) -> _Place:
    try:
        kind, path = place_of(pools, name)
    except (PoolAbsentError, ImageNotCopyableError) as error:
        return _Place(obstacle=error.fields["reason"])
    return _Place(type=kind, path=path)


def _renamed(findings: Iterable[Finding], path: str) -> tuple[Finding, ...]:
    """By the disk's own name, POOL/VOLUME."""
    return tuple(_by_name(finding, path) for finding in findings)


def _by_name(finding: Finding, path: str) -> Finding:
    check = {check.code: check for check in (STORAGE_NOT_SHARED, DEVICE_NOT_PROVABLE)}[finding.code]
    evidence = {**finding.evidence, "path": path}
    return check.finding(finding.host, **evidence)


def _not_located(target: str, path: str, host: str, reason: str) -> Finding:
    pool, _, volume = path.partition("/")
    return VOLUME_NOT_LOCATED.finding(host, disk=target, path=path, pool=pool, volume=volume, reason=reason)
