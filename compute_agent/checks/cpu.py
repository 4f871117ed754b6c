"""On the dest: whether the guest finds the CPU there that it was started with.

libvirt lets a guest with `host-passthrough` arrive on any host, and it crashes when it uses what is missing; so equal hosts
are demanded. Every other CPU stands in the live XML as a model with features, whatever the guest's own XML says, and the
dest's libvirt compares it.
"""

from collections.abc import Iterator

from common.checks import Finding
from common.guest_checks import CPU_HOST_DIFFERS, CPU_HOST_UNKNOWN, CPU_INCOMPATIBLE, CPU_MAXIMUM_DIFFERS
from compute_agent.checks.look import DestLook
from compute_agent.hypervisor.cpu import HOST_PASSTHROUGH, MAXIMUM, GuestCpu, differences, guest_cpu, host_cpu
from compute_agent.hypervisor.looks import CpuComparison, MachineFit

_EMULATED = "qemu"  # the domain type without the host's own CPU


def check_cpu(look: DestLook) -> Iterator[Finding]:
    if not look.guest.cpu_xml:
        return  # nothing is asked for, or the source's agent is of an older version
    cpu = guest_cpu(look.guest.cpu_xml)
    if cpu.mode == MAXIMUM and look.guest.hypervisor == _EMULATED:
        yield from _emulated_maximum(look)
    elif cpu.mode in (HOST_PASSTHROUGH, MAXIMUM):
        yield from _equal_hosts(look, cpu)
    elif cpu.model and look.hypervisor.machine_fit(look.guest) is MachineFit.FITS:
        yield from _offered(look, cpu)


def _equal_hosts(look: DestLook, cpu: GuestCpu) -> Iterator[Finding]:
    host, name = look.settings.host, look.guest.name
    source_xml, dest_xml = look.source.host_cpu_xml if look.source else "", look.dest.host_cpu_xml
    if not source_xml or not dest_xml:
        silent = host if source_xml else look.source_host or "its source"
        reason = f"{silent} has not told its CPU"
        yield CPU_HOST_UNKNOWN.finding(host, instance=name, mode=cpu.mode, reason=reason)
        return
    found = differences(host_cpu(source_xml), host_cpu(dest_xml))
    if found:
        yield CPU_HOST_DIFFERS.finding(host, instance=name, mode=cpu.mode, differences="; ".join(found))


def _emulated_maximum(look: DestLook) -> Iterator[Finding]:
    source_version = look.source.hypervisor_version if look.source else 0
    if source_version != look.dest.hypervisor_version:
        yield CPU_MAXIMUM_DIFFERS.finding(
            look.settings.host,
            instance=look.guest.name,
            source_version=_version(source_version),
            dest_version=_version(look.dest.hypervisor_version),
        )


def _offered(look: DestLook, cpu: GuestCpu) -> Iterator[Finding]:
    found = look.hypervisor.compare_cpu(look.guest)
    if found.is_compatible:
        return
    # libvirt would start it with fewer features, if it was told not to check them: the guest alone would notice.
    finding = CPU_INCOMPATIBLE.refusal if cpu.is_checked else CPU_INCOMPATIBLE.warning
    yield finding(
        look.settings.host,
        instance=look.guest.name,
        model=cpu.model,
        why=_why(found),
    )


def _why(found: CpuComparison) -> str:
    if found.missing:
        return f"it lacks {', '.join(found.missing)}"
    return f"its libvirt says: {found.reason}" if found.reason else "its libvirt says only that it cannot"


def _version(number: int) -> str:
    """libvirt's number of a version as people write it: 7002000 is 7.2.0."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}" if number else "unknown"
