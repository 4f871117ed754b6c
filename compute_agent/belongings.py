"""What prepares, checks and lets go of all that guests have with them on one host: disks, media, volumes, networks, rules.

Wired together, and begun by nobody here. A new kind of preparation is a new file in `preparing` and a line below.
"""

from collections.abc import Iterator
from functools import partial

from common.conductor_api import ConductorAPI
from common.facts import GuestFacts
from compute_agent.attaching import BrickAttacher
from compute_agent.checksums import Checksums
from compute_agent.copying import Copying, is_used_here
from compute_agent.events import EventHub
from compute_agent.firewall.host_firewall import HostFirewall
from compute_agent.frames import Frames, HostFrames
from compute_agent.grants import driver_of
from compute_agent.handover.ports import Switches
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.link_making import HostLinkMaker, LinkMaker
from compute_agent.managed_networks import KnownNetworks, NetworkKeeper, StandingNetworks
from compute_agent.openvswitch import HostOpenVSwitch
from compute_agent.preparing import Arrivals, Preparation
from compute_agent.preparing.disks import Disks
from compute_agent.preparing.firewall import FirewallPreparation
from compute_agent.preparing.interfaces import HostNetworks, Interfaces
from compute_agent.preparing.media import Media
from compute_agent.preparing.networks import Networks
from compute_agent.preparing.room import RoomPreparation
from compute_agent.preparing.secrets import SecretPreparation
from compute_agent.preparing.volumes import VolumePreparation
from compute_agent.settings import Settings
from compute_agent.storage.makers import makers
from compute_agent.storage.volume import located_guests


class Belongings:
    def __init__(
        self,
        settings: Settings,
        conductor: ConductorAPI,
        hypervisor: Hypervisor,
        *,
        arrivals: Arrivals,
        hub: EventHub,
        links: LinkMaker | None = None,
        frames: Frames | None = None,
    ) -> None:
        self._settings = settings
        self._hypervisor = hypervisor
        self._arrivals = arrivals
        self._hub = hub
        self.links = links or HostLinkMaker()
        self._frames = frames or HostFrames()
        self._open_vswitch = HostOpenVSwitch()
        self.checksums = Checksums()
        self._copying = Copying(
            hypervisor,
            arrivals=arrivals,
            checksums=self.checksums,
            is_used=partial(is_used_here, hypervisor),
        )
        self.networks = NetworkKeeper(
            StandingNetworks(self.links, settings.networks),
            KnownNetworks(settings.state_path, conductor, host=settings.host),
            hypervisor=hypervisor,
            arrivals=arrivals,
            vtep_address=settings.networks.vtep_address,
        )
        self.makers = makers(hypervisor, directories=settings.storage.image_directories)
        self.firewall = HostFirewall.of(settings, hypervisor, conductor, arrivals=arrivals)

    def preparations(self) -> tuple[Preparation, ...]:
        """What is prepared for a guest that comes, in no order: all of it at once."""
        hypervisor, settings = self._hypervisor, self._settings
        grants = driver_of(settings.volumes)
        host_networks = HostNetworks(
            host=settings.host,
            names=settings.networks,
            switches=Switches(links=self.links, open_vswitch=self._open_vswitch),
            frames=self._frames,
        )

        def guests() -> Iterator[GuestFacts]:
            return located_guests(hypervisor.list_guests(), hypervisor)

        return (
            Disks(self.makers, copying=self._copying, guests=guests, settings=settings),
            RoomPreparation(self.makers, arrivals=self._arrivals, settings=settings),
            Media(self._copying, hypervisor, settings),
            VolumePreparation(
                hypervisor,
                grants=grants,
                attacher=BrickAttacher(),
                arrivals=self._arrivals,
                settings=settings,
            ),
            SecretPreparation(hypervisor, arrivals=self._arrivals, settings=settings),
            Interfaces(hypervisor, host_networks, self._hub),
            Networks(self.networks, settings.networks),
            FirewallPreparation(self.firewall, host=settings.host),
        )
