"""Which host reports which guest."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.facts import GuestFacts
from common.wire import to_primitive
from conductor.db.batches import batches
from conductor.db.models import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What is reported of the guests concerned, by guest and host; and which of them are new on the host that told."""

    seen: Mapping[str, Mapping[str, Sighting]]
    first_seen: AbstractSet[str]


def uuids_on(session: Session, host: str) -> set[str]:
    return set(session.scalars(select(Sighting.instance).where(Sighting.host == host)))


def note(
    session: Session,
    host: str,
    *,
    told: Mapping[str, GuestFacts],
    gone: AbstractSet[str],
    concerned: Sequence[str],
) -> Noted:
    """Write what one host tells; all that is then reported of the guests concerned."""
    seen: defaultdict[str, dict[str, Sighting]] = defaultdict(dict)
    for uuids in batches(concerned):
        for row in session.scalars(select(Sighting).where(Sighting.instance.in_(uuids))):
            seen[row.instance][row.host] = row
    first_seen = {uuid for uuid in told if host not in seen[uuid]}
    for uuid, facts in told.items():
        seen[uuid][host] = _noted(session, host, facts, seen[uuid].get(host))
    for uuid in gone:
        row_gone = seen[uuid].pop(host, None)
        if row_gone is not None:
            session.delete(row_gone)
    return Noted(seen=seen, first_seen=first_seen)


def _noted(session: Session, host: str, facts: GuestFacts, row: Sighting | None) -> Sighting:
    if row is None:
        row = Sighting(instance=facts.uuid, host=host)
        session.add(row)
    row.power_state = facts.power_state
    row.memory_mib = facts.memory_mib
    row.facts = json.dumps(to_primitive(facts))
    return row
