"""Administrators declare networks, and the hosts where one is to stand in any case. Making them is the agents' affair."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from common.errors import InvalidRequestError, NetworkInUseError
from common.facts import HostFacts
from common.network_views import HostNetworks, NetworkRequest, NetworkView
from conductor.db import clock, hosts, networks
from conductor.db.engine import Database
from conductor.db.network_models import Network
from conductor.network_rules import completed
from conductor.presentation import iso

NETWORKS_MAX = 1_000  # an agent is told all of them in one message
SHOWN_MAX = 10  # guests or hosts in one sentence

LOG = logging.getLogger(__name__)


class Networks:
    """The only writer of networks and of their attachments."""

    def __init__(self, database: Database, tell: Callable[[], None]) -> None:
        """`tell`: something has changed of which the agents are to hear."""
        self._database = database
        self._tell = tell

    def create(self, request: NetworkRequest, *, by: str) -> NetworkView:
        """Declared twice alike is declared once. Raises InvalidRequestError, NetworkExistsError."""
        wanted = completed(request)

        def add(session: Session) -> NetworkView:
            row = _row(wanted, by=by, now_ms=clock.read_ms(session))
            known = session.get(Network, row.name)
            if known is not None and networks.managed(known) == networks.managed(row):
                return _view(session, known)
            networks.refuse_if_taken(session, row)
            if networks.count(session) >= NETWORKS_MAX:
                raise InvalidRequestError(reason=f"There are {NETWORKS_MAX} networks, and cannot be more.")
            session.add(row)
            session.flush()
            return _view(session, row)

        view = self._database.transact(add)
        LOG.info(
            "%s declares network %s: %s %d on bridge %s", by, view.name, view.kind, view.segment, view.bridge
        )
        self._tell()
        return view

    def list(self) -> tuple[NetworkView, ...]:
        with self._database.reading() as session:
            return _views(session, networks.every(session))

    def show(self, name: str) -> NetworkView:
        """With its guests; raises NetworkNotFoundError."""
        with self._database.reading() as session:
            return _view(session, networks.get(session, name), has_guests=True)

    def delete(self, name: str, *, by: str) -> NetworkView:
        """As it was. Raises NetworkNotFoundError; NetworkInUseError while a guest is in it or a host attached."""

        def remove(session: Session) -> NetworkView:
            row = networks.get(session, name)
            view = _view(session, row, has_guests=True)
            for what, names in (("guests are in it", view.guests), ("it is attached to", view.attached)):
                if names:
                    raise NetworkInUseError(network=name, reason=f"{what}: {_shown(names)}")
            networks.remove(session, row)
            return view

        view = self._database.transact(remove)
        LOG.info("%s deletes network %s", by, name)
        self._tell()
        return view

    def attach(self, name: str, host: str, *, by: str) -> NetworkView:
        """Raises NetworkNotFoundError, HostNotFoundError."""

        def attach(session: Session) -> NetworkView:
            row = networks.get(session, name)
            hosts.get_known(session, host)
            networks.attach(session, row, host)
            session.flush()
            return _view(session, row)

        return self._changed(attach, "%s attaches network %s to %s", by, name, host)

    def detach(self, name: str, host: str, *, by: str) -> NetworkView:
        """Raises NetworkNotFoundError. A host that is not known any more can be detached."""

        def detach(session: Session) -> NetworkView:
            row = networks.get(session, name)
            networks.detach(session, row, host)
            session.flush()
            return _view(session, row)

        return self._changed(detach, "%s detaches network %s from %s", by, name, host)

    def of_host(self, host: str) -> HostNetworks:
        """What its agent is to know."""
        with self._database.reading() as session:
            return HostNetworks(
                networks=tuple(map(networks.managed, networks.every(session))),
                attached=networks.attached_to(session, host),
                vteps=networks.vteps(session, but=host),
            )

    def _changed(self, change: Callable[[Session], NetworkView], sentence: str, *words: str) -> NetworkView:
        view = self._database.transact(change)
        LOG.info(sentence, *words)
        self._tell()
        return view


def _row(wanted: NetworkRequest, *, by: str, now_ms: int) -> Network:
    return Network(
        name=wanted.name,
        kind=wanted.kind,
        segment=wanted.segment,
        bridge=wanted.bridge,
        mtu=wanted.mtu,
        physical=wanted.physical or "",
        multicast_group=wanted.group,
        port=wanted.port,
        peers=" ".join(wanted.peers),
        created_at_ms=now_ms,
        created_by=by,
    )


def _view(session: Session, row: Network, *, has_guests: bool = False) -> NetworkView:
    (view,) = _views(session, (row,), has_guests=has_guests)
    return view


def _views(session: Session, rows: Sequence[Network], *, has_guests: bool = False) -> tuple[NetworkView, ...]:
    known = {host.name: host.facts for host in hosts.read_hosts(session).values() if host.facts is not None}
    attached = networks.attached(session)
    return tuple(
        NetworkView(
            name=row.name,
            kind=row.kind,
            segment=row.segment,
            bridge=row.bridge,
            mtu=row.mtu,
            physical=row.physical or None,
            group=row.multicast_group,
            port=row.port,
            peers=tuple(row.peers.split()),
            attached=attached.get(row.name, ()),
            hosts=tuple(host for host, facts in known.items() if row.name in facts.networks),
            problems=tuple(
                f"{host}: {problem}"
                for host, facts in known.items()
                for problem in _problems(facts, row.name)
            ),
            guests=networks.guests_in(session, row.bridge) if has_guests else None,
            created_at=iso(row.created_at_ms),
            created_by=row.created_by,
        )
        for row in rows
    )


def _problems(facts: HostFacts, network: str) -> tuple[str, ...]:
    return tuple(problem for name, problem in facts.network_problems if name == network)


def _shown(names: tuple[str, ...]) -> str:
    further = len(names) - SHOWN_MAX
    return ", ".join((*names[:SHOWN_MAX], *([f"and {further} more"] if further > 0 else [])))
