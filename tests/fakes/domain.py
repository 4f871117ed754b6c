"""A domain as a fake libvirtd keeps it, and XML for guests of tests."""

from dataclasses import dataclass
from uuid import uuid4

from common.migration import JobStatistics
from compute_agent.hypervisor.driver import DomainState, JobKind, Reason


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
    has_autostart: bool = False
    has_run: bool = True  # since its QEMU was started here
    is_silent: bool = False  # its QEMU hangs
    completed: JobStatistics | None = None
    max_downtime_ms: int = 300

    @property
    def is_incoming(self) -> bool:
        return self.state is DomainState.PAUSED and self.job is JobKind.INCOMING


def guest_xml(name: str, *, uuid: str = "", memory_mib: int = 16) -> str:
    """The XML of the smallest guest that libvirt starts: no disk, nothing to boot."""
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
    <memballoon model='none'/>
  </devices>
</domain>
"""
