"""The guest's interfaces: what they are connected to on the dest, and that the network finds the guest there."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

from common import concurrency
from common.errors import LimosaError
from common.facts import InterfaceFacts
from common.migration import DomainChanges
from common.transfer import Handover, InterfaceChange
from compute_agent.checks.interfaces import Place, place, unfit
from compute_agent.events import EventHub
from compute_agent.frames import Frames
from compute_agent.handover.announcing import Announcer
from compute_agent.handover.gap import Gaps
from compute_agent.handover.ports import Port, Switches
from compute_agent.handover.verification import unverified
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.network_settings import NetworkSettings
from compute_agent.preparing.preparation import Arrival, Departure, Preparation, Prepared, Released

ARRIVED_MAX = 64  # whose completion has not been told yet
_CHOSEN_BY_LIBVIRT = "vnet"  # such a name of a tap is replaced by the host that the guest comes to


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetworks:
    """What of this host the interfaces have to do with."""

    host: str
    names: NetworkSettings
    switches: Switches
    frames: Frames


class Interfaces(Preparation):
    name: ClassVar[str] = "interfaces"

    def __init__(self, hypervisor: Hypervisor, network: HostNetworks, hub: EventHub) -> None:
        self._hypervisor = hypervisor
        self._network = network
        self._announcer = Announcer(network.switches, network.frames)
        self._gaps = Gaps(network.frames)
        self._lock = threading.Lock()
        self._arrived: dict[str, Handover] = {}  # by migration
        hub.subscribe(self._gaps.on_event)

    # ---- on the dest

    def prepare(self, arrival: Arrival) -> Prepared:
        """Nothing is made: what is missing now is a finding, although the check has seen it."""
        interfaces = arrival.plan.interfaces
        if not interfaces:
            return Prepared()
        here = place(
            self._hypervisor,
            self._network.switches.links,
            host=self._network.host,
            declared=arrival.declared,
            names=self._network.names,
        )
        return Prepared(
            changes=DomainChanges(interfaces=tuple(_changes(here, interfaces))),
            findings=tuple(unfit(here, interfaces, instance=arrival.name)),
        )

    def complete(self, arrival: Arrival) -> tuple[str, ...]:
        """Announce it by the taps that it has here. A problem is told: the guest runs here, whoever reaches it."""
        if not arrival.plan.interfaces:
            return ()
        try:
            found = self._ports_now(arrival.instance)
        except LimosaError as error:
            problems: tuple[str, ...] = (f"it could not be announced: {error}",)
        else:
            problems = self._announcer.announce(arrival.instance, found)
        if problems or found:
            handover = Handover(is_verified=not problems, detail="; ".join(problems))
            with self._lock:
                self._arrived[arrival.migration] = handover
                while len(self._arrived) > ARRIVED_MAX:
                    self._arrived.pop(next(iter(self._arrived)))
        return problems

    def handover(self, migration: str) -> Handover | None:
        with self._lock:
            return self._arrived.pop(migration, None)

    # ---- on the source

    @contextmanager
    def accompany(self, departure: Departure) -> Iterator[None]:
        self._announcer.stop(departure.instance)
        with self._gaps.measuring(
            departure.migration,
            departure.instance,
            lambda: self._ports_now(departure.instance),
            addresses=_declared(departure),
        ):
            yield

    def release(self, departure: Departure) -> Released:
        """Look whether the guest is reached where it is now. That it is not is told, and stops nothing."""
        self._announcer.stop(departure.instance)
        measured = self._gaps.measured(departure.migration)
        try:
            found = self._network.switches.ports(self._with_bridges(departure.plan.interfaces))
        except LimosaError as error:
            return Released(handover=Handover(is_verified=False, gap_ms=measured.gap_ms, detail=str(error)))
        if not found:
            return Released()
        problems = unverified(
            self._network.switches,
            self._network.frames,
            found,
            addresses={**measured.addresses, **_declared(departure)},
            sleep=concurrency.sleep,
        )
        handover = Handover(is_verified=not problems, gap_ms=measured.gap_ms, detail="; ".join(problems))
        return Released(handover=handover)

    def _with_bridges(self, interfaces: tuple[InterfaceFacts, ...]) -> tuple[InterfaceFacts, ...]:
        """A definition that may be moved names only the libvirt network, and not the bridge that it has here."""
        if not any(interface.network for interface in interfaces):
            return interfaces
        bridges = dict(self._hypervisor.resources().network_bridges)
        return tuple(
            replace(interface, source=bridges.get(interface.network, interface.source))
            if interface.network
            else interface
            for interface in interfaces
        )

    def _ports_now(self, instance: str) -> tuple[Port, ...]:
        """As the running guest has them; a plan does not say which taps libvirt has chosen."""
        guest = self._hypervisor.guest_facts(instance)
        return self._network.switches.ports(guest.interfaces)


def _declared(departure: Departure) -> Mapping[str, tuple[str, ...]]:
    """The IPv4 addresses of its interfaces, where somebody has said them."""
    return {
        mac.lower(): tuple(address for address in addresses if ":" not in address)
        for mac, addresses in departure.declared.addresses
    }


def _changes(here: Place, interfaces: tuple[InterfaceFacts, ...]) -> Iterator[InterfaceChange]:
    """What is called otherwise here, and a name for a tap whose own one is taken."""
    for interface in interfaces:
        source = _source_here(here, interface)
        tap = "" if _is_free(here, interface.tap) else f"lm{interface.mac.replace(':', '')}"
        if source or tap:
            yield InterfaceChange(mac=interface.mac, source=source, tap=tap)


def _source_here(here: Place, interface: InterfaceFacts) -> Mapping[str, str]:
    if interface.network:
        name = here.names.network_here(interface.network)
        return {} if name == interface.network else {"network": name}
    if interface.type == "bridge":
        name = here.names.bridge_here(interface.source)
        return {} if name == interface.source else {"bridge": name}
    return {}


def _is_free(here: Place, tap: str) -> bool:
    return not tap or tap.startswith(_CHOSEN_BY_LIBVIRT) or tap not in here.links
