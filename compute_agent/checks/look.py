"""What a check is given: the guest, both hosts as far as they are known, and this host's hypervisor to ask further."""

from dataclasses import dataclass, field
from typing import Protocol

from common.facts import GuestFacts, HostFacts
from common.migration import DestinationFacts
from common.transfer import Declarations
from compute_agent import observation
from compute_agent.hypervisor.driver import Definition, Hypervisor
from compute_agent.link_making import LinkMaker
from compute_agent.links import Links
from compute_agent.network import Network
from compute_agent.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class DestLook:
    """On the host that the guest is to move to. `settings`, `hypervisor`, `network`, `links` and `dest` are this host's."""

    hypervisor: Hypervisor
    network: Network
    links: LinkMaker
    settings: Settings
    instance: str  # uuid
    guest: GuestFacts  # as its host last reported it
    dest: HostFacts
    source: HostFacts | None  # None: the conductor does not know
    source_host: str  # empty: the conductor is of an older version
    source_address: str = ""  # how this host reaches the source's libvirtd; empty: not known
    ram_allocation_ratio: float = 1.0  # the conductor's
    declared: Declarations = field(default_factory=Declarations)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLook:
    """On the host that the guest is to leave. `settings`, `hypervisor`, `network`, `links` and `source` are this host's."""

    hypervisor: Hypervisor
    network: Network
    links: Links
    settings: Settings
    instance: str  # uuid
    guest: GuestFacts  # as it is now
    definition: Definition
    observed: observation.SourceLook
    source: HostFacts
    reach: DestinationFacts  # what the dest says of itself: how it is reached, its probes
    dest: HostFacts | None  # None: the dest is of an older version
    dest_host: str
    declared: Declarations = field(default_factory=Declarations)


class Reaching(Protocol):
    """What is asked about the way to another host: part of `SourceLook`, and all of `PeerLook`."""

    @property
    def hypervisor(self) -> Hypervisor: ...
    @property
    def network(self) -> Network: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def reach(self) -> DestinationFacts: ...
    @property
    def dest(self) -> HostFacts | None: ...
    @property
    def dest_host(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLook:
    """Where no guest is to be moved: `doctor` looks at the way alone."""

    hypervisor: Hypervisor
    network: Network
    settings: Settings
    reach: DestinationFacts
    dest: HostFacts | None
    dest_host: str
