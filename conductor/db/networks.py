"""Managed networks as rows: found, declared, attached to hosts, and the guests that are in them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from common.errors import NetworkExistsError, NetworkNotFoundError
from common.facts import GuestFacts
from common.network_views import NetworkKind
from common.states import Phase
from common.transfer import ManagedNetwork
from conductor.db import instances, sagas
from conductor.db.models import Host, Instance, Migration
from conductor.db.network_models import Network, NetworkAttachment


def get(session: Session, name: str) -> Network:
    """Raises NetworkNotFoundError."""
    row = session.get(Network, name)
    if row is None:
        raise NetworkNotFoundError(network=name)
    return row


def every(session: Session) -> Sequence[Network]:
    return session.scalars(select(Network).order_by(Network.name)).all()


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Network)) or 0


def refuse_if_taken(session: Session, wanted: Network) -> None:
    """Raise NetworkExistsError for a name, a bridge or a segment that another one has."""
    for row in every(session):
        for what, is_alike in (
            (f"the name {wanted.name}", row.name == wanted.name),
            (f"the bridge {wanted.bridge}", row.bridge == wanted.bridge),
            (_segment(wanted), _segment(row) == _segment(wanted)),
        ):
            if is_alike:
                raise NetworkExistsError(network=row.name, what=what)


def remove(session: Session, row: Network) -> None:
    session.execute(delete(NetworkAttachment).where(NetworkAttachment.network == row.name))
    session.delete(row)


def attach(session: Session, row: Network, host: str) -> None:
    session.merge(NetworkAttachment(network=row.name, host=host))


def detach(session: Session, row: Network, host: str) -> None:
    attachment = session.get(NetworkAttachment, (row.name, host))
    if attachment is not None:
        session.delete(attachment)


def attached(session: Session) -> Mapping[str, tuple[str, ...]]:
    """The hosts of each network, by its name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in session.scalars(select(NetworkAttachment).order_by(NetworkAttachment.host)):
        found[row.network].append(row.host)
    return {network: tuple(names) for network, names in found.items()}


def attached_to(session: Session, host: str) -> tuple[str, ...]:
    query = select(NetworkAttachment.network).where(NetworkAttachment.host == host)
    return tuple(session.scalars(query.order_by(NetworkAttachment.network)))


def guests_in(session: Session, bridge: str) -> tuple[str, ...]:
    """Names of the present guests that have an interface there, and of those whose open migration will need it."""
    present = session.scalars(select(Instance).where(Instance.is_present).order_by(Instance.name))
    named = {row.name for row in present if uses(instances.facts_of(row), bridge)}
    moving = session.scalars(select(Migration).where(Migration.phase != Phase.DONE))
    for saga in map(sagas.saga_of, moving):
        if any(network.bridge == bridge for network in saga.guest.declared.networks):
            named.add(saga.name)
    return tuple(sorted(named))


def needed_by(session: Session, guest: GuestFacts) -> tuple[ManagedNetwork, ...]:
    """The managed networks that the guest's interfaces are in."""
    if not guest.interfaces:
        return ()
    return tuple(managed(row) for row in every(session) if uses(guest, row.bridge))


def uses(guest: GuestFacts, bridge: str) -> bool:
    return any(interface.source == bridge for interface in guest.interfaces)


def vteps(session: Session, *, but: str) -> tuple[str, ...]:
    """The tunnel addresses of all other hosts, as their agents report them."""
    query = select(Host.vtep_address).where(Host.name != but, Host.vtep_address.is_not(None))
    return tuple(address for address in session.scalars(query.order_by(Host.name)) if address)


def managed(row: Network) -> ManagedNetwork:
    """As it travels."""
    properties = {
        "physical": row.physical,
        "group": row.multicast_group,
        "port": row.port,
        "peers": row.peers,
    }
    return ManagedNetwork(
        name=row.name,
        kind=row.kind,
        bridge=row.bridge,
        segment=row.segment,
        mtu=row.mtu,
        properties={name: str(value) for name, value in properties.items() if value},
    )


def _segment(row: Network) -> str:
    if row.kind is NetworkKind.VXLAN:
        return f"VNI {row.segment}"
    return f"VLAN {row.segment} on {row.physical}"
