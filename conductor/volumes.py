"""What administrators declare of volumes: how the host attaches a block device, and what its driver needs to know."""

import json
import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from common import wire
from common.errors import DiskNotFoundError, InvalidRequestError, VolumeNotDeclaredError
from common.facts import GuestFacts
from common.volume_views import VolumeFilter, VolumeRequest, VolumeView
from common.volumes import VolumeConnection, joined
from conductor.db import clock, instances
from conductor.db.engine import Database
from conductor.db.models import NAME_MAX_CHARS, Instance
from conductor.db.volume_models import Volume

SERVERS_MAX: Final = 16
PROPERTIES_MAX: Final = 32
VALUE_MAX_CHARS: Final = 1_000

_WORD: Final = re.compile(r"[a-z][a-z0-9_+-]{0,63}")
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):(?P<port>\d{1,5})")
_PORT_MAX: Final = 65_535
_UNIT: Final = re.compile(r".+/\d+$")
# What os-brick's connectors and others call theirs: it would be kept in the database, and travel.
_CONFIDENTIAL: Final = re.compile(r"password|passphrase|passwd|secret|token|keyring|private_key|_key$")


class Volumes:
    """The only writer of declared volumes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def declare(self, request: VolumeRequest, *, by: str) -> VolumeView:
        """Raises InvalidRequestError, InstanceNotFoundError, InstanceAmbiguousError, DiskNotFoundError."""
        volume = _checked(request)

        def change(session: Session) -> VolumeView:
            row = instances.find(session, request.instance)
            facts = instances.facts_of(row)
            types = {disk.target: disk.type for disk in facts.disks}
            if volume.target not in types:
                raise DiskNotFoundError(
                    instance=row.name, disk=volume.target, disks=", ".join(types) or "none"
                )
            lacking = _lacking(volume) if types[volume.target] == "block" else ""
            if lacking:
                raise InvalidRequestError(reason=lacking)
            now_ms = clock.read_ms(session)
            known = session.get(Volume, (row.uuid, volume.target))
            if known is None:
                known = Volume(instance=row.uuid, target=volume.target)
                session.add(known)
            known.connection = json.dumps(wire.to_primitive(volume))
            known.set_at_ms = now_ms
            known.set_by = by
            session.flush()
            (after,) = joined((found for found in facts.volumes if found.target == volume.target), (volume,))
            return _view(row, after, is_declared=True, is_present=True)

        return self._database.transact(change)

    def forget(self, instance: str, target: str) -> VolumeView:
        """As it was; also of a guest that is gone. Raises InstanceNotFoundError, ..., VolumeNotDeclaredError."""

        def change(session: Session) -> VolumeView:
            row = instances.find_ever(session, instance)
            known = session.get(Volume, (row.uuid, target))
            if known is None:
                raise VolumeNotDeclaredError(instance=row.name, disk=f"{target:.80}")
            volume = _connection(known)
            session.delete(known)
            return _view(row, volume, is_declared=False, is_present=_has_disk(row, target))

        return self._database.transact(change)

    def list(self, which: VolumeFilter) -> tuple[VolumeView, ...]:
        """Found and declared, by the guest's name; raises InstanceNotFoundError, InstanceAmbiguousError."""
        with self._database.reading() as session:
            query = select(Instance).order_by(Instance.name, Instance.uuid)
            if which.instance is not None:
                query = query.where(Instance.uuid == instances.find_ever(session, which.instance).uuid)
            declared = declared_volumes(session)
            rows = session.scalars(query.where(Instance.is_present | Instance.uuid.in_(declared))).all()
        return tuple(view for row in rows for view in _views(row, declared.get(row.uuid, ())))


def declared_of(session: Session, guest: GuestFacts) -> tuple[VolumeConnection, ...]:
    """For a migration: of the disks that the guest has."""
    targets = {disk.target for disk in guest.disks}
    rows = session.scalars(select(Volume).where(Volume.instance == guest.uuid).order_by(Volume.target))
    return tuple(_connection(row) for row in rows if row.target in targets)


