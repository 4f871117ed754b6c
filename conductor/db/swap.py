"""Compare and swap: an update whose WHERE names what was read."""

from typing import Any, cast

from sqlalchemy import CursorResult, Update
from sqlalchemy.orm import Session

from common.errors import ConflictError


def swap(session: Session, statement: Update, *, what: str) -> None:
    """Change exactly one row; raises ConflictError if it is not any more what the statement compares it with."""
    result = cast(CursorResult[Any], session.execute(statement))
    if result.rowcount != 1:
        raise ConflictError(what=what)
