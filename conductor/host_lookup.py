"""What clients ask about hosts: read the rows, show them. Nothing here changes anything."""

from common.errors import HostNotFoundError
from common.views import HostView, ResourceView
from conductor import host_presentation
from conductor.capacity import HostStatus, Limits
from conductor.db import hosts, shares
from conductor.db.engine import Database


class HostLookup:
    """What a host is and has, and what is taken of it."""

    def __init__(self, database: Database, *, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    def list_hosts(self) -> tuple[HostView, ...]:
        """All whose agents have been heard, by name."""
        with self._database.reading() as session:
            known = hosts.read_hosts(session)
            taken = shares.read(session)
        return tuple(
            host_presentation.host_view(host, taken.get(host.name, ()), limits=self._limits)
            for host in known.values()
        )

    def show_host(self, name: str) -> HostView:
        """One of them; raises HostNotFoundError."""
        with self._database.reading() as session:
            host = _find(hosts.read_hosts(session).get(name), name)
            return host_presentation.host_view(
                host, shares.read(session, name).get(name, ()), limits=self._limits
            )

    def describe_resource(self, name: str) -> tuple[ResourceView, ...]:
        """What it has, what is taken now and at most, and by whom; raises HostNotFoundError."""
        with self._database.reading() as session:
            host = _find(hosts.read_hosts(session).get(name), name)
            taken = shares.read(session, name).get(name, ())
            return host_presentation.resource_views(host, taken, shares.disks_gib(session, taken))


def _find(host: HostStatus | None, name: str) -> HostStatus:
    if host is None:
        raise HostNotFoundError(host=name)
    return host
