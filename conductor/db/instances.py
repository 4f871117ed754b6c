"""Instances as rows: found by name or uuid, claimed by a migration, released at its end."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from common.errors import InstanceAmbiguousError, InstanceNotFoundError
from common.facts import GuestFacts
from common.states import TaskState
from common.wire import from_primitive
from conductor.db.batches import batches
from conductor.db.models import Instance, Sighting
from conductor.db.swap import swap
from conductor.prechecks import GuestStatus

GENERATION_EPOCHS = 2**20  # of one guest, between two restorations: a migration takes six to some tens
CANDIDATES_MAX = 20  # of an ambiguous name, in one sentence


def find(session: Session, name_or_uuid: str) -> Instance:
    """The one instance that is meant; raises InstanceNotFoundError, InstanceAmbiguousError with the candidates."""
    by_uuid = session.get(Instance, name_or_uuid.lower())
    if by_uuid is not None and by_uuid.is_present:
        return by_uuid
    return _the_one(_named(session, name_or_uuid, is_present=True), name_or_uuid)


def find_ever(session: Session, name_or_uuid: str) -> Instance:
    """The one that is or was meant: by uuid whether it is gone or not, by name a gone one only if none is there.

    Raises InstanceNotFoundError, InstanceAmbiguousError with the candidates.
    """
    by_uuid = session.get(Instance, name_or_uuid.lower())
    if by_uuid is not None:
        return by_uuid
    named = _named(session, name_or_uuid, is_present=True) or _named(session, name_or_uuid, is_present=False)
    return _the_one(named, name_or_uuid)


def _named(session: Session, name: str, *, is_present: bool) -> Sequence[Instance]:
    query = select(Instance).where(Instance.name == name, Instance.is_present == is_present)
    return session.scalars(query.order_by(Instance.uuid)).all()


def _the_one(named: Sequence[Instance], name: str) -> Instance:
    if not named:
        raise InstanceNotFoundError(instance=name)
    if len(named) > 1:
        shown = [
            f"{row.uuid} {'on' if row.is_present else 'gone from'} {row.host}"
            for row in named[:CANDIDATES_MAX]
        ]
        if len(named) > CANDIDATES_MAX:
            shown.append(f"and {len(named) - CANDIDATES_MAX} more")
        raise InstanceAmbiguousError(instance=name, count=len(named), candidates=", ".join(shown))
    return named[0]


def read(session: Session, uuids: Sequence[str]) -> Mapping[str, Instance]:
    """The rows of those that were ever seen, gone ones too; held until the transaction ends."""
    return {
        row.uuid: row
        for part in batches(uuids)
        for row in session.scalars(select(Instance).where(Instance.uuid.in_(part)).with_for_update())
    }


def uuids_on(session: Session, host: str) -> set[str]:
    return set(session.scalars(select(Instance.uuid).where(Instance.host == host, Instance.is_present)))


def count_by_host(session: Session) -> Mapping[str, int]:
    query = select(Instance.host, func.count()).where(Instance.is_present).group_by(Instance.host)
    return {host: int(count) for host, count in session.execute(query)}


def floors(session: Session) -> Sequence[tuple[str, int]]:
    """Every instance that was ever commanded about, with its newest epoch; those that are gone, too (rule 7)."""
    query = select(Instance.uuid, Instance.epoch).where(Instance.epoch > 0).order_by(Instance.uuid)
    return [(uuid, epoch) for uuid, epoch in session.execute(query)]


def raise_epochs(session: Session) -> int:
    """Leave a generation's worth of epochs to commands that this database has forgotten (rule 27); how many counters."""
    session.execute(update(Instance).values(epoch=Instance.epoch + GENERATION_EPOCHS))
    return session.scalar(select(func.count()).select_from(Instance)) or 0


