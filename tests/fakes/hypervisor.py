"""Several hosts' hypervisors in memory, for tests of the agent: `FakeWorld` holds them, each is a `Hypervisor`.

It is held to tests/contract/test_hypervisor.py like the real one. Nothing happens by itself: a migration ends when
`issue` is called or, if the test holds it, when the test says so; and it ends as the test says, lies included.
"""

from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import NAMESPACE_DNS, uuid5

import libvirt

from common.facts import GuestFacts, HostFacts
from common.migration import JobStatistics
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.bridges import BridgeUsers, bridges_of
from compute_agent.hypervisor.driver import (
    ABSENT,
    Definition,
    DomainSnapshot,
    DomainState,
    EventCallback,
    EventKind,
    HypervisorEvent,
    Identity,
    JobKind,
    MigrateRequest,
    Reason,
)
from compute_agent.hypervisor.flags import require_safe
from compute_agent.hypervisor.libvirt_errors import (
    DomainExistsError,
    DomainNotFoundError,
    HypervisorOperationError,
    HypervisorUnreachableError,
    JobAbsentError,
)
from compute_agent.hypervisor.looks import Obstacles
from compute_agent.hypervisor.xml_text import XmlText
from tests.fakes.baselines import FakeBaselines
from tests.fakes.domain import HOST_FACTS, FakeDomain
from tests.fakes.network import FakeNetwork
from tests.fakes.nwfilters import FakeNetworkFilters
from tests.fakes.pools import FakePools
from tests.fakes.remote_files import FakeRemoteFiles
from tests.fakes.secrets import FakeSecrets
from tests.fakes.suitability import FakeSuitability
from tests.fakes.transfer import STATISTICS, End, Transfer, operation_error


class FakeWorld:
    """The hosts, and what the test has planned for the next migration of each guest."""

    def __init__(self, *names: str) -> None:
        self.hosts = {name: FakeHypervisor(self, name) for name in names}
        self.network = FakeNetwork()
        self.transfers: dict[str, Transfer] = {}

    def plan(self, uuid: str, end: End = End.MOVED, *, is_held: bool = False) -> Transfer:
        """Say how the guest's next migration ends; held: only after `Transfer.release`."""
        self.transfers[uuid] = Transfer(end=end, is_held=is_held)
        return self.transfers[uuid]

    def by_uri(self, uri: str) -> "FakeHypervisor":
        host = urlsplit(uri).hostname or ""
        if host not in self.hosts:
            raise operation_error(libvirt.VIR_ERR_SYSTEM_ERROR, domain=libvirt.VIR_FROM_RPC)
        return self.hosts[host]


class FakeMigrationCall:
    """See `driver.MigrationCall`."""

    def __init__(self, source: "FakeHypervisor", uuid: str, request: MigrateRequest) -> None:
        self._source, self._uuid, self._request = source, uuid, request
        self.is_over = False

    def issue(self) -> JobStatistics | None:
        assert not self.is_over, "a call is issued once"
        self.is_over = True
        self._source.require_up()
        self._source.calls.append(self._request)
        world = self._source.world
        transfer = world.transfers.get(self._uuid)
        if transfer is None or transfer.source is not None:  # none planned, or that plan was used
            transfer = world.plan(self._uuid)
        return transfer.run(self._source, self._uuid, self._request)

    def discard(self) -> None:
        self.is_over = True


