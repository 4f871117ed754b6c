"""The audit: only ever added to, up to its bound."""

from collections.abc import Sequence

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from common.log import printable
from common.states import AuditResult
from common.views import AuditFilter
from conductor.db import clock
from conductor.db.models import NAME_MAX_CHARS, Audit

ENTRIES_MAX = 200_000  # some 50 MB; then the oldest go
# Anybody who reaches the message bus can make these: they must not push out what was really done.
REJECTED_MAX = 10_000
BY_HAND = "limosa-conductor"  # the program
TEXT_MAX_CHARS = 1_000


def note(
    session: Session,
    *,
    signer: str,
    method: str,
    target: str,
    result: AuditResult,
    detail: str,
    request_id: str,
) -> None:
    """Add a line. What a stranger has sent is made harmless, and cut to what a line may hold."""
    session.add(
        Audit(
            at_ms=clock.read_ms(session),
            signer=printable(signer)[:NAME_MAX_CHARS],
            method=printable(method)[:NAME_MAX_CHARS],
            target=printable(target)[:TEXT_MAX_CHARS],
            result=result,
            detail=printable(detail)[:TEXT_MAX_CHARS],
            request_id=printable(request_id)[:NAME_MAX_CHARS],
        )
    )
    session.flush()
    is_rejected = Audit.result == AuditResult.REJECTED
    most, alike = (
        (REJECTED_MAX, is_rejected) if result is AuditResult.REJECTED else (ENTRIES_MAX, ~is_rejected)
    )
    oldest = session.scalars(
        select(Audit.id).where(alike).order_by(Audit.id.desc()).offset(most).limit(1)
    ).first()
    if oldest is not None:
        session.execute(delete(Audit).where(alike, Audit.id <= oldest))


def note_by_hand(session: Session, method: str, target: str) -> None:
    """Add a line of what was done on a controller, by whoever may write the database."""
    note(
        session,
        signer=BY_HAND,
        method=method,
        target=target,
        result=AuditResult.DONE,
        detail="",
        request_id="",
    )


def read(session: Session, which: AuditFilter) -> Sequence[Audit]:
    """The newest first."""
    query = select(Audit).order_by(Audit.id.desc()).limit(which.limit)
    if which.signer is not None:
        query = query.where(
            or_(Audit.signer == which.signer, Audit.signer.endswith(f":{which.signer}", autoescape=True))
        )
    if which.result is not None:
        query = query.where(Audit.result == which.result)
    return session.scalars(query).all()
