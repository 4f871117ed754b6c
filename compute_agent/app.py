"""A compute agent on its bus: what `compute_agent.service` starts and stops."""

import logging

from common import agent_api, concurrency, conductor_api
from common.conductor_api import ConductorAPI
from common.dispatch import ObeyConductors
from common.errors import ServiceUnreachableError
from common.migration import Acknowledgement
from common.rpc import Bus, BusRefusedError, Server
from compute_agent.asking import Asking
from compute_agent.core import Core
from compute_agent.discovery import Discovery
from compute_agent.doctor.asked import Doctor
from compute_agent.endpoint import AgentEndpoint
from compute_agent.greeting import Greeting
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.ledger import unusable
from compute_agent.managed_networks import NetworkWatch
from compute_agent.network import Network
from compute_agent.settings import Settings

# A conductor that starts beside us has no queue yet, and a call to it is lost: ask again soon, then with more patience.
ENROL_TIMEOUT_S = 2.0
ENROL_TIMEOUT_MAX_S = 30.0
ENROL_PAUSE_S = 1.0
FORGOTTEN_INTERVAL_S = 60.0

LOG = logging.getLogger(__name__)


class Agent:
    """One host's agent."""

    def __init__(
        self, settings: Settings, bus: Bus, hypervisor: Hypervisor, *, network: Network | None = None
    ) -> None:
        """Open the ledger; raises LedgerInUseError, or ConfigurationError for a state_path that cannot work.

        Nothing is received or sent before `start`.
        """
        self._settings = settings
        self._bus = bus
        self._hypervisor = hypervisor
        conductor = ConductorAPI(bus)
        try:
            self.core = Core(settings, conductor, hypervisor, network=network)
        except OSError as error:  # all that it opens stands below state_path
            raise unusable(error) from error
        networks = self.core.networks
        self._discovery = Discovery(hypervisor, conductor, settings, further_facts=networks.with_networks)
        self._network_watch = NetworkWatch(networks, interval_s=settings.full_report_interval_s)
        networks.on_change = self._discovery.request_full_report
        self._greeting = Greeting(conductor, host=settings.host)
        self._server: Server | None = None
        self._repeating: list[concurrency.Repeating] = []
        self._is_stopping = False

    def start(self) -> None:
        """Follow what runs, answer what was not acknowledged, and only then receive.

        A broker that is away is waited for, and with a new ledger a conductor is; libvirtd is not.
        """
        for problem in self.core.ledger.problems():
            LOG.error("%s %s", problem, problem.advice)
        self.core.hub.subscribe(self._discovery.on_event)
        self.core.hub.subscribe(self._network_watch.on_event)
        self.core.listen()
        LOG.info("connecting to %s", self._bus.name)
        self._enrol()
        if self._is_stopping:
            return
        self.core.outbox.start()
        self.core.networks.begin()
        self.core.desks.readopt(self._settings.host)
        self._serve()
        self._discovery.start()
        self._network_watch.start()
        self._greeting.start()
        forgotten = concurrency.every(FORGOTTEN_INTERVAL_S, self.core.examiner.forget_forgotten)
        self._repeating.append(forgotten)

    def stop(self) -> None:
        """Let go of everything. Migrations are libvirtd's and go on; the next agent follows them."""
        self._is_stopping = True
        if self._server is not None:
            self._server.stop()
        for repeating in self._repeating:
            repeating.stop()
        self._greeting.stop()
        self._network_watch.stop()
        self._discovery.stop()
        self.core.stop()
        self._bus.close()

    def _serve(self) -> None:
        host = self._settings.host
        asking = Asking(self.core.examiner, self.core.observation, host=host)
        doctor = Doctor(self._hypervisor, self.core.examiner, self._settings)
        endpoint = AgentEndpoint(
            self.core.desks,
            self._discovery,
            asking,
            self.core.firewall,
            self._network_watch,
            doctor,
            host=host,
        )
        interface = agent_api.interface(host)
        self._server = self._bus.serve(interface, host, endpoint, guard=ObeyConductors())
        self._server.start()
        LOG.info("serving %s", interface.topic)

    def _enrol(self) -> None:
        """Rule 7: a ledger that is new, or was lost, must learn which commands are old before it obeys any."""
        timeout_s = ENROL_TIMEOUT_S
        client = self._bus.client(conductor_api.INTERFACE)
        while self.core.ledger.is_new and not self._is_stopping:
            try:
                floors = client.call(
                    "ledger_floor", self._settings.host, kind=tuple[Acknowledgement, ...], timeout_s=timeout_s
                )
            except BusRefusedError:
                raise  # as of the server's start: waiting will not help
            except ServiceUnreachableError:
                LOG.warning("the ledger is new, and no conductor has told yet what is old: asking again")
                timeout_s = min(2 * timeout_s, ENROL_TIMEOUT_MAX_S)
                concurrency.sleep(ENROL_PAUSE_S)
                continue
            self.core.ledger.enrol(floors)
            LOG.info("the ledger is new; %d instances were commanded before", len(floors))
