"""Disks on servers: this host is let in before the guest comes, and kept out when it has left.

Nothing of a volume is copied. A grant is for a host, and several guests may come by one: it is withdrawn when none of those
that are here, or on their way, needs it any more.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace

from common import concurrency
from common.migration import DomainChanges
from common.transfer import DiskChange
from common.volumes import VolumeConnection
from compute_agent.attaching import Attacher
from compute_agent.grants import Access, GrantDriver
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.preparing.arrivals import Arrivals, Item
from compute_agent.preparing.attachments import ATTACHMENT, Attachments, moves
from compute_agent.preparing.preparation import Arrival, Departure, Preparation, Prepared, Released, Undoing
from compute_agent.secret_sources import SecretSources
from compute_agent.settings import Settings

# Kinds of items. What was given before, and for no guest that is on its way here, is not ours to take away.
_GRANT = "grant"
_USE = "use"
_WAIT_S = 3600.0  # for one volume: its driver bounds itself

LOG = logging.getLogger(__name__)


class VolumePreparation(Preparation):
    """See `preparation.Preparation`."""

    name = "volumes"

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        grants: GrantDriver,
        attacher: Attacher,
        arrivals: Arrivals,
        settings: Settings,
    ) -> None:
        self._hypervisor = hypervisor
        sources = SecretSources(path=settings.volumes.secrets_path, secrets=hypervisor)
        self._attachments = Attachments(hypervisor, attacher=attacher, sources=sources)
        self._grants = grants
        self._arrivals = arrivals
        self._settings = settings
        self._locks: dict[str, threading.Lock] = {}  # by grant: as many as this host has ever seen volumes

    # ---- on the dest

    def prepare(self, arrival: Arrival) -> Prepared:
        """All of them beside each other; the first that fails is told when all have ended."""
        moving = [volume for volume in arrival.plan.volumes if moves(volume, arrival.plan)]
        tasks = [concurrency.spawn(self._connect, arrival, volume) for volume in moving]
        results = [_ended(task) for task in tasks]
        for result in results:
            if isinstance(result, Exception):
                raise result
        changes = (result for result in results if isinstance(result, DiskChange))
        by_target = {change.target: change for change in changes}  # a disk and the images below it: one name
        return Prepared(changes=DomainChanges(disks=tuple(by_target.values())))

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        return tuple(
            sentence
            for item in reversed(undoing.record.items(self.name))
            for sentence in self._undo_item(item, undoing)
        )

    def _connect(self, arrival: Arrival, volume: VolumeConnection) -> DiskChange | None:
        """What of the disk's XML is another here."""
        self._let_in(arrival, volume)
        if not volume.is_host_attached:
            return self._change(volume)
        path = self._attachments.attach(volume, arrival.record, part=self.name)
        return DiskChange(target=volume.target, source={"dev": path})

    def _let_in(self, arrival: Arrival, volume: VolumeConnection) -> None:
        access = self._access(arrival.instance, volume, initiator=self._initiator(volume))
        if not self._grants.concerns(access) or not _changes_hands(volume, access.initiator):
            return
        item = Item(part=self.name, kind=_GRANT, name=access.name, identity=_identity(access))
        with self._lock(access):
            is_ours = any(
                known.kind == _GRANT and known.name == item.name
                for record in (arrival.record, *self._arrivals.all())
                for known in record.items(self.name)
            )
            arrival.record.write(item)
            if not self._grants.grant(access) and not is_ours:
                arrival.record.write(replace(item, kind=_USE))
                arrival.record.forget(item)

    def _undo_item(self, item: Item, undoing: Undoing) -> tuple[str, ...]:
        if item.kind == ATTACHMENT:
            sentences = self._attachments.undo(item, instance=undoing.instance)
            undoing.record.forget(item)
            return sentences
        access = _access_of(item, host=self._settings.host, instance=undoing.instance)
        with self._lock(access):
            is_ours = item.kind == _GRANT and not self._is_needed(access, migration=undoing.migration)
            if is_ours:
                self._grants.withdraw(access)
            undoing.record.forget(item)
        return (f"access to {access.name} was withdrawn",) if is_ours else ()

    def _initiator(self, volume: VolumeConnection) -> str:
        """By which this host comes; of QEMU only where the XML names one, since only that can be replaced."""
        if volume.is_host_attached:
            return self._settings.volumes.host_initiator if volume.driver == "iscsi" else ""
        return (self._settings.volumes.initiator or volume.initiator) if volume.initiator else ""

    def _change(self, volume: VolumeConnection) -> DiskChange | None:
        initiator = self._initiator(volume)
        if initiator == volume.initiator:
            return None
        return DiskChange(target=volume.target, initiator=initiator)

    # ---- on the source

    def release(self, departure: Departure) -> Released:
        plan = departure.plan
        moved = [volume for volume in plan.volumes if moves(volume, plan)]
        sentences = [
            sentence
            for volume in moved
            if volume.is_host_attached
            for sentence in self._attachments.detach(volume, plan, instance=departure.instance)
        ]
        sentences += [sentence for volume in moved for sentence in self._keep_out(departure, volume)]
        return Released(sentences=tuple(dict.fromkeys(sentences)))

    def _keep_out(self, departure: Departure, volume: VolumeConnection) -> Iterable[str]:
        initiator = self._initiator(volume) if volume.is_host_attached else volume.initiator
        access = self._access(departure.instance, volume, initiator=initiator)
        on_dest = departure.dest.initiator or volume.initiator
        if not self._grants.concerns(access) or not _changes_hands(volume, on_dest):
            return
        with self._lock(access):
            if self._is_needed(access, migration=departure.migration):
                yield f"access to {access.name} stays: another guest here needs it"
                return
            self._grants.withdraw(access)
        yield f"access to {access.name} was withdrawn"

    # ---- within

    def _access(self, instance: str, volume: VolumeConnection, *, initiator: str) -> Access:
        return Access(host=self._settings.host, instance=instance, volume=volume, initiator=initiator)

    def _is_needed(self, access: Access, *, migration: str) -> bool:
        """Whether another guest of this host, or one that is to come, gets at a volume by the same grant."""
        for record in self._arrivals.all():
            if record.migration != migration and any(
                item.name == access.name for item in record.items(self.name)
            ):
                return True
        return any(
            _by_same_grant(access, volume)
            for guest in self._hypervisor.list_guests()
            if guest.uuid != access.instance
            for volume in guest.volumes
        )

    def _lock(self, access: Access) -> threading.Lock:
        return self._locks.setdefault(access.name, threading.Lock())


