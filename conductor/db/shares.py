"""What each guest takes of a host: one row a guest, where `conductor.db.claims` only sums their memory up."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import literal, null, select, union_all
from sqlalchemy.orm import Session

from common.facts import GuestFacts
from common.states import PowerState
from common.wire import from_primitive
from conductor.db.batches import batches
from conductor.db.models import Claim, Instance, Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One guest on one host. A guest counts once on each host where it is, is seen, or is claimed for."""

    instance: str
    name: str
    vcpus: int
    memory_mib: int
    power_state: PowerState | None  # None: it is not there, a migration holds room for it
    migration: str | None  # the open one that holds room for it here
    claimed_disk_mib: int = 0  # of that, for disks that are copied here

    @property
    def is_taken(self) -> bool:
        """Whether it takes its share now: one that is off takes nothing until it is started."""
        return self.migration is not None or self.power_state is not PowerState.SHUTOFF

    @property
    def is_claim_only(self) -> bool:
        return self.power_state is None


def read(session: Session, host: str | None = None) -> Mapping[str, Sequence[Share]]:
    """The guests of one host, or of all, by host; each host's by name."""
    found: dict[tuple[str, str], Share] = {}
    for on_host, share in _every(session, host):
        key = (on_host, share.instance)
        found[key] = _joined(found[key], share) if key in found else share
    by_host: defaultdict[str, list[Share]] = defaultdict(list)
    for (on_host, _), share in sorted(found.items(), key=lambda item: (item[1].name, item[1].instance)):
        by_host[on_host].append(share)
    return by_host


def disks_gib(session: Session, shares: Sequence[Share]) -> Mapping[str, int]:
    """The virtual sizes of each guest's own disks, by uuid; 0 where it has none, or they are not known."""
    return {
        uuid: from_primitive(GuestFacts, json.loads(facts)).disk_gib
        for uuids in batches([share.instance for share in shares])
        for uuid, facts in session.execute(
            select(Instance.uuid, Instance.facts).where(Instance.uuid.in_(uuids))
        )
    }


def _joined(first: Share, second: Share) -> Share:
    """Two rows of one guest on one host: what is taken counts, and of that the larger."""
    taken = [share for share in (first, second) if share.is_taken] or [first, second]
    return replace(
        first,
        vcpus=max(share.vcpus for share in taken),
        memory_mib=max(share.memory_mib for share in taken),
        power_state=next((s.power_state for s in taken if s.power_state is not None), first.power_state),
        migration=first.migration or second.migration,
        claimed_disk_mib=max(first.claimed_disk_mib, second.claimed_disk_mib),
    )


def _every(session: Session, host: str | None) -> Iterator[tuple[str, Share]]:
    """What says that a guest is there: its row, what the host reports, and claims."""
    rows = union_all(
        select(
            Instance.host,
            Instance.uuid.label("instance"),
            Instance.name,
            Instance.vcpus,
            Instance.memory_mib,
            Instance.power_state,
            null().label("migration"),
            literal(0).label("disk_mib"),
        ).where(Instance.is_present),
        select(
            Sighting.host,
            Sighting.instance,
            Instance.name,
            Instance.vcpus,
            Sighting.memory_mib,
            Sighting.power_state,
            null(),
            literal(0),
        ).join(Instance, Instance.uuid == Sighting.instance),
        select(
            Claim.host,
            Claim.instance,
            Instance.name,
            Claim.vcpus,
            Claim.memory_mib,
            null(),
            Claim.migration,
            Claim.disk_mib,
        ).join(Instance, Instance.uuid == Claim.instance),
    ).subquery()
    query = select(rows) if host is None else select(rows).where(rows.c.host == host)
    for on_host, uuid, name, vcpus, memory_mib, power_state, migration, disk_mib in session.execute(query):
        yield (
            on_host,
            Share(
                instance=uuid,
                name=name,
                vcpus=vcpus,
                memory_mib=memory_mib,
                power_state=power_state,
                migration=migration,
                claimed_disk_mib=disk_mib,
            ),
        )
