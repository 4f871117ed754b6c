"""A host and a domain as a fake libvirtd keeps them, and XML for guests of tests."""

from dataclasses import dataclass
from uuid import uuid4

from common.facts import GuestFacts, HostFacts
from common.migration import JobStatistics
from common.states import PowerState
from compute_agent.hypervisor.driver import DomainState, JobKind, JobOperation, Reason
from compute_agent.hypervisor.guest_xml import guest_facts
from compute_agent.hypervisor.looks import NO_OBSTACLES, Obstacles

HOST_FACTS = HostFacts(
    hypervisor_type="QEMU",
    hypervisor_version=7_002_000,
    libvirt_version=9_000_000,
    cpu_model="qemu64",
    cpu_arch="x86_64",
    vcpus_total=4,
    memory_total_mib=8192,
    host_cpu_xml="<cpu><arch>x86_64</arch><model>qemu64</model><vendor>AMD</vendor></cpu>",
    qemu_uid=0,
    qemu_gid=0,
    service_uid=0,
    service_gid=0,
    security_models=("none", "dac"),
    disk_total_gib=100,
    disk_free_gib=50,
)

_POWER_STATES = {
    DomainState.RUNNING: PowerState.RUNNING,
    DomainState.PAUSED: PowerState.PAUSED,
    DomainState.SHUTOFF: PowerState.SHUTOFF,
    DomainState.CRASHED: PowerState.CRASHED,
    DomainState.PMSUSPENDED: PowerState.SUSPENDED,
}
_OPERATIONS = {
    JobKind.NONE: JobOperation.UNKNOWN,
    JobKind.OUTGOING: JobOperation.MIGRATION_OUT,
    JobKind.INCOMING: JobOperation.MIGRATION_IN,
}


@dataclass
class FakeDomain:
    """A domain in one libvirtd. Tests may change it at will: that is what happens to hypervisors."""

    uuid: str
    name: str
    live_xml: str | None = None  # while it has a QEMU
    inactive_xml: str | None = None  # while it is defined
    state: DomainState = DomainState.SHUTOFF
    reason: Reason = Reason.OTHER
    job: JobKind = JobKind.NONE
    operation: JobOperation = JobOperation.UNKNOWN  # which one, where `job` is OTHER
    obstacles: Obstacles = NO_OBSTACLES
    has_autostart: bool = False
    has_run: bool = True  # since its QEMU was started here
    is_silent: bool = False  # its QEMU hangs
    completed: JobStatistics | None = None
    max_downtime_ms: int = 300

    @property
    def is_incoming(self) -> bool:
        return self.state is DomainState.PAUSED and self.job is JobKind.INCOMING

    @property
    def operation_now(self) -> JobOperation:
        return _OPERATIONS.get(self.job, self.operation)

    def facts(self) -> GuestFacts:
        return guest_facts(
            self.live_xml or self.inactive_xml or "",
            power_state=_POWER_STATES.get(self.state, PowerState.UNKNOWN),
            is_persistent=self.inactive_xml is not None,
            has_autostart=self.has_autostart,
        )


def guest_xml(name: str, *, uuid: str = "", memory_mib: int = 16, devices: str = "") -> str:
    """The XML of the smallest guest that libvirt starts: nothing to boot, and no disk unless `devices` has one."""
    return f"""<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid or uuid4()}</uuid>
  <title>a guest &amp; its title</title>
  <metadata>
    <other:owner xmlns:other="https://other.example/1" other:team="a"/>
  </metadata>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>{devices}
  </devices>
</domain>
"""
