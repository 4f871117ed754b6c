"""The first answer to each request that changed something, kept longer than a message may be under way."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from common.errors import RequestReusedError
from conductor.db import clock
from conductor.db.models import Request

MS_PER_S = 1000


def find(session: Session, request_id: str, *, signer: str, digest: str) -> str | None:
    """The answer that was given, as JSON; raises RequestReusedError if the id stood for something else."""
    row = session.get(Request, request_id)
    if row is None:
        return None
    if (row.signer, row.digest) != (signer, digest):
        raise RequestReusedError(signer=signer, request_id=request_id)
    return row.answer


def keep(session: Session, request_id: str, *, signer: str, digest: str, answer: str, keep_s: float) -> str:
    """Keep this answer unless there is one already; the one that counts. What is older than `keep_s` goes."""
    first = find(session, request_id, signer=signer, digest=digest)
    if first is not None:
        return first
    now_ms = clock.read_ms(session)
    session.execute(delete(Request).where(Request.at_ms < now_ms - round(keep_s * MS_PER_S)))
    session.add(Request(id=request_id, signer=signer, digest=digest, answer=answer, at_ms=now_ms))
    return answer
