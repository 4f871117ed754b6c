"""The agent without its bus: ledger, desks and verbs of one host, wired together."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from common.conductor_api import ConductorAPI
from common.facts import GuestFacts
from common.migration import Outcome
from common.states import Verb
from compute_agent.attaching import BrickAttacher
from compute_agent.calls import Calls
from compute_agent.checksums import Checksums
from compute_agent.copying import Copying, is_used_here
from compute_agent.definition_records import DefinitionRecords
from compute_agent.desk import Desks, DeskTools
from compute_agent.dest import Dest
from compute_agent.events import EventHub
from compute_agent.examiner import Examiner
from compute_agent.firewall.host_firewall import HostFirewall
from compute_agent.frames import Frames, HostFrames
from compute_agent.grants import driver_of
from compute_agent.handover.ports import Switches
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.ledger import DIRECTORY as LEDGER_DIRECTORY
from compute_agent.ledger import Ledger
from compute_agent.link_making import HostLinkMaker, LinkMaker
from compute_agent.live_migration import LiveMigration
from compute_agent.liveness import Liveness
from compute_agent.managed_networks import KnownNetworks, NetworkKeeper, StandingNetworks
from compute_agent.media_contents import MediaContents
from compute_agent.network import HostNetwork, Network
from compute_agent.observation import Observation
from compute_agent.openvswitch import HostOpenVSwitch
from compute_agent.outbox import Outbox
from compute_agent.permits import Permits
from compute_agent.postcopy import Postcopy
from compute_agent.preparing import Arrivals, Preparation, Preparations
from compute_agent.preparing.disks import Disks
from compute_agent.preparing.firewall import FirewallPreparation
from compute_agent.preparing.interfaces import HostNetworks, Interfaces
from compute_agent.preparing.media import Media
from compute_agent.preparing.networks import Networks
from compute_agent.preparing.room import RoomPreparation
from compute_agent.preparing.secrets import SecretPreparation
from compute_agent.preparing.volumes import VolumePreparation
from compute_agent.probes import Probes
from compute_agent.settings import Settings
from compute_agent.source import Source
from compute_agent.storage.makers import makers
from compute_agent.storage.volume import located_guests
from compute_agent.work import Verbs

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Core:
    """What obeys commands on one host. Opening it takes the ledger's lock; raises LedgerInUseError."""

    def __init__(
        self,
        settings: Settings,
        conductor: ConductorAPI,
        hypervisor: Hypervisor,
        *,
        liveness: Liveness | None = None,
        network: Network | None = None,
        links: LinkMaker | None = None,
        frames: Frames | None = None,
    ) -> None:
        self.ledger = Ledger.open(settings.state_path)
        self.records = DefinitionRecords(settings.state_path / LEDGER_DIRECTORY)
        self.permits = Permits(settings.state_path)
        self.arrivals = Arrivals(settings.state_path)
        self.links = links or HostLinkMaker()
        self.checksums = Checksums()
        self.copying = Copying(
            hypervisor,
            arrivals=self.arrivals,
            checksums=self.checksums,
            is_used=partial(is_used_here, hypervisor),
        )
        self.hub = EventHub()
        self.frames = frames or HostFrames()
        self.open_vswitch = HostOpenVSwitch()
        self.networks = NetworkKeeper(
            StandingNetworks(self.links, settings.networks),
            KnownNetworks(settings.state_path, conductor, host=settings.host),
            hypervisor=hypervisor,
            arrivals=self.arrivals,
            vtep_address=settings.networks.vtep_address,
        )
        self._makers = makers(hypervisor, directories=settings.storage.image_directories)
        self.firewall = HostFirewall.of(settings, hypervisor, conductor, arrivals=self.arrivals)
        self._preparations = Preparations(self._all_preparations(hypervisor, settings))
        self.probes = Probes(settings.state_path, host=settings.host)
        self.examiner = Examiner(
            hypervisor,
            network=network or HostNetwork(),
            links=self.links,
            probes=self.probes,
            checksums=self.checksums,
            makers=self._makers,
            arrivals=self.arrivals,
            settings=settings,
        )
        self.outbox = Outbox(conductor, unacknowledged=_unacknowledged(self.ledger))
        self._settings = settings
        self._conductor = conductor
        self._hypervisor = hypervisor
        self._liveness = liveness or Liveness()
        self._calls = Calls(self.hub, self._liveness, drain_s=settings.call_drain_s)
        self.observation = Observation(hypervisor, self.ledger, self.records, self._calls)
        tools = DeskTools(
            verbs=self._verbs(),
            records=self.records,
            permits=self.permits,
            outbox=self.outbox,
            hub=self.hub,
            boot_id=BOOT_ID.read_text(encoding="ascii").strip(),
        )
        self.desks = Desks(self.ledger, tools)

    def listen(self) -> None:
        """Begin to hear of libvirt's events."""
        self.hub.subscribe(self._liveness.on_event)
        self.hub.subscribe(self.firewall.on_event)
        self._hypervisor.subscribe(self.hub.put)
        self.hub.start()
        self._hypervisor.start()
        self.firewall.start()

    def stop(self) -> None:
        """Stop what can be stopped and let the ledger go. Migrations are libvirt's and go on."""
        self.desks.stop()
        self.outbox.stop()
        self.examiner.stop()
        self.firewall.stop()
        self.hub.stop()
        self._hypervisor.stop()
        self.ledger.close()

    def _all_preparations(self, hypervisor: Hypervisor, settings: Settings) -> tuple[Preparation, ...]:
        """What is prepared for a guest that comes, in no order: all of it at once."""
        grants = driver_of(settings.volumes)
        host_networks = HostNetworks(
            host=settings.host,
            names=settings.networks,
            switches=Switches(links=self.links, open_vswitch=self.open_vswitch),
            frames=self.frames,
        )

        def guests() -> Iterator[GuestFacts]:
            return located_guests(hypervisor.list_guests(), hypervisor)

        return (
            Disks(self._makers, copying=self.copying, guests=guests, settings=settings),
            RoomPreparation(self._makers, arrivals=self.arrivals, settings=settings),
            Media(self.copying, hypervisor, settings),
            VolumePreparation(
                hypervisor,
                grants=grants,
                attacher=BrickAttacher(),
                arrivals=self.arrivals,
                settings=settings,
            ),
            SecretPreparation(hypervisor, arrivals=self.arrivals, settings=settings),
            Interfaces(hypervisor, host_networks, self.hub),
            Networks(self.networks, settings.networks),
            FirewallPreparation(self.firewall, host=settings.host),
        )

    def _verbs(self) -> Verbs:
        hypervisor, settings, hub = self._hypervisor, self._settings, self.hub
        calls, observation = self._calls, self.observation
        live_migration = LiveMigration(
            hypervisor,
            self._conductor,
            ledger=self.ledger,
            records=self.records,
            calls=calls,
            observation=observation,
            hub=hub,
            preparations=self._preparations,
            settings=settings.live_migration,
        )
        postcopy = Postcopy(
            hypervisor,
            ledger=self.ledger,
            calls=calls,
            observation=observation,
            hub=hub,
            settings=settings.live_migration,
        )
        source = Source(
            hypervisor,
            observation=observation,
            records=self.records,
            examiner=self.examiner,
            hub=hub,
            preparations=self._preparations,
            media=MediaContents(self.checksums),
            settings=settings,
        )
        dest = Dest(
            hypervisor,
            observation=observation,
            examiner=self.examiner,
            permits=self.permits,
            arrivals=self.arrivals,
            preparations=self._preparations,
            settings=settings,
        )
        return {
            **source.verbs(),
            **dest.verbs(),
            Verb.LIVE: live_migration.live_migration,
            Verb.WATCH: live_migration.watch,
            Verb.RECOVER: postcopy.recover,
        }


def _unacknowledged(ledger: Ledger) -> tuple[Outcome, ...]:
    return tuple(
        entry.outcome for entry in ledger.entries() if entry.outcome is not None and not entry.is_acknowledged
    )
