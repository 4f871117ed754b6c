"""A conductor, put together from its configuration: what `conductor.service` starts and stops."""

import logging
from pathlib import Path

from oslo_config import cfg

from common import broker
from common.agent_api import AgentAPI
from common.broker_names import events_exchange
from common.concurrency import Repeating, every
from common.conductor_api import INTERFACE
from common.errors import ConfigurationError
from common.event_bus import Publisher
from common.identity import Identity
from common.rpc import Bus, Server
from common.states import VersionRule
from conductor.accept import Acceptance
from conductor.administrators import Administrators
from conductor.capacity import Limits
from conductor.checking import Checking
from conductor.cpu_baseline import CpuBaseline
from conductor.db import hosts, keys
from conductor.db.engine import Database
from conductor.doctor import Doctor
from conductor.driver import Driver
from conductor.enabling import Enabling
from conductor.endpoint import ConductorEndpoint
from conductor.enrolling import Enrolling
from conductor.firewall_lookup import FirewallLookup
from conductor.gate import Gate
from conductor.guest_ports import GuestPorts
from conductor.host_lookup import HostLookup
from conductor.inventory import Inventory
from conductor.judging import Judging
from conductor.keyring import RegisteredKeys
from conductor.lookup import Lookup
from conductor.network_news import NetworkNews
from conductor.networks import Networks
from conductor.news import News
from conductor.policy import Policy
from conductor.security_groups import SecurityGroups
from conductor.sender import Sender
from conductor.sweeper import Patience, Sweeper
from conductor.volumes import Volumes

WATCHERS_MAX = (
    128  # clients that wait for news; each holds one of the bus's threads (executor_thread_pool_size, 256)
)

LOG = logging.getLogger(__name__)


class Conductor:
    """One conductor of one process."""

    def __init__(self, conf: cfg.ConfigOpts, identity: Identity) -> None:
        """Open the database; raises ConfigurationError. Nothing is received or sent before `start`."""
        self._conf = conf
        policy = Policy(conf)
        self.database = Database(connection(conf), max_retries=conf.database.max_retries)
        _refuse_if_not_bootstrapped(self.database)
        self.bus = Bus(
            conf, identity=identity, keyring=RegisteredKeys(self.database, own=identity.key.public)
        )
        limits = _limits(conf)
        news = News(waiters_max=WATCHERS_MAX)
        agents = AgentAPI(self.bus)
        self.sender = Sender(agents)
        checking = Checking(self.database, agents, limits=limits, timeout_s=conf.conductor.examine_timeout_s)
        self.events = Publisher(
            broker.configured(conf),
            exchange=events_exchange(conf.control_exchange),
            identity=identity,
            conductor=conf.host,
        )
        self.driver = Driver(self.database, self.sender, news, self.events, limits=limits)
        retries = conf.conductor.migrate_max_retries
        self.network_news = NetworkNews(self.database, agents)
        gate = Gate(self.database, policy, message_max_age_s=conf.message_max_age_s)
        self._enrolling = Enrolling(conf, self.database, self.bus, identity=identity, rejected=gate.rejected)
        endpoint = ConductorEndpoint(
            database=self.database,
            lookup=Lookup(self.database, news, limits=limits),
            acceptance=Acceptance(self.database, self.driver, checking, limits=limits, retries=retries),
            checking=checking,
            driver=self.driver,
            judging=Judging(self.database, self.driver, limits=limits),
            inventory=Inventory(self.database, self.sender, self.events, on_new_vtep=self.network_news.tell),
            administrators=Administrators(self.database, self._enrolling.users),
            news=news,
            enabling=Enabling(self.database),
            hosts=HostLookup(self.database, limits=limits),
            groups=SecurityGroups(self.database, self.sender),
            ports=GuestPorts(self.database, self.sender),
            firewall=FirewallLookup(self.database, agents),
            networks=Networks(self.database, self.network_news.tell),
            volumes=Volumes(self.database),
            membership=self._enrolling.membership,
            doctor=Doctor(self.database, agents, limits=limits, message_max_age_s=conf.message_max_age_s),
            cpu_baseline=CpuBaseline(self.database, agents),
            lacks=gate.lacks,
        )
        self.sweeper = Sweeper(self.database, self.driver, self.sender, patience=_patience(conf))
        self._server: Server = self.bus.serve(INTERFACE, conf.host, endpoint, guard=gate)
        self._repeating: list[Repeating] = []

    def start(self) -> None:
        """Receive, and sweep at once: what a conductor before us had not sent goes out now.

        A broker that is away is waited for; the database is not, it was opened before.
        """
        LOG.info("connecting to %s", self.bus.name)
        self.events.start()
        self._server.start()
        self._enrolling.start()
        LOG.info("serving %s as %s", INTERFACE.topic, self._conf.host)
        self._repeating = [
            every(self._conf.report_interval, self._say_alive),
            every(self._conf.conductor.sweep_interval_s, self.sweeper.sweep),
            every(self._conf.conductor.sweep_interval_s, self.network_news.spread),
        ]

    def stop(self) -> None:
        """Let go of bus and database; migrations go on, and whoever starts next drives them."""
        for repeating in self._repeating:
            repeating.stop()
        self._server.stop()
        self._enrolling.stop()
        self.events.stop()
        self.bus.close()
        self.database.close()

    def _say_alive(self) -> None:
        self.database.transact(lambda session: hosts.hear_conductor(session, self._conf.host))


def _refuse_if_not_bootstrapped(database: Database) -> None:
    """A path that is mistyped, or a file system that is not mounted, must not look like a healthy start."""
    with database.reading() as session:
        if keys.list_administrators(session):
            return
    database.close()
    reason = "nobody is registered in it; `limosa-conductor bootstrap` makes it ready"
    raise ConfigurationError(group="database", option="connection", reason=reason)


def connection(conf: cfg.ConfigOpts) -> str:
    """Unset: a file in a directory of its own, since the agent's state has another owner where both share a host."""
    if conf.database.connection:
        return str(conf.database.connection)
    directory = Path(conf.state_path) / "conductor"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(group="DEFAULT", option="state_path", reason=str(error)) from error
    return f"sqlite:///{directory}/conductor.sqlite"


def _limits(conf: cfg.ConfigOpts) -> Limits:
    return Limits(
        service_down_time_s=conf.service_down_time,
        ram_allocation_ratio=conf.conductor.ram_allocation_ratio,
        reserved_memory_mib=conf.conductor.reserved_host_memory_mb,
        cpu_allocation_ratio=conf.conductor.cpu_allocation_ratio,
        reserved_vcpus=conf.conductor.reserved_host_cpus,
        disk_allocation_ratio=conf.conductor.disk_allocation_ratio,
        reserved_disk_mib=conf.conductor.reserved_host_disk_mb,
        version_rule=VersionRule(conf.conductor.hypervisor_version_check),
    )


def _patience(conf: cfg.ConfigOpts) -> Patience:
    return Patience(
        resend_interval_s=conf.conductor.resend_interval_s,
        check_timeout_s=conf.conductor.check_timeout_s,
        pre_timeout_s=conf.conductor.pre_live_migration_timeout_s,
        silence_timeout_s=conf.conductor.silence_timeout_s,
    )
