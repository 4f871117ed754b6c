"""The `Hypervisor` protocol over one host's libvirtd."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import libvirt

from common import concurrency
from common.facts import GuestFacts, HostFacts
from common.migration import JobStatistics
from compute_agent.hypervisor import domain_xml, guest, job, obstacles, suitability
from compute_agent.hypervisor.baseline import LibvirtBaselines
from compute_agent.hypervisor.bridges import LibvirtBridges
from compute_agent.hypervisor.classify import is_settling
from compute_agent.hypervisor.connection import Connection
from compute_agent.hypervisor.control import ControlConnection
from compute_agent.hypervisor.driver import (
    Definition,
    DomainSnapshot,
    EventCallback,
    Identity,
    JobKind,
    MigrateRequest,
)
from compute_agent.hypervisor.events import EventSource
from compute_agent.hypervisor.host_files import HostFiles
from compute_agent.hypervisor.kept_capabilities import KeptCapabilities
from compute_agent.hypervisor.libvirt_errors import (
    DomainExistsError,
    DomainNotFoundError,
    HypervisorOperationError,
    HypervisorUnreachableError,
    JobAbsentError,
)
from compute_agent.hypervisor.libvirt_secrets import LibvirtSecrets
from compute_agent.hypervisor.looks import CpuComparison, HostResources, MachineFit, Obstacles, Offer
from compute_agent.hypervisor.migration_call import LibvirtMigrationCall
from compute_agent.hypervisor.nwfilters import LibvirtNetworkFilters
from compute_agent.hypervisor.pools import LibvirtStoragePools
from compute_agent.hypervisor.remote_files import LibvirtRemoteFiles
from compute_agent.hypervisor.xml_text import XmlText

# Some ms a guest; and for the first look at its capabilities libvirt starts each QEMU binary, which may take seconds.
LIST_TIMEOUT_S = 30.0
# Of a call that changes something. Longer than any lasts, so that none goes on beside the command after its own (rule 8c):
# libvirt waits 30 s for a job, and keepalive ends the connection to a libvirtd that hangs.
CHANGE_TIMEOUT_S = 60.0
OBSERVE_LOOKS_MAX = 20
OBSERVE_PAUSE_S = 0.1

T = TypeVar("T")


class LibvirtHypervisor(
    LibvirtRemoteFiles,
    LibvirtBridges,
    LibvirtStoragePools,
    LibvirtSecrets,
    LibvirtNetworkFilters,
    LibvirtBaselines,
):
    """See `driver.Hypervisor`."""

    def __init__(self, uri: str, *, timeout_s: float, files: HostFiles) -> None:
        super().__init__(timeout_s=timeout_s)
        self._uri = uri
        self._timeout_s = timeout_s
        self._files = files
        self._capabilities = KeptCapabilities()
        self._control = ControlConnection(uri, timeout_s=timeout_s)
        self._events = EventSource(uri, timeout_s=timeout_s)

    def start(self) -> None:
        self._events.start()

    def stop(self) -> None:
        self._events.stop()
        self._control.close()

    @property
    def age_s(self) -> float:
        return min(self._control.age_s, self._events.age_s)

    def subscribe(self, callback: EventCallback) -> None:
        self._events.subscribe(callback)

    # ---- facts

    def host_facts(self) -> HostFacts:
        look = partial(_host_facts, kept=self._capabilities)
        facts = self._control.call(look, timeout_s=LIST_TIMEOUT_S)
        space = self._files.disk_space()
        tls = self._files.tls(qemu_uid=facts.qemu_uid, qemu_gid=facts.qemu_gid)
        return replace(
            facts,
            lock_manager=self._files.lock_manager(),
            migration_host=self._files.migration_host(),
            disk_total_gib=space.total_gib,
            disk_free_gib=space.free_gib,
            instances_path=str(self._files.instances_path),
            tls_directory=str(tls.directory),
            tls_certificate=tls.certificate,
            tls_authority=tls.authority,
            tls_problem=tls.problem,
        )

    def identity(self) -> Identity:
        return self._control.call(partial(_identity, kept=self._capabilities))

    def reach(self, uri: str, *, timeout_s: float) -> Identity:
        connection = Connection.open(uri, timeout_s=timeout_s, is_peer=True)
        try:
            return connection.call(partial(_identity, kept=KeptCapabilities()), timeout_s=timeout_s)
        finally:
            connection.close()

    def memory_free_mib(self) -> int:
        available_mib = self._files.memory_available_mib()
        return self._control.call(_memory_free_mib) if available_mib is None else available_mib

    def list_guests(self) -> tuple[GuestFacts, ...]:
        found = self._control.call(guest.all_facts, timeout_s=LIST_TIMEOUT_S)
        return self._files.with_disk_sizes(found, is_full=True)

    def guest_facts(self, uuid: str) -> GuestFacts:
        facts = self._with_domain(uuid, guest.facts)
        if facts is None:
            raise DomainNotFoundError(uuid=uuid)
        (sized,) = self._files.with_disk_sizes((facts,), is_full=False)
        return sized

    def find_by_name(self, name: str) -> str | None:
        return self._control.call(lambda connection: _uuid_by_name(connection, name))

    def definition(self, uuid: str) -> Definition:
        return self._with_domain(uuid, guest.definition)

    def migration_mark(self, uuid: str) -> str | None:
        return self._if_domain(uuid, lambda domain: domain_xml.migration_mark(domain.XMLDesc(0)))

    # ---- what a guest from elsewhere would meet here

    def offers(self) -> tuple[Offer, ...]:
        def offers(connection: Any) -> tuple[Offer, ...]:
            return self._capabilities.read(connection).offers

        return self._control.call(offers, timeout_s=LIST_TIMEOUT_S)

    def machine_fit(self, guest: GuestFacts) -> MachineFit:
        def fit(connection: Any) -> MachineFit:
            offers = self._capabilities.read(connection).offers
            return suitability.machine_fit(connection, guest, offers=offers)

        return self._control.call(fit, timeout_s=LIST_TIMEOUT_S)

    def compare_cpu(self, guest: GuestFacts) -> CpuComparison:
        comparison = partial(suitability.compare_cpu, guest=guest)
        return self._control.call(comparison, timeout_s=LIST_TIMEOUT_S)

    def resources(self) -> HostResources:
        return self._control.call(suitability.resources)

    # ---- looking

    def obstacles(self, uuid: str) -> Obstacles:
        for _ in range(OBSERVE_LOOKS_MAX):
            found = self._with_domain(uuid, obstacles.obstacles)
            if found is not None:
                return found
            concurrency.sleep(OBSERVE_PAUSE_S)
        raise HypervisorUnreachableError(uri=self._uri, reason=f"QEMU of {uuid} is busy or silent")

    def observe(self, uuid: str) -> DomainSnapshot:
        snapshot = self._look(uuid)
        for _ in range(OBSERVE_LOOKS_MAX - 1):
            if not is_settling(snapshot) and _is_proven(snapshot):
                return snapshot
            concurrency.sleep(OBSERVE_PAUSE_S)
            snapshot = self._look(uuid)
        if not _is_proven(snapshot):
            raise HypervisorUnreachableError(uri=self._uri, reason=f"QEMU of {uuid} is busy or silent")
        return snapshot

    def has_run(self, uuid: str) -> bool:
        return self._with_domain(uuid, guest.has_run)

    def job_statistics(self, uuid: str) -> JobStatistics | None:
        return self._if_domain(uuid, job.job_statistics)

    def completed_statistics(self, uuid: str) -> JobStatistics | None:
        return self._if_domain(uuid, job.completed_statistics)

    # ---- migrating

    def prepare_migration(self, uuid: str, request: MigrateRequest) -> LibvirtMigrationCall:
        return LibvirtMigrationCall(uri=self._uri, uuid=uuid, request=request, timeout_s=self._timeout_s)

    def abort_job(self, uuid: str) -> None:
        if not self._if_domain(uuid, job.abort, timeout_s=CHANGE_TIMEOUT_S):
            raise JobAbsentError(uuid=uuid)

    def set_max_downtime(self, uuid: str, downtime_ms: int) -> None:
        change = partial(job.set_max_downtime, downtime_ms=downtime_ms)
        if not self._if_domain(uuid, change, timeout_s=CHANGE_TIMEOUT_S):
            raise JobAbsentError(uuid=uuid)

    def pause_postcopy(self, uuid: str) -> None:
        flags = libvirt.VIR_DOMAIN_ABORT_JOB_POSTCOPY
        if not self._if_domain(uuid, partial(job.abort, flags=flags), timeout_s=CHANGE_TIMEOUT_S):
            raise JobAbsentError(uuid=uuid)

    # ---- changing

    def resume(self, uuid: str) -> None:
        self._with_domain(uuid, guest.resume, timeout_s=CHANGE_TIMEOUT_S)

    def destroy(self, uuid: str) -> None:
        self._if_domain(uuid, guest.destroy, timeout_s=CHANGE_TIMEOUT_S)

    def undefine(self, uuid: str) -> None:
        self._if_domain(uuid, guest.undefine, timeout_s=CHANGE_TIMEOUT_S)

    def define(self, xml: str) -> None:
        root = XmlText.parse(xml).root
        name, uuid = root.text_of("name"), root.text_of("uuid")
        try:
            self._control.call(
                lambda connection: connection.defineXML(xml), uuid=uuid, timeout_s=CHANGE_TIMEOUT_S
            )
        except HypervisorOperationError as error:
            # libvirt has one code for this and for other refusals: look what stands in the way.
            if self.find_by_name(name) not in (None, uuid) or self._if_domain(uuid, _name) not in (
                None,
                name,
            ):
                raise DomainExistsError(reason=f"{name}, {uuid}") from error
            raise

    def set_autostart(self, uuid: str, *, has_autostart: bool) -> None:
        self._with_domain(
            uuid, lambda domain: domain.setAutostart(int(has_autostart)), timeout_s=CHANGE_TIMEOUT_S
        )

    def clear_migration_mark(self, uuid: str) -> None:
        self._if_domain(uuid, guest.clear_mark, timeout_s=CHANGE_TIMEOUT_S)

    # ---- within

    def _look(self, uuid: str) -> DomainSnapshot:
        """One snapshot. An error of the looking itself is no evidence: it counts as silence."""
        try:
            return self._control.call(lambda connection: guest.snapshot(connection, uuid), uuid=uuid)
        except HypervisorOperationError as error:
            raise HypervisorUnreachableError(uri=self._uri, reason=error.text) from error

    def _with_domain(self, uuid: str, function: Callable[[Any], T], *, timeout_s: float | None = None) -> T:
        """Raises DomainNotFoundError."""

        def call(connection: Any) -> T:
            return function(connection.lookupByUUIDString(uuid))

        return self._control.call(call, uuid=uuid, timeout_s=timeout_s)

    def _if_domain(
        self, uuid: str, function: Callable[[Any], T], *, timeout_s: float | None = None
    ) -> T | None:
        """None for a domain that is not there, or goes meanwhile."""
        try:
            return self._with_domain(uuid, function, timeout_s=timeout_s)
        except DomainNotFoundError:
            return None


def _is_proven(snapshot: DomainSnapshot) -> bool:
    """Whether the domain's QEMU, where there is one and it may be asked, has answered."""
    return not snapshot.is_active or snapshot.has_answered or snapshot.job is JobKind.INCOMING


