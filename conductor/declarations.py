"""What the database says of a guest that no host can see: put into a migration when it is accepted, and into each check."""

from sqlalchemy.orm import Session

from common.facts import GuestFacts
from common.states import StorageMode
from common.transfer import Declarations


def declarations_of(session: Session, guest: GuestFacts, *, storage: StorageMode) -> Declarations:  # noqa: ARG001
    """As they are in this transaction."""
    return Declarations(storage=storage)
