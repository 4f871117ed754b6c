"""What a hypervisor answers to the questions of checks: frozen data, and the words of it. Nothing here travels."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way to run guests here: an architecture with a domain type, and its machine types as libvirt sorts them."""

    arch: str
    domain_type: str  # kvm, qemu
    emulator: str
    machines: tuple[str, ...]  # names and aliases (pc-i440fx-7.2, pc)


class MachineFit(StrEnum):
    """Whether a guest's machine can be had here, and if not, what is missing first."""

    FITS = "fits"
    NO_EMULATOR = "no-emulator"  # the binary that its XML names
    NO_DOMAIN_TYPE = "no-domain-type"  # kvm, qemu of its architecture
    NO_MACHINE = "no-machine"  # of this name, in that emulator


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuComparison:
    """Whether a guest's CPU can be had here. `reason` is libvirt's text, for people."""

    is_compatible: bool
    reason: str = ""
    missing: tuple[str, ...] = ()  # features, as far as libvirt names them


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResources:
    """What this libvirt has under the names that a guest's XML may use."""

    networks_active: tuple[str, ...] = ()
    networks_inactive: tuple[str, ...] = ()
    network_bridges: tuple[tuple[str, str], ...] = ()  # of active networks that have one: name, bridge
    nwfilters: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # uuids and usages; never a value


class BlockJobKind(StrEnum):
    """virDomainBlockJobType."""

    UNKNOWN = "unknown"
    PULL = "pull"
    COPY = "copy"
    COMMIT = "commit"
    ACTIVE_COMMIT = "active-commit"
    BACKUP = "backup"  # part of a backup job, which is seen as the domain's job as well


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockJob:
    disk: str  # vda
    kind: BlockJobKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """What of a guest stands in the way of its moving, besides its state and its job."""

    has_managed_save: bool = False
    snapshots: tuple[str, ...] = ()  # names; those whose metadata libvirt keeps
    checkpoints: tuple[str, ...] = ()
    block_jobs: tuple[BlockJob, ...] = ()


NO_OBSTACLES = Obstacles()
