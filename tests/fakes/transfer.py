"""A migration in the world of fake hypervisors: what libvirt does to both hosts, and how it may end."""

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import libvirt

from common.migration import JobStatistics
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import DomainState, EventKind, JobKind, MigrateRequest, Reason
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError, HypervisorUnreachableError
from tests.fakes.domain import FakeDomain

if TYPE_CHECKING:
    from tests.fakes.hypervisor import FakeHypervisor

HOLD_TIMEOUT_S = 60.0
STATISTICS = JobStatistics(
    memory_total=100_663_296, memory_processed=80_000_000, elapsed_ms=500, downtime_ms=20
)


class End(StrEnum):
    """How a migration ends in this world."""

    MOVED = "moved"
    FAILED = "failed"  # an error, and the guest runs on the source
    MOVED_WITH_ERROR = "moved-with-error"  # an error, although the guest runs on the dest
    CONNECTION_LOST = (
        "connection-lost"  # libvirtd does not answer any more; the job goes on: `Transfer.complete`
    )
    LEFT_PAUSED = "left-paused"  # an error; source paused by the migration, without a job; the dest runs
    FINISH_LOST = "finish-lost"  # the same, and the dest has not finished


@dataclass
class Transfer:
    """One migration, as the test plans it (`FakeWorld.plan`) and drives it."""

    end: End = End.MOVED
    is_held: bool = False
    source: "FakeHypervisor | None" = None
    dest: "FakeHypervisor | None" = None
    uuid: str = ""
    request: MigrateRequest | None = None
    is_aborted: bool = False
    _active: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def wait_until_active(self) -> None:
        assert self._active.wait(HOLD_TIMEOUT_S), "no migration began"

    def release(self) -> None:
        """Let a held migration end."""
        self._released.set()

    def run(self, source: "FakeHypervisor", uuid: str, request: MigrateRequest) -> JobStatistics:
        """What libvirt does: Prepare on the dest, Perform, Finish on the dest, Confirm on the source."""
        self.source, self.uuid, self.request = source, uuid, request
        self.dest = source.world.by_uri(request.dconnuri)
        self._prepare()
        self._active.set()
        if self.is_held:
            assert self._released.wait(HOLD_TIMEOUT_S), "nobody released the migration"
        if self.is_aborted:
            raise operation_error(libvirt.VIR_ERR_OPERATION_ABORTED)
        return self._ended()

    def break_off(self) -> None:
        """One of its ends is gone."""
        self.end = End.FAILED
        self.release()

    @property
    def is_running(self) -> bool:
        return self._active.is_set() and not self._released.is_set()

    def lose_source(self) -> None:
        """Its libvirtd is gone: whoever called hears nothing more, and the job ends."""
        self.end = End.CONNECTION_LOST
        self.cancel()
        self.release()

    def complete(self) -> None:
        """The guest runs on the dest and its source is gone."""
        self._finish()
        self._confirm()

    def cancel(self) -> None:
        """The dest's half goes; the source goes on."""
        assert self.source is not None and self.dest is not None
        self.dest.domains.pop(self.uuid, None)
        self.source.domains[self.uuid].job = JobKind.NONE

    def _ended(self) -> JobStatistics:
        assert self.source is not None
        domain = self.source.domains[self.uuid]
        match self.end:
            case End.MOVED:
                self.complete()
                return STATISTICS
            case End.MOVED_WITH_ERROR:
                self.complete()
            case End.FAILED:
                self.cancel()
            case End.LEFT_PAUSED | End.FINISH_LOST:
                if self.end is End.LEFT_PAUSED:
                    self._finish()
                domain.state, domain.reason, domain.job = DomainState.PAUSED, Reason.MIGRATION, JobKind.NONE
            case End.CONNECTION_LOST:
                raise HypervisorUnreachableError(uri=self.source.name, reason="the connection broke")
        raise operation_error(libvirt.VIR_ERR_INTERNAL_ERROR)

    def _prepare(self) -> None:
        assert self.source is not None and self.dest is not None and self.request is not None
        domain = self.source.active_domain(self.uuid)
        if self.dest.is_down:
            raise operation_error(libvirt.VIR_ERR_SYSTEM_ERROR, domain=libvirt.VIR_FROM_RPC)
        if self.uuid in self.dest.domains or self.dest.find_by_name(domain.name):
            raise operation_error(libvirt.VIR_ERR_OPERATION_FAILED)
        mark = domain_xml.migration_mark(self.request.dest_xml)
        if mark is not None and not self.dest.has_permit(mark):
            raise operation_error(libvirt.VIR_ERR_HOOK_SCRIPT_FAILED, domain=libvirt.VIR_FROM_HOOK)
        self.dest.domains[self.uuid] = FakeDomain(
            uuid=self.uuid,
            name=domain.name,
            live_xml=self.request.dest_xml,
            state=DomainState.PAUSED,
            reason=Reason.MIGRATION,
            job=JobKind.INCOMING,
        )
        domain.job = JobKind.OUTGOING
        self.dest.emit(EventKind.STARTED, self.uuid)
        self.source.emit(EventKind.ITERATION, self.uuid, detail=1)

    def _finish(self) -> None:
        assert self.source is not None and self.dest is not None and self.request is not None
        was_paused = self.source.domains[self.uuid].state is DomainState.PAUSED
        half = self.dest.domains[self.uuid]
        half.job, half.completed = JobKind.NONE, STATISTICS
        if self.request.flags & libvirt.VIR_MIGRATE_PERSIST_DEST:
            half.inactive_xml = self.request.persist_xml or self.request.dest_xml
            self.dest.emit(EventKind.DEFINED, self.uuid)
        half.state = DomainState.PAUSED if was_paused else DomainState.RUNNING
        half.has_run = not was_paused
        half.reason = Reason.USER if was_paused else Reason.MIGRATED
        self.dest.emit(EventKind.SUSPENDED if was_paused else EventKind.RESUMED, self.uuid)

    def _confirm(self) -> None:
        assert self.source is not None and self.request is not None
        self.source.power_off(self.uuid)
        if self.request.flags & libvirt.VIR_MIGRATE_UNDEFINE_SOURCE:
            self.source.domains.pop(self.uuid, None)  # libvirt 9.0 sends no event of it
        self.source.emit(EventKind.JOB_COMPLETED, self.uuid, statistics=STATISTICS)


def operation_error(code: int, *, domain: int = libvirt.VIR_FROM_QEMU) -> HypervisorOperationError:
    return HypervisorOperationError(code=code, domain=domain, text=f"fake error {code}")
