"""What a host could still take, from what its agent last told; pure."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from common.facts import HostFacts
from common.states import VersionRule
from common.transfer import DiskImage, TransferPlan

MIB_PER_GIB = 1024
_MIB_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host as the database has it at this moment."""

    name: str
    heard_s: float  # since its agent was heard, by the database's clock
    hypervisor_age_s: float | None  # since libvirt answered the agent, at its last heartbeat
    facts: HostFacts | None  # None: it has not reported yet
    used_mib: int  # its guests, what open migrations claim on it, and guests that only it reports
    disabled_reason: str | None = None  # of an administrator; None: enabled
    version: str = ""  # its agent's
    used_vcpus: int = 0  # likewise
    claimed_disk_mib: int = 0  # by open migrations, for disks that are copied there


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The options that say when a host counts as up, how much of it guests may have, and which versions fit."""

    service_down_time_s: float
    ram_allocation_ratio: float
    reserved_memory_mib: int
    cpu_allocation_ratio: float = 16.0
    reserved_vcpus: int = 0
    disk_allocation_ratio: float = 1.0
    reserved_disk_mib: int = 0
    version_rule: VersionRule = VersionRule.NOT_OLDER


def is_up(host: HostStatus, limits: Limits) -> bool:
    """Whether its agent is heard. Down stops new work there and is evidence of nothing else."""
    return host.heard_s <= limits.service_down_time_s


def free_mib(host: HostStatus, limits: Limits) -> int | None:
    """Memory for further guests; negative when overcommitted, None before the first report."""
    if host.facts is None:
        return None
    total_mib = int(host.facts.memory_total_mib * limits.ram_allocation_ratio)
    return total_mib - limits.reserved_memory_mib - host.used_mib


def free_vcpus(host: HostStatus, limits: Limits) -> int | None:
    """Virtual CPUs for further guests; None before the first report."""
    if host.facts is None:
        return None
    total = int((host.facts.vcpus_total - limits.reserved_vcpus) * limits.cpu_allocation_ratio)
    return total - host.used_vcpus


def free_disk_mib(host: HostStatus, limits: Limits) -> int | None:
    """Disk space for what would be copied there; None where the host does not tell.

    What is taken stands in the file system's own figures: guests and everything else. The ratio stretches the whole. What
    others are copying there counts in full until it is there, and perhaps twice for a moment: rather too little.
    """
    facts = host.facts
    if facts is None or not facts.disk_total_gib:
        return None
    stretch_gib = facts.disk_total_gib * (limits.disk_allocation_ratio - 1.0)
    total_mib = int((facts.disk_free_gib + stretch_gib) * MIB_PER_GIB)
    return total_mib - limits.reserved_disk_mib - host.claimed_disk_mib


def copied_mib(plan: TransferPlan, dest: HostStatus) -> int:
    """What of the guest's disks would take of the space that the dest tells of: files below its instances_path."""
    directory = dest.facts.instances_path if dest.facts is not None else ""
    images = [disk.images[0] for disk in plan.copied if disk.images]
    sizes = [image.virtual_bytes for image in images if _is_below(image, directory)]
    return -(-sum(sizes) // _MIB_BYTES)


def _is_below(image: DiskImage, directory: str) -> bool:
    """Other directories, volume groups and pools the dest's agent itself looks at."""
    return image.type == "file" and (not directory or PurePosixPath(image.path).is_relative_to(directory))
