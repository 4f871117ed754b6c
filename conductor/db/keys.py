"""Whose keys are registered: hosts, and administrators with their roles."""

import json
from collections.abc import Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from common.errors import AdministratorExistsError, AdministratorNotFoundError, KeyTakenError
from common.states import Role
from conductor.db import clock
from conductor.db.models import Administrator, HostKey

MS_PER_DAY = 86_400_000


def add_host(session: Session, host: str, public_key: str, *, names: Sequence[str] = ()) -> bool:
    """Register a host's key, or replace it; whether it was known before. Raises KeyTakenError.

    `names` are those that its certificate is to have besides.
    """
    refuse_if_taken(session, public_key, name=host)
    is_known = session.get(HostKey, host) is not None
    session.merge(
        HostKey(
            host=host,
            public_key=public_key,
            added_at_ms=clock.read_ms(session),
            names=json.dumps(list(names)),
        )
    )
    return is_known


def remove_host(session: Session, host: str) -> bool:
    """From now on nothing that it says is believed; whether it was known."""
    row = session.get(HostKey, host)
    if row is not None:
        session.delete(row)
    return row is not None


def names_of(row: HostKey) -> tuple[str, ...]:
    """What was declared besides its own."""
    return tuple(json.loads(row.names or "[]"))


def list_hosts(session: Session) -> Sequence[HostKey]:
    return session.scalars(select(HostKey).order_by(HostKey.host)).all()


def add_administrator(
    session: Session, name: str, *, role: Role, public_key: str, by: str, valid_days: int | None
) -> Administrator:
    """Raises AdministratorExistsError, also for a name whose key was revoked. Registered twice alike is once."""
    known = session.get(Administrator, name)
    if known is not None:
        if (known.role, known.public_key, known.revoked_at_ms) == (role, public_key, None):
            return known
        raise AdministratorExistsError(name=name)
    refuse_if_taken(session, public_key, name=name)
    now_ms = clock.read_ms(session)
    row = Administrator(
        name=name,
        role=role,
        public_key=public_key,
        created_at_ms=now_ms,
        created_by=by,
        expires_at_ms=None if valid_days is None else now_ms + valid_days * MS_PER_DAY,
    )
    session.add(row)
    return row


def refuse_if_taken(session: Session, public_key: str, *, name: str) -> None:
    """Raises KeyTakenError. Keys are compared as text: all of them were written by us."""
    hosts = session.scalars(
        select(HostKey.host).where(HostKey.public_key == public_key, HostKey.host != name)
    )
    people = session.scalars(
        select(Administrator.name).where(Administrator.public_key == public_key, Administrator.name != name)
    )
    for holder in (*hosts, *people):
        raise KeyTakenError(name=name, holder=holder)


def get_administrator(session: Session, name: str) -> Administrator:
    """Raises AdministratorNotFoundError."""
    row = session.get(Administrator, name)
    if row is None:
        raise AdministratorNotFoundError(name=name)
    return row


def list_administrators(session: Session) -> Sequence[Administrator]:
    return session.scalars(select(Administrator).order_by(Administrator.name)).all()


def count_admins(session: Session) -> int:
    """How many there are whose key counts and who may, as shipped, register others."""
    query = (
        select(func.count())
        .select_from(Administrator)
        .where(
            Administrator.role == Role.ADMIN,
            Administrator.revoked_at_ms.is_(None),
            or_(Administrator.expires_at_ms.is_(None), Administrator.expires_at_ms > clock.read_ms(session)),
        )
    )
    return int(session.execute(query).scalar_one())