def _host_facts(connection: Any, *, kept: KeptCapabilities) -> HostFacts:
    # Not getInfo's memory: that is the sum of NUMA cells, which leaves out what the kernel placed elsewhere.
    memory_total_kib = _memory_kib(connection)["total"]
    host = kept.read(connection)
    return HostFacts(
        hypervisor_type=connection.getType(),
        hypervisor_version=connection.getVersion(),
        libvirt_version=connection.getLibVersion(),
        cpu_model=host.cpu_model,
        cpu_arch=host.cpu_arch,
        vcpus_total=connection.getInfo()[2],
        memory_total_mib=memory_total_kib // 1024,
        host_cpu_xml=host.cpu_xml,
        qemu_uid=host.qemu_uid,
        qemu_gid=host.qemu_gid,
        service_uid=os.geteuid(),
        service_gid=os.getegid(),
        security_models=host.security_models,
    )


def _identity(connection: Any, *, kept: KeptCapabilities) -> Identity:
    return Identity(hostname=str(connection.getHostname()), uuid=kept.read(connection).host_uuid)


def _memory_free_mib(connection: Any) -> int:
    figures = _memory_kib(connection)
    return sum(figures.get(key, 0) for key in ("free", "buffers", "cached")) // 1024


def _memory_kib(connection: Any) -> dict[str, int]:
    figures: dict[str, int] = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    return figures


def _uuid_by_name(connection: Any, name: str) -> str | None:
    try:
        return str(connection.lookupByName(name).UUIDString())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _name(domain: Any) -> str:
    return str(domain.name())
