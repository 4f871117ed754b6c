"""What the database says of a guest that no host can see: put into a migration when it is accepted, and into each check."""

from sqlalchemy.orm import Session

from common.facts import GuestFacts
from common.states import StorageMode
from common.transfer import Declarations, Filtering
from conductor import volumes
from conductor.db import filtering as filterings
from conductor.db import networks


def declarations_of(session: Session, guest: GuestFacts, *, storage: StorageMode) -> Declarations:
    """As they are in this transaction."""
    filtering = filterings.read(session, [guest.uuid]).get(guest.uuid, Filtering())
    return Declarations(
        storage=storage,
        volumes=volumes.declared_of(session, guest),
        networks=networks.needed_by(session, guest),
        filtering=filtering,
        addresses=tuple(
            (port.mac, port.addresses)
            for port in filterings.declared_ports(session, [guest.uuid]).get(guest.uuid, ())
            if port.addresses
        ),
    )
