"""What is filtered of a guest: as it is declared, for its hosts; and as it is in force there, for whoever asks.

What hosts know of its connections goes by here as well, from the one that it leaves to the one that it comes to.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from common.agent_api import AgentAPI
from common.connections import ConnectionBatch
from common.errors import HostNotFoundError, HostSilentError, ServiceUnreachableError
from common.filtering import GuestFiltering
from common.firewall_views import FirewallView
from conductor.db import filtering, instances, sagas
from conductor.db.engine import Database
from conductor.db.models import Host

# Of one answer to a host. A remote takes some 25 bytes there, and a message holds 8 MiB.
GUESTS_PER_ANSWER: Final = 100
REMOTES_PER_ANSWER: Final = 50_000
SHOW_TIMEOUT_S: Final = 10.0


class FirewallLookup:
    """Reads rows, and asks the one host."""

    def __init__(self, database: Database, agents: AgentAPI) -> None:
        self._database = database
        self._agents = agents

    def of_host(self, host: str, *, after: str) -> tuple[GuestFiltering, ...]:
        """The rules of the next guests of a host behind `after`, by uuid; none: those were all."""
        with self._database.reading() as session:
            uuids = filtering.on_host(session, host, after=after, limit=GUESTS_PER_ANSWER)
            found = filtering.read(session, uuids)
        known = [GuestFiltering(instance=uuid, filtering=found[uuid]) for uuid in uuids if uuid in found]
        return tuple(_first(known))

    def relay(self, batch: ConnectionBatch) -> None:
        """Pass a source's word on to its dest, while their migration is open. Nothing of it is kept or logged."""
        with self._database.reading() as session:
            saga = sagas.load(session, batch.migration).saga
        if saga.is_open and (saga.source, saga.instance) == (batch.host, batch.instance) and saga.dest:
            self._agents.take_connections(saga.dest, batch)

    def show(self, instance: str, *, host: str | None) -> FirewallView:
        """What is in force on the guest's host, or on another one that is named.

        Raises InstanceNotFoundError, InstanceAmbiguousError, HostNotFoundError, HostSilentError.
        """
        with self._database.reading() as session:
            row = instances.find(session, instance)
            declared = filtering.read(session, [row.uuid]).get(row.uuid)
            if host is not None and session.get(Host, host) is None:
                raise HostNotFoundError(host=f"{host:.80}")
        asked = host or row.host
        try:
            found = self._agents.show_filtering(asked, row.uuid, timeout_s=SHOW_TIMEOUT_S)
        except ServiceUnreachableError as error:
            raise HostSilentError(host=asked, timeout_s=f"{SHOW_TIMEOUT_S:g}") from error
        is_filtered = declared is not None and bool(declared.ports)
        return FirewallView(
            instance_uuid=row.uuid,
            instance_name=row.name,
            host=asked,
            driver=found.driver,
            is_current=found.revision
            == (declared.revision if declared is not None and is_filtered else None),
            revision=found.revision,
            declared_revision=None if declared is None else declared.revision,
            ports=found.ports,
        )


def _first(known: Sequence[GuestFiltering]) -> Iterator[GuestFiltering]:
    """As many as one message holds, at least one."""
    remotes = 0
    for guest in known:
        remotes += sum(len(rule.remotes) for port in guest.filtering.ports for rule in port.rules)
        if guest is not known[0] and remotes > REMOTES_PER_ANSWER:
            return
        yield guest
