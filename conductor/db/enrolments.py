"""Rows of join codes and of farewells."""

import json
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from common import broker_names
from common.identity import Kind, Principal
from conductor.db import clock
from conductor.db.enrolment_models import Farewell, JoinCode

MS_PER_S = 1_000


def put_code(session: Session, host: str, *, public_key: str, names: Sequence[str], valid_s: int) -> JoinCode:
    """In place of the host's last one. Its user of the broker goes when it expires."""
    now_ms = clock.read_ms(session)
    row = session.merge(
        JoinCode(
            host=host,
            public_key=public_key,
            names=json.dumps(list(names)),
            created_at_ms=now_ms,
            expires_at_ms=now_ms + valid_s * MS_PER_S,
            used_at_ms=None,
            used_by=None,
        )
    )
    part(session, broker_names.joining_user(host), after_s=valid_s)
    return row


def withdraw_code(session: Session, host: str) -> bool:
    """Nobody joins with it any more; whether there was one."""
    row = session.get(JoinCode, host)
    if row is None:
        return False
    session.delete(row)
    part(session, broker_names.joining_user(host), after_s=0)
    return True


def names_of(row: JoinCode) -> tuple[str, ...]:
    return tuple(json.loads(row.names))


def pending_codes(session: Session) -> Sequence[JoinCode]:
    """With which a host may still join."""
    query = select(JoinCode).where(
        JoinCode.used_at_ms.is_(None), JoinCode.expires_at_ms > clock.read_ms(session)
    )
    return session.scalars(query.order_by(JoinCode.host)).all()


def part_host(session: Session, host: str, *, after_s: float) -> None:
    """The host's own user and the queue of its commands."""
    user = broker_names.user_of(Principal(kind=Kind.HOST, name=host))
    part(session, user, after_s=after_s, queue=broker_names.command_queue(host))


def part_administrator(session: Session, name: str, *, after_s: float) -> None:
    part(session, broker_names.user_of(Principal(kind=Kind.ADMINISTRATOR, name=name)), after_s=after_s)


def part(session: Session, user: str, *, after_s: float, queue: str | None = None) -> None:
    """Have this user of the broker removed in so many seconds; said before, it counts no more."""
    due_ms = clock.read_ms(session) + int(after_s * MS_PER_S)
    session.merge(Farewell(broker_user=user, queue=queue, due_at_ms=due_ms))


def keep(session: Session, user: str, *, until_ms: int | None = None) -> None:
    """It is not to go after all, or not before that time."""
    if until_ms is None:
        session.execute(delete(Farewell).where(Farewell.broker_user == user))
    else:
        session.merge(Farewell(broker_user=user, queue=None, due_at_ms=until_ms))


def due(session: Session) -> Sequence[Farewell]:
    return session.scalars(
        select(Farewell).where(Farewell.due_at_ms <= clock.read_ms(session)).order_by(Farewell.broker_user)
    ).all()