def _first_epoch(session: Session) -> int:
    """Of a guest that this database does not know: 0, or where it was restored the epoch of its generation.

    The guest may have been known before, and commanded.
    """
    newest = session.scalar(select(func.max(Instance.epoch))) or 0
    return newest - newest % GENERATION_EPOCHS


def add(session: Session, uuid: str, sighting: Sighting, now_ms: int) -> Instance:
    """A guest that is seen for the first time."""
    facts = facts_of(sighting)
    row = Instance(
        uuid=uuid,
        name=facts.name,
        host=sighting.host,
        is_present=True,
        power_state=facts.power_state,
        memory_mib=facts.memory_mib,
        vcpus=facts.vcpus,
        epoch=_first_epoch(session),
        facts=sighting.facts,
        updated_at_ms=now_ms,
    )
    session.add(row)
    return row


def facts_of(row: Instance | Sighting) -> GuestFacts:
    return from_primitive(GuestFacts, json.loads(row.facts))


def conflicts(session: Session, rows: Iterable[Instance]) -> Mapping[str, tuple[str, ...]]:
    """The hosts that have each guest, for those that more than one host has and that nobody is moving."""
    idle = {row.uuid: row.host for row in rows if row.migration is None}
    hosts: defaultdict[str, set[str]] = defaultdict(set)
    for uuids in batches(list(idle)):
        for sighting in session.scalars(select(Sighting).where(Sighting.instance.in_(uuids))):
            hosts[sighting.instance].add(sighting.host)
    found = {uuid: seen | {idle[uuid]} for uuid, seen in hosts.items()}
    return {uuid: tuple(sorted(seen)) for uuid, seen in found.items() if len(seen) > 1}


def status(session: Session, row: Instance) -> GuestStatus:
    """What the checks look at."""
    return GuestStatus(
        uuid=row.uuid,
        name=row.name,
        host=row.host,
        power_state=row.power_state,
        memory_mib=row.memory_mib,
        vcpus=row.vcpus,
        migration=row.migration,
        conflict=conflicts(session, [row]).get(row.uuid, ()),
    )


def take(session: Session, uuid: str, *, host: str, migration: str) -> None:
    """Claim a free instance for a migration: compare-and-swap on task_state; raises ConflictError."""
    statement = (
        update(Instance)
        .where(
            Instance.uuid == uuid, Instance.host == host, Instance.task_state.is_(None), Instance.is_present
        )
        .values(task_state=TaskState.MIGRATING, migration=migration)
    )
    swap(session, statement, what=f"instance {uuid}")


def move(session: Session, uuid: str, *, migration: str, epoch_before: int, epoch: int, host: str) -> None:
    """Write what its open migration has decided; raises ConflictError if another epoch was committed meanwhile."""
    statement = (
        update(Instance)
        .where(Instance.uuid == uuid, Instance.migration == migration, Instance.epoch == epoch_before)
        .values(epoch=epoch, host=host)
    )
    swap(session, statement, what=f"instance {uuid}")


def free(session: Session, uuid: str, *, clean_host: str | None, now_ms: int) -> None:
    """End of a migration: what its host last reported is shown again.

    `clean_host` has answered that the guest is not there any more: its last report, perhaps older, is no conflict.
    """
    if clean_host is not None:
        session.execute(delete(Sighting).where(Sighting.instance == uuid, Sighting.host == clean_host))
    row = session.get_one(Instance, uuid, populate_existing=True)
    row.task_state = None
    row.migration = None
    row.updated_at_ms = now_ms
    sighting = session.get(Sighting, (uuid, row.host))
    if sighting is not None:
        show(row, sighting)


def show(row: Instance, sighting: Sighting) -> bool:
    """Take over what the instance's own host reports; whether that is anything new."""
    if row.facts == sighting.facts:
        return False
    facts = facts_of(sighting)
    row.name = facts.name
    row.power_state = facts.power_state
    row.memory_mib = facts.memory_mib
    row.vcpus = facts.vcpus
    row.facts = sighting.facts
    return True
