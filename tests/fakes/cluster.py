"""A real conductor with its database, and fake agents, on oslo.messaging's fake transport.

Nothing happens by itself: the conductor's own sweeps are hours apart, a test calls `sweep` with the patience it needs.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from common import config
from common.agent_api import interface
from common.broker_names import events_exchange
from common.concurrency import spawn
from common.conductor_api import ConductorAPI
from common.dispatch import ObeyConductors
from common.identity import ConductorsOnly, Identity
from common.rpc import Bus, Server
from common.states import Role
from common.views import LiveMigrationRequest, MigrationView
from conductor.app import Conductor, connection
from conductor.db import keys
from conductor.db.engine import Database
from conductor.sweeper import Patience, Sweeper
from tests.fakes import identities
from tests.fakes.agent import FakeAgent, guest_facts

NEVER_S = 60.0
LONG_S = 1_000_000.0
GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
WAIT_S = 30.0  # of a busy machine: a cluster that is well needs far less
EXAMINE_TIMEOUT_S = 1.5

_serial = itertools.count()


class Cluster:
    """compute1 has the guest web1, compute2 is empty; more hosts with `add_host`."""

    def __init__(self, state_path: Path, *, hosts: int = 2) -> None:
        self._conf = config.CONF
        config.register_options(self._conf)
        self._conf([], default_config_files=[], default_config_dirs=[])
        self._override("transport_url", "fake://")
        self._override("control_exchange", f"limosa-{next(_serial)}")  # what earlier tests left is not read
        self._override("executor_thread_pool_size", 16)
        self._override("rpc_response_timeout", 10)
        self._override("host", "controller")
        self._override("state_path", str(state_path))
        self._override("sweep_interval_s", NEVER_S, "conductor")
        self._override("reserved_host_memory_mb", 0, "conductor")
        self._override("examine_timeout_s", EXAMINE_TIMEOUT_S, "conductor")
        self._bus = self._make_bus(identities.ADMINISTRATOR)
        self.api = ConductorAPI(self._bus)
        self._buses = [self._bus]
        self.agents: dict[str, FakeAgent] = {}
        self._servers: list[Server] = []
        self.sent: Counter[str] = Counter()
        database = Database(connection(self._conf))
        database.transact(_register_administrator)
        database.close()
        self.start_conductor()
        for number in range(1, hosts + 1):
            self.add_host(f"compute{number}")
        self.source.guests[GUEST] = guest_facts(GUEST)
        self.source.report()
        self.until(lambda: self.api.list_instances() != ())
        self.sent_before = self.messages_sent()

    @property
    def source(self) -> FakeAgent:
        return self.agents["compute1"]

    @property
    def dest(self) -> FakeAgent:
        return self.agents["compute2"]

    @property
    def events_exchange(self) -> str:
        return events_exchange(self._conf.control_exchange)

    def add_host(self, name: str, *, memory_total_mib: int = 4096) -> FakeAgent:
        """A host whose agent has been heard and has reported."""
        pem = identities.host(name).key.public.to_pem()
        self.conductor.database.transact(lambda session: keys.add_host(session, name, pem))
        bus = self._make_bus(identities.host(name))
        self._buses.append(bus)
        agent = FakeAgent(name, ConductorAPI(bus), memory_total_mib=memory_total_mib)
        server = bus.serve(interface(name), name, agent, guard=ObeyConductors())
        server.start()
        self._servers.append(server)
        self.agents[name] = agent
        agent.report()
        agent.heartbeat()
        self.until(lambda: any(s.host == name and s.memory_total_mib for s in self.api.list_services()))
        return agent

    def _make_bus(self, identity: Identity) -> Bus:
        keyring = ConductorsOnly(identities.CONDUCTOR.key.public)
        return Bus(self._conf, identity=identity, keyring=keyring)

    # ---- the conductor

    def start_conductor(self) -> None:
        self.conductor = Conductor(self._conf, identities.CONDUCTOR)
        self.conductor.start()

    def stop_conductor(self) -> None:
        self.conductor.stop()
        self.sent += self.conductor.bus.sent

    def sweep(self, *, resend_s: float = LONG_S, timeout_s: float = LONG_S) -> None:
        """One sweep of a conductor that waits so long before it resends, or says that time has passed."""
        patience = Patience(
            resend_interval_s=resend_s,
            check_timeout_s=timeout_s,
            pre_timeout_s=timeout_s,
            silence_timeout_s=timeout_s,
        )
        app = self.conductor
        Sweeper(app.database, app.driver, app.sender, patience=patience).sweep()

    def bus(self, identity: Identity) -> Bus:
        """To speak as somebody else."""
        bus = self._make_bus(identity)
        self._buses.append(bus)
        return bus

    # ---- what a test does and looks at

    def migrate(self, dest: str | None = "compute2", *, instance: str = "web1") -> MigrationView:
        return self.api.live_migrate(LiveMigrationRequest(instance=instance, dest=dest))

    def watch(self, view: MigrationView, is_so: Callable[[MigrationView], bool]) -> MigrationView:
        """The migration as soon as that is so."""
        deadline = time.monotonic() + WAIT_S
        while not is_so(view):
            assert time.monotonic() < deadline, f"{view}\n{self.story(view.id)}"
            view = self.api.watch_migration(view.id, after_version=view.version, timeout_s=1.0)
        return view

    def end_of(self, view: MigrationView) -> MigrationView:
        return self.watch(view, lambda view: view.finished_at is not None)

    def story(self, migration: str) -> str:
        return "\n".join(line.sentence for line in self.api.migration_log(migration))

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def messages_sent(self) -> Counter[str]:
        return sum((bus.sent for bus in (self.conductor.bus, *self._buses)), self.sent)

    def stop(self) -> None:
        # All at once: each takes about a second, the fake transport's poll.
        stopping = [spawn(stop) for stop in (self.conductor.stop, *(server.stop for server in self._servers))]
        for task in stopping:
            task.wait(WAIT_S)
        for task in [spawn(bus.close) for bus in self._buses]:
            task.wait(WAIT_S)
        self._conf.reset()
        self._conf.clear_override("transport_url")
        for name in (
            "control_exchange",
            "executor_thread_pool_size",
            "rpc_response_timeout",
            "host",
            "state_path",
        ):
            self._conf.clear_override(name)
        for name in ("sweep_interval_s", "reserved_host_memory_mb", "examine_timeout_s"):
            self._conf.clear_override(name, group="conductor")

    def _override(self, name: str, value: object, group: str | None = None) -> None:
        self._conf.set_override(name, value, group=group)


def _register_administrator(session: Session) -> None:
    name = identities.ADMINISTRATOR.principal.name
    pem = identities.ADMINISTRATOR.key.public.to_pem()
    keys.add_administrator(session, name, role=Role.ADMIN, public_key=pem, by="test", valid_days=None)
