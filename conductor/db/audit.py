"""The audit: only ever added to, up to its bound."""

from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from common.states import AuditResult
from common.views import AuditFilter
from conductor.db import clock
from conductor.db.models import NAME_MAX_CHARS, Audit

ENTRIES_MAX = 200_000  # some 50 MB; then the oldest go
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
    """Add a line. What a stranger has sent is cut to what a line may hold."""
    session.add(
        Audit(
            at_ms=clock.read_ms(session),
            signer=signer[:NAME_MAX_CHARS],
            method=method[:NAME_MAX_CHARS],
            target=target[:TEXT_MAX_CHARS],
            result=result,
            detail=detail[:TEXT_MAX_CHARS],
            request_id=request_id[:NAME_MAX_CHARS],
        )
    )
    session.flush()
    newest = session.execute(select(func.max(Audit.id))).scalar_one()
    session.execute(delete(Audit).where(Audit.id <= newest - ENTRIES_MAX))


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