def declared_volumes(session: Session) -> Mapping[str, tuple[VolumeConnection, ...]]:
    """All of them, by instance."""
    found: dict[str, tuple[VolumeConnection, ...]] = {}
    for row in session.scalars(select(Volume).order_by(Volume.instance, Volume.target)):
        found[row.instance] = (*found.get(row.instance, ()), _connection(row))
    return found


# ---- what is asked


def _checked(request: VolumeRequest) -> VolumeConnection:
    problem = _problem(request)
    if problem:
        raise InvalidRequestError(reason=problem)
    return VolumeConnection(
        target=request.target,
        driver=request.driver,
        name=request.name,
        servers=request.servers,
        is_host_attached=True,
        secret=request.secret,
        properties=dict(request.properties),
    )


def _problem(request: VolumeRequest) -> str:
    """What makes no sense, as a sentence; empty: nothing."""
    if not _WORD.fullmatch(request.target):
        return f"{request.target:.80} is no target of a disk, such as vda."
    if not _WORD.fullmatch(request.driver):
        return f"{request.driver:.80} is no driver, such as iscsi or fibre_channel."
    if not request.name.isprintable() or not 0 < len(request.name) <= NAME_MAX_CHARS:
        return f"A volume's name has 1 to {NAME_MAX_CHARS} printable characters."
    if len(request.secret) > NAME_MAX_CHARS or not request.secret.isprintable():
        return "A secret is named by the uuid or the usage of a libvirt secret."
    if len(request.servers) > SERVERS_MAX:
        return f"At most {SERVERS_MAX} servers can be given."
    for server in request.servers:
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found["port"]) <= _PORT_MAX:
            return f"{server:.80} is no server: write HOST:PORT, of IPv6 [ADDRESS]:PORT."
    return _problem_of_properties(request.properties)


def _lacking(volume: VolumeConnection) -> str:
    """What a host could not attach it without, as a sentence. QEMU's own disks have it in the guest's XML."""
    if volume.driver != "iscsi":
        return ""
    if not volume.servers:
        return "An iSCSI volume needs a server: --server HOST:PORT."
    return "" if _UNIT.search(volume.name) else f"{volume.name:.80} names no unit: write IQN/LUN."


def _problem_of_properties(properties: Mapping[str, str]) -> str:
    if len(properties) > PROPERTIES_MAX:
        return f"At most {PROPERTIES_MAX} properties can be given."
    for key, value in properties.items():
        if not _WORD.fullmatch(key):
            return f"{key:.80} is no name of a property: lower case, digits and underscores."
        if _CONFIDENTIAL.search(key):
            return f"{key} has no place here: make a libvirt secret, and name it with --secret."
        if len(value) > VALUE_MAX_CHARS or not value.isprintable():
            return f"The value of {key} must have at most {VALUE_MAX_CHARS} printable characters."
    return ""


# ---- what is kept and shown


def _connection(row: Volume) -> VolumeConnection:
    return wire.from_primitive(VolumeConnection, json.loads(row.connection), ignore_unknown=True)


def _has_disk(row: Instance, target: str) -> bool:
    return row.is_present and any(disk.target == target for disk in instances.facts_of(row).disks)


def _views(row: Instance, declared: tuple[VolumeConnection, ...]) -> list[VolumeView]:
    found = instances.facts_of(row).volumes if row.is_present else ()
    targets = {volume.target for volume in declared}
    return [
        _view(
            row,
            volume,
            is_declared=volume.target in targets,
            is_present=_has_disk(row, volume.target),
        )
        for volume in joined(found, declared)
    ]


def _view(row: Instance, volume: VolumeConnection, *, is_declared: bool, is_present: bool) -> VolumeView:
    return VolumeView(
        instance_uuid=row.uuid,
        instance_name=row.name,
        target=volume.target,
        driver=volume.driver,
        name=volume.name,
        servers=volume.servers,
        secret=volume.secret,
        properties=volume.properties,
        is_host_attached=volume.is_host_attached,
        is_declared=is_declared,
        is_present=is_present,
    )