def _changes_hands(volume: VolumeConnection, on_dest: str) -> bool:
    """Whether the server tells the hosts apart. By one and the same name both are let in, or none."""
    if volume.is_host_attached or volume.driver != "iscsi":
        return True
    return bool(volume.initiator) and on_dest != volume.initiator


def _by_same_grant(access: Access, volume: VolumeConnection) -> bool:
    other = Access(host=access.host, instance="", volume=volume)
    is_by_this_host = volume.is_host_attached or volume.initiator == access.initiator
    return other.name == access.name and is_by_this_host


def _identity(access: Access) -> dict[str, str]:
    """All that is needed to take it back. A record outlives the plan."""
    volume = access.volume
    return {
        "driver": volume.driver,
        "export": volume.name,
        "servers": " ".join(volume.servers),
        "target": volume.target,
        "initiator": access.initiator,
    }


def _access_of(item: Item, *, host: str, instance: str) -> Access:
    volume = VolumeConnection(
        target=item.identity["target"],
        driver=item.identity["driver"],
        name=item.identity["export"],
        servers=tuple(item.identity["servers"].split()),
        initiator=item.identity["initiator"],
    )
    return Access(host=host, instance=instance, volume=volume, initiator=volume.initiator)


def _ended(task: concurrency.Task[DiskChange | None]) -> DiskChange | Exception | None:
    try:
        return task.wait(_WAIT_S)
    except Exception as error:  # noqa: BLE001 (raised by who waits for all of them)
        return error
