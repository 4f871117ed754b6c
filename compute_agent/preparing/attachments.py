"""Volumes that the host itself attaches: attached on the dest behind the grant, detached on the source before it goes."""

import json
from typing import Final

from common.facts import GuestFacts
from common.states import DiskWay
from common.transfer import TransferPlan
from common.volumes import VolumeConnection
from compute_agent.attaching import Attacher
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.preparing.arrivals import ArrivalRecord, Item
from compute_agent.secret_sources import SecretSources

ATTACHMENT: Final = "attachment"


class Attachments:
    """The half of `VolumePreparation` that knows of block devices."""

    def __init__(self, hypervisor: Hypervisor, *, attacher: Attacher, sources: SecretSources) -> None:
        self._hypervisor = hypervisor
        self._attacher = attacher
        self._sources = sources

    def attach(self, volume: VolumeConnection, record: ArrivalRecord, *, part: str) -> str:
        """Its path here. Raises AttachError, SecretFileError, SecretUnavailableError."""
        item = Item(part=part, kind=ATTACHMENT, name=volume.target, identity=_identity(volume))
        record.write(item)
        password = self._sources.read(volume.secret, uri="")[1].data if volume.secret else None
        path = self._attacher.attach(volume, password=password)
        record.write(Item(part=part, kind=ATTACHMENT, name=volume.target, identity=_identity(volume, path)))
        return path

    def undo(self, item: Item, *, instance: str) -> tuple[str, ...]:
        path = item.identity["path"]
        if self._is_used(path, but=instance):
            return ()
        self._attacher.detach(_volume(item), path)
        return (f"volume {item.identity['export']} was detached",)

    def detach(self, volume: VolumeConnection, plan: TransferPlan, *, instance: str) -> tuple[str, ...]:
        """On the source, where QEMU has let it go."""
        path = next((disk.source for disk in plan.disks if disk.target == volume.target), "")
        if self._is_used(path, but=instance):
            return (f"volume {volume.name} stays attached: another guest here uses it",)
        self._attacher.detach(volume, path)
        return (f"volume {volume.name} was detached",)

    def _is_used(self, path: str, *, but: str) -> bool:
        return bool(path) and any(
            _names(guest, path) for guest in self._hypervisor.list_guests() if guest.uuid != but
        )


def moves(volume: VolumeConnection, plan: TransferPlan) -> bool:
    """Whether anything is to be done for it: not where both hosts have its device already."""
    return not volume.is_host_attached or any(
        disk.target == volume.target and disk.way is DiskWay.VOLUME for disk in plan.disks
    )


def _names(guest: GuestFacts, path: str) -> bool:
    return any(disk.source == path for disk in guest.disks)


def _identity(volume: VolumeConnection, path: str = "") -> dict[str, str]:
    return {
        "driver": volume.driver,
        "export": volume.name,
        "servers": " ".join(volume.servers),
        "properties": json.dumps(dict(volume.properties)),
        "path": path,
    }


def _volume(item: Item) -> VolumeConnection:
    return VolumeConnection(
        target=item.name,
        driver=item.identity["driver"],
        name=item.identity["export"],
        servers=tuple(item.identity["servers"].split()),
        is_host_attached=True,
        properties=json.loads(item.identity["properties"]),
    )
