"""What is taken on each host: its guests, and what open migrations claim there."""

from collections.abc import Mapping

from sqlalchemy import delete, func, insert, select, union_all, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.states import PowerState
from conductor.db.models import Claim, Instance, Sighting

Amount = InstrumentedAttribute[int]


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


def claim_disk(session: Session, migration: str, *, host: str, disk_mib: int) -> None:
    """Take disk space besides: what is copied is known only when the source has looked at its guest."""
    held = (Claim.migration == migration, Claim.host == host)
    session.execute(update(Claim).where(*held).values(disk_mib=disk_mib))


def claimed_disk_mib(session: Session) -> Mapping[str, int]:
    """By host. A guest's disks that are there already stand in its file system's own figures."""
    query = select(Claim.host, func.sum(Claim.disk_mib)).group_by(Claim.host)
    return {host: int(amount) for host, amount in session.execute(query)}


def release(session: Session, migration: str, *, host: str | None = None) -> None:
    """Give back what the migration holds: on one host, or everywhere."""
    condition = [Claim.migration == migration]
    if host is not None:
        condition.append(Claim.host == host)
    session.execute(delete(Claim).where(*condition))


def used_mib(session: Session) -> Mapping[str, int]:
    """Memory that is taken, by host. A guest counts once on each host where it runs, is seen, or is claimed for."""
    return _used(session, Instance.memory_mib, Sighting.memory_mib, Claim.memory_mib)


def used_vcpus(session: Session) -> Mapping[str, int]:
    """Virtual CPUs that are taken, likewise; a sighting of a guest counts those of its instance."""
    return _used(session, Instance.vcpus, Instance.vcpus, Claim.vcpus)


def _used(session: Session, of_instance: Amount, of_sighting: Amount, of_claim: Amount) -> Mapping[str, int]:
    taken = union_all(
        select(Instance.host, Instance.uuid.label("instance"), of_instance.label("amount")).where(
            Instance.is_present, Instance.power_state != PowerState.SHUTOFF
        ),
        select(Sighting.host, Sighting.instance, of_sighting.label("amount"))
        .join(Instance, Instance.uuid == Sighting.instance)
        .where(Sighting.power_state != PowerState.SHUTOFF),
        select(Claim.host, Claim.instance, of_claim.label("amount")),
    ).subquery()
    by_guest = (
        select(taken.c.host, func.max(taken.c.amount).label("amount"))
        .group_by(taken.c.host, taken.c.instance)
        .subquery()
    )
    query = select(by_guest.c.host, func.sum(by_guest.c.amount)).group_by(by_guest.c.host)
    return {host: int(amount) for host, amount in session.execute(query)}
