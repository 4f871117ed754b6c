"""The agent without its bus: ledger, desks and verbs of one host, wired together."""

from pathlib import Path

from common.conductor_api import ConductorAPI
from common.migration import Outcome
from common.states import Verb
from compute_agent.belongings import Belongings
from compute_agent.calls import Calls
from compute_agent.definition_records import DefinitionRecords
from compute_agent.desk import Desks, DeskTools
from compute_agent.dest import Dest
from compute_agent.events import EventHub
from compute_agent.examiner import Examiner
from compute_agent.frames import Frames
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.ledger import DIRECTORY as LEDGER_DIRECTORY
from compute_agent.ledger import Ledger
from compute_agent.link_making import LinkMaker
from compute_agent.live_migration import LiveMigration
from compute_agent.liveness import Liveness
from compute_agent.media_contents import MediaContents
from compute_agent.network import HostNetwork, Network
from compute_agent.observation import Observation
from compute_agent.outbox import Outbox
from compute_agent.permits import Permits
from compute_agent.postcopy import Postcopy
from compute_agent.preparing import Arrivals, Preparations
from compute_agent.probes import Probes
from compute_agent.settings import Settings
from compute_agent.source import Source
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
        self.hub = EventHub()
        belongings = Belongings(
            settings, conductor, hypervisor, arrivals=self.arrivals, hub=self.hub, links=links, frames=frames
        )
        self.networks, self.firewall = belongings.networks, belongings.firewall
        self._checksums = belongings.checksums
        self._preparations = Preparations(belongings.preparations())
        self.probes = Probes(settings.state_path, host=settings.host)
        self.examiner = Examiner(
            hypervisor,
            network=network or HostNetwork(),
            links=belongings.links,
            probes=self.probes,
            checksums=belongings.checksums,
            makers=belongings.makers,
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
            media=MediaContents(self._checksums),
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