class FakeHypervisor(
    FakeSuitability, FakeRemoteFiles, FakePools, FakeSecrets, FakeNetworkFilters, FakeBaselines
):
    """One host. `calls` are the migrations that were issued here; `has_permit` stands for the host's hook."""

    def __init__(self, world: FakeWorld, name: str) -> None:
        FakeSuitability.__init__(self, self.require_up)
        FakeBaselines.__init__(self, self.require_up)
        FakeRemoteFiles.__init__(self, world.by_uri)
        FakePools.__init__(self, self.require_up)
        FakeNetworkFilters.__init__(self, self.require_up)
        FakeSecrets.__init__(self, world.by_uri)
        self.world = world
        self.name = name
        self.domains: dict[str, FakeDomain] = {}
        self.calls: list[MigrateRequest] = []
        self.has_permit: Callable[[str], bool] = lambda _migration: True
        self.is_down = False
        self.age_s = 0.0
        self._callbacks: list[EventCallback] = []
        self._facts = HOST_FACTS

    # ---- what tests do to it

    def add_guest(self, xml: str, *, is_persistent: bool = True, is_running: bool = True) -> FakeDomain:
        """A guest that was here before; its uuid and name are those of the XML."""
        root = XmlText.parse(xml).root
        domain = FakeDomain(
            uuid=root.text_of("uuid"),
            name=root.text_of("name"),
            live_xml=xml if is_running else None,
            inactive_xml=xml if is_persistent else None,
            state=DomainState.RUNNING if is_running else DomainState.SHUTOFF,
            reason=Reason.BOOTED if is_running else Reason.OTHER,
        )
        self.domains[domain.uuid] = domain
        self.emit(EventKind.STARTED if is_running else EventKind.DEFINED, domain.uuid)
        return domain

    def suspend(self, uuid: str) -> None:
        """Its user pauses it."""
        domain = self.active_domain(uuid)
        domain.state, domain.reason = DomainState.PAUSED, Reason.USER
        self.emit(EventKind.SUSPENDED, uuid)

    def go_down(self) -> None:
        """libvirtd dies, and with it the calls in flight and, as in pre-copy, their jobs."""
        self.is_down = True
        for transfer in self.world.transfers.values():
            if transfer.source is self and transfer.is_running:
                transfer.lose_source()
        self._tell(HypervisorEvent(kind=EventKind.DISCONNECTED))

    def come_up(self) -> None:
        self.is_down = False
        self._tell(HypervisorEvent(kind=EventKind.RELIST))

    def power_off(self, uuid: str) -> None:
        """Its QEMU ends, for whatever reason."""
        domain = self.domains[uuid]
        domain.live_xml, domain.job = None, JobKind.NONE
        domain.state, domain.reason = DomainState.SHUTOFF, Reason.OTHER
        self.emit(EventKind.STOPPED, uuid)
        if domain.inactive_xml is None:
            del self.domains[uuid]

    def emit(
        self, kind: EventKind, uuid: str, *, detail: int = 0, statistics: JobStatistics | None = None
    ) -> None:
        domain = self.domains.get(uuid)
        name = domain.name if domain is not None else ""
        self._tell(HypervisorEvent(kind=kind, uuid=uuid, name=name, detail=detail, statistics=statistics))

    def require_up(self) -> None:
        if self.is_down:
            raise HypervisorUnreachableError(uri=self.name, reason="it is down")

    def active_domain(self, uuid: str) -> FakeDomain:
        domain = self._domain(uuid)
        if domain.live_xml is None:
            raise operation_error(libvirt.VIR_ERR_OPERATION_INVALID)
        return domain

    # ---- the protocol

    def start(self) -> None:
        if not self.is_down:
            self._tell(HypervisorEvent(kind=EventKind.RELIST))

    def stop(self) -> None:
        self._callbacks.clear()

    def subscribe(self, callback: EventCallback) -> None:
        self._callbacks.append(callback)

    def host_facts(self) -> HostFacts:
        self.require_up()
        return self._facts

    def identity(self) -> Identity:
        self.require_up()
        return Identity(hostname=self.name, uuid=str(uuid5(NAMESPACE_DNS, self.name)))

    def reach(self, uri: str, *, timeout_s: float) -> Identity:
        self.require_up()
        try:
            return self.world.by_uri(uri).identity()
        except HypervisorOperationError as error:  # nobody there
            raise HypervisorUnreachableError(uri=uri, reason=error.text) from error

    def memory_free_mib(self) -> int:
        return self.host_facts().memory_total_mib // 2

    def list_guests(self) -> tuple[GuestFacts, ...]:
        self.require_up()
        return tuple(domain.facts() for domain in tuple(self.domains.values()) if not domain.is_incoming)

    def guest_facts(self, uuid: str) -> GuestFacts:
        domain = self._domain(uuid)
        if domain.is_incoming:
            raise DomainNotFoundError(uuid=uuid)
        return domain.facts()

    def find_by_name(self, name: str) -> str | None:
        self.require_up()
        return next((domain.uuid for domain in self.domains.values() if domain.name == name), None)

    def definition(self, uuid: str) -> Definition:
        domain = self._domain(uuid)
        return Definition(
            live_xml=domain.live_xml or domain.inactive_xml or "",
            inactive_xml=domain.inactive_xml,
            is_active=domain.live_xml is not None,
            is_persistent=domain.inactive_xml is not None,
            has_autostart=domain.has_autostart,
            is_paused=domain.state in (DomainState.PAUSED, DomainState.PMSUSPENDED),
        )

    def migration_mark(self, uuid: str) -> str | None:
        domain = self._domain_or_none(uuid)
        return domain_xml.migration_mark(domain.live_xml) if domain is not None and domain.live_xml else None

    def obstacles(self, uuid: str) -> Obstacles:
        return self._domain(uuid).obstacles

    def has_run(self, uuid: str) -> bool:
        return self.active_domain(uuid).has_run

    def observe(self, uuid: str) -> DomainSnapshot:
        domain = self._domain_or_none(uuid)
        if domain is None:
            return ABSENT
        if domain.is_silent:
            raise HypervisorUnreachableError(uri=self.name, reason=f"QEMU of {uuid} is silent")
        is_active = domain.live_xml is not None
        return DomainSnapshot(
            exists=True,
            is_active=is_active,
            is_persistent=domain.inactive_xml is not None,
            state=domain.state,
            reason=domain.reason,
            job=domain.job,
            operation=domain.operation_now,
            name=domain.name,
            has_answered=is_active and domain.job is not JobKind.INCOMING,
        )

    def job_statistics(self, uuid: str) -> JobStatistics | None:
        domain = self._domain_or_none(uuid)
        return STATISTICS if domain is not None and domain.job is JobKind.OUTGOING else None

    def completed_statistics(self, uuid: str) -> JobStatistics | None:
        domain = self._domain_or_none(uuid)
        if domain is None:
            return None
        completed, domain.completed = domain.completed, None
        return completed

    def prepare_migration(self, uuid: str, request: MigrateRequest) -> FakeMigrationCall:
        require_safe(request.flags)
        self._domain(uuid)
        return FakeMigrationCall(self, uuid, request)

    def abort_job(self, uuid: str) -> None:
        self._require_job(uuid)
        if self.domains[uuid].reason is Reason.POSTCOPY:
            raise operation_error(libvirt.VIR_ERR_OPERATION_INVALID)
        transfer = self.world.transfers[uuid]
        transfer.is_aborted = True
        transfer.cancel()
        transfer.release()

    def set_max_downtime(self, uuid: str, downtime_ms: int) -> None:
        self._require_job(uuid)
        self.domains[uuid].max_downtime_ms = downtime_ms

    def pause_postcopy(self, uuid: str) -> None:
        self._require_job(uuid)
        domain = self.domains[uuid]
        domain.state, domain.reason = DomainState.PAUSED, Reason.POSTCOPY_FAILED

    def resume(self, uuid: str) -> None:
        domain = self.active_domain(uuid)
        if domain.state is not DomainState.RUNNING:
            domain.state, domain.reason = DomainState.RUNNING, Reason.UNPAUSED
            domain.has_run = True
            self.emit(EventKind.RESUMED, uuid)

    def destroy(self, uuid: str) -> None:
        domain = self._domain_or_none(uuid)
        if domain is None or domain.live_xml is None:
            return
        is_half = domain.is_incoming
        self.power_off(uuid)
        if is_half and uuid in self.world.transfers:
            self.world.transfers[uuid].break_off()

    def undefine(self, uuid: str) -> None:
        domain = self._domain_or_none(uuid)
        if domain is None or domain.inactive_xml is None:
            return
        domain.inactive_xml, domain.has_autostart = None, False
        if domain.live_xml is None:
            del self.domains[uuid]
        self._tell(HypervisorEvent(kind=EventKind.UNDEFINED, uuid=uuid, name=domain.name))

    def define(self, xml: str) -> None:
        self.require_up()
        root = XmlText.parse(xml).root
        name, uuid = root.text_of("name"), root.text_of("uuid")
        domain = self.domains.get(uuid)
        if self.find_by_name(name) not in (None, uuid) or (domain is not None and domain.name != name):
            raise DomainExistsError(reason=f"{name}, {uuid}")
        if domain is None:
            domain = self.domains[uuid] = FakeDomain(uuid=uuid, name=name)
        domain.inactive_xml = xml
        self.emit(EventKind.DEFINED, uuid)

    def set_autostart(self, uuid: str, *, has_autostart: bool) -> None:
        domain = self._domain(uuid)
        if domain.inactive_xml is None:
            raise operation_error(libvirt.VIR_ERR_OPERATION_INVALID)
        domain.has_autostart = has_autostart

    def clear_migration_mark(self, uuid: str) -> None:
        domain = self._domain_or_none(uuid)
        if domain is not None and domain.live_xml is not None:
            domain.live_xml = domain_xml.without_mark(domain.live_xml)

    def bridge_users(self) -> BridgeUsers:
        self.require_up()
        users: dict[str, tuple[str, ...]] = {}
        for domain in sorted(self.domains.values(), key=lambda domain: domain.name):
            xmls = filter(None, (domain.live_xml, domain.inactive_xml))
            for bridge in bridges_of(xmls, bridge_of=lambda name: self.bridges.get(name, "")):
                users[bridge] = (*users.get(bridge, ()), domain.name)
        return users

    # ---- within

    def _domain_or_none(self, uuid: str) -> FakeDomain | None:
        self.require_up()
        return self.domains.get(uuid)

    def _domain(self, uuid: str) -> FakeDomain:
        domain = self._domain_or_none(uuid)
        if domain is None:
            raise DomainNotFoundError(uuid=uuid)
        return domain

    def _require_job(self, uuid: str) -> None:
        domain = self._domain_or_none(uuid)
        if domain is None or domain.job is not JobKind.OUTGOING:
            raise JobAbsentError(uuid=uuid)

    def _tell(self, event: HypervisorEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(event)
