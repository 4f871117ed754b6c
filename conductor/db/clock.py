"""The database's clock."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from conductor.db.types import now_ms


def read_ms(session: Session) -> int:
    """Milliseconds since 1970; read once for all rows that a transaction writes."""
    return session.execute(select(now_ms())).scalar_one()
