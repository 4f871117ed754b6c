"""libvirt secrets that a guest's XML names: made here before it comes, where this host lacks them and may have them.

A value goes from a file, or from the source's libvirtd, into this libvirtd, and nowhere else. On the source a secret stays:
it is that host's own, and other guests may use it.
"""

import threading

from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.migrate_request import connection_uri
from compute_agent.preparing.arrivals import Arrivals, Item
from compute_agent.preparing.preparation import Arrival, Preparation, Prepared, Undoing
from compute_agent.secret_sources import SecretSources
from compute_agent.settings import Settings

_SECRET = "secret"
_USE = "use"  # it was here: not ours to remove


class SecretPreparation(Preparation):
    """See `preparation.Preparation`."""

    name = "secrets"

    def __init__(self, hypervisor: Hypervisor, *, arrivals: Arrivals, settings: Settings) -> None:
        self._hypervisor = hypervisor
        self._arrivals = arrivals
        self._settings = settings
        self._sources = SecretSources(path=settings.volumes.secrets_path, secrets=hypervisor)
        self._lock = threading.Lock()

    def prepare(self, arrival: Arrival) -> Prepared:
        for name in arrival.plan.secrets:
            with self._lock:
                self._make(arrival, name)
        return Prepared()

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        sentences = []
        for item in undoing.record.items(self.name):
            with self._lock:
                if item.kind == _SECRET and not self._is_needed(item, undoing):
                    self._hypervisor.remove_secret(item.identity["uuid"])
                    sentences.append(f"secret {item.name} was removed")
                undoing.record.forget(item)
        return tuple(sentences)

    def _make(self, arrival: Arrival, name: str) -> None:
        here = self._hypervisor.secret(name)
        if here is not None and here.has_value:
            kind = _SECRET if self._is_ours(name) else _USE
            arrival.record.write(Item(part=self.name, kind=kind, name=name, identity={"uuid": here.uuid}))
            return
        uri = connection_uri(self._settings.live_migration, arrival.source_address)
        secret, value = self._sources.read(name, uri=uri)
        if here is None:
            made = Item(part=self.name, kind=_SECRET, name=name, identity={"uuid": secret.uuid})
            arrival.record.write(made)
        self._hypervisor.define_secret(here or secret, value)

    def _is_ours(self, name: str) -> bool:
        """Whether a guest that is on its way brought it: then the last of those that do not come removes it."""
        return any(
            item.kind == _SECRET and item.name == name
            for record in self._arrivals.all()
            for item in record.items(self.name)
        )

    def _is_needed(self, item: Item, undoing: Undoing) -> bool:
        names = {item.name, item.identity["uuid"]}
        on_their_way = (
            other.name
            for record in self._arrivals.all()
            if record.migration != undoing.migration
            for other in record.items(self.name)
        )
        here = (
            name
            for guest in self._hypervisor.list_guests()
            if guest.uuid != undoing.instance
            for name in guest.secrets
        )
        return not names.isdisjoint((*on_their_way, *here))
