"""Each request that changes something, and the first answer to it, kept longer than a message may be under way."""

from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.orm import Session

from common.errors import RequestReusedError
from conductor.db import clock
from conductor.db.models import Request

MS_PER_S = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a request. `is_ours`: nobody else is carrying it out, so that we may."""

    answer: str | None  # JSON
    is_ours: bool


def begin(
    session: Session, request_id: str, *, signer: str, digest: str, keep_s: float, abandoned_s: float
) -> Known:
    """Enter it before it is carried out, in a transaction of its own: of two that come at once, one does it.

    One that was begun `abandoned_s` ago and never answered was a conductor's that has died: it is ours then. What is
    older than `keep_s` goes. Raises RequestReusedError if the id stands for something else.
    """
    now_ms = clock.read_ms(session)
    row = session.get(Request, request_id)
    if row is not None:
        if (row.signer, row.digest) != (signer, digest):
            raise RequestReusedError(signer=signer, request_id=request_id)
        is_abandoned = row.answer is None and now_ms - row.at_ms >= abandoned_s * MS_PER_S
        if is_abandoned:
            row.at_ms = now_ms
        return Known(answer=row.answer, is_ours=is_abandoned)
    session.execute(delete(Request).where(Request.at_ms < now_ms - round(keep_s * MS_PER_S)))
    session.add(Request(id=request_id, signer=signer, digest=digest, answer=None, at_ms=now_ms))
    return Known(answer=None, is_ours=True)


def keep(session: Session, request_id: str, answer: str) -> str:
    """Keep this answer unless there is one already; the one that counts."""
    row = session.get_one(Request, request_id)
    if row.answer is None:
        row.answer = answer
    return row.answer
