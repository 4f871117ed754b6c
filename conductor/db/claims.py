"""What is taken on each host: its guests, and what open migrations claim there."""

from collections.abc import Mapping

from sqlalchemy import delete, func, insert, select, union_all
from sqlalchemy.orm import Session

from common.states import PowerState
from conductor.db.models import Claim, Instance, Sighting


def claim(session: Session, *, migration: str, instance: str, host: str, memory_mib: int, vcpus: int) -> None:
    """Take it for this migration; whether it fits is checked before, in the same transaction.

    SQLite's writers come one after the other, so that no other claim slips in between. Another dialect would have to
    lock the host's row first.
    """
    session.execute(
        insert(Claim).values(
            migration=migration, instance=instance, host=host, memory_mib=memory_mib, vcpus=vcpus
        )
    )


def release(session: Session, migration: str, *, host: str | None = None) -> None:
    """Give back what the migration holds: on one host, or everywhere."""
    condition = [Claim.migration == migration]
    if host is not None:
        condition.append(Claim.host == host)
    session.execute(delete(Claim).where(*condition))


def used_mib(session: Session) -> Mapping[str, int]:
    """Memory that is taken, by host. A guest counts once on each host where it runs, is seen, or is claimed for."""
    taken = union_all(
        select(Instance.host, Instance.uuid.label("instance"), Instance.memory_mib).where(
            Instance.is_present, Instance.power_state != PowerState.SHUTOFF
        ),
        select(Sighting.host, Sighting.instance, Sighting.memory_mib).where(
            Sighting.power_state != PowerState.SHUTOFF
        ),
        select(Claim.host, Claim.instance, Claim.memory_mib),
    ).subquery()
    by_guest = (
        select(taken.c.host, func.max(taken.c.memory_mib).label("memory_mib"))
        .group_by(taken.c.host, taken.c.instance)
        .subquery()
    )
    query = select(by_guest.c.host, func.sum(by_guest.c.memory_mib)).group_by(by_guest.c.host)
    return {host: int(memory_mib) for host, memory_mib in session.execute(query)}
