"""What of a guest is copied, connected or made for it to run on the dest: found out by its source, prepared by the dest.

A `TransferPlan` is what the source sees of the guest at the last check. `Declarations` are what the conductor's database
has of it besides. Neither holds a secret: those go by the uuid of a libvirt secret, or the name of a file of root's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.facts import InterfaceFacts
from common.states import DiskWay, StorageMode
from common.volumes import VolumeConnection as VolumeConnection

# ---- found by the source


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskImage:
    """One image of a disk as its source has it: the disk's own, or one below it."""

    type: str  # file, block
    path: str
    format: str  # raw, qcow2
    virtual_bytes: int
    allocated_bytes: int  # what it takes of its storage
    size_bytes: int = 0  # of its file; with its checksum, of one below the disk's own that the dest must have
    sha256: str = ""
    is_shared: bool = False  # one below the disk's own that both hosts see: nothing is made of it
    backing: str = ""  # what it stands on, as its own header names it
    backing_format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)  # of its format: another one is made like it
    identity: Mapping[str, str] = field(default_factory=dict)  # tells it from another one of its name
    mode: int = 0o600
    uid: int | None = None  # its owner on the source; None: not of a kind that has one
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTransfer:
    """One disk of the guest, whatever its way: a plan that leaves one out is refused before the call."""

    target: str  # vda
    type: str  # libvirt's: file, block, network, volume, ...
    source: str  # as DiskFacts.source
    way: DiskWay
    images: tuple[DiskImage, ...] = ()  # COPIED: the disk's own first, then each below it
    pool: str = ""  # of type volume
    volume: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumTransfer:
    """A file that the guest only reads: the medium of a drive, or what its domain is started with."""

    what: str  # target of the drive (sda), or kernel, initrd, dtb, loader, template
    path: str
    size_bytes: int
    sha256: str  # empty: it cannot be read, and so not be copied
    is_dispensable: bool = False  # the guest's definition lets its drive be empty
    type: str = "file"  # block: a drive of the host itself
    is_removable: bool = False  # it lies in a drive that can be emptied
    mode: int = 0o644
    is_of_qemu: bool = False  # its owner is QEMU's user
    is_shared: bool = False  # both hosts see the same file: it was not read, and stays where it is


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPlan:
    """All that the guest has with it."""

    disks: tuple[DiskTransfer, ...] = ()
    media: tuple[MediumTransfer, ...] = ()
    volumes: tuple[VolumeConnection, ...] = ()
    interfaces: tuple[InterfaceFacts, ...] = ()
    secrets: tuple[str, ...] = ()  # uuid or usage of the libvirt secrets that its XML names
    is_encrypted: bool = (
        False  # memory and disks are sent with QEMU's TLS: both hosts have shown that they can
    )
    tls_name: str = (
        ""  # of those in the dest's certificate, for which its QEMU is asked; empty: left to libvirt
    )

    @property
    def copied(self) -> tuple[DiskTransfer, ...]:
        """The disks that libvirt copies."""
        return tuple(disk for disk in self.disks if disk.way is DiskWay.COPIED)

    @property
    def copied_bytes(self) -> int:
        """What those may take on the dest when they are full. Images below them: the dest counts those that it lacks."""
        return sum(image.virtual_bytes for disk in self.copied for image in disk.images[:1])


# ---- declared in the conductor's database


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedNetwork:
    """A network that Limosa makes on a host before the first guest that needs it, and removes after the last."""

    name: str
    kind: str  # vlan, vxlan
    bridge: str
    segment: int  # VLAN id or VNI
    mtu: int
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule:
    """What one direction lets through; what answers it passes, too. Groups have been resolved to addresses."""

    direction: str  # ingress, egress
    family: int  # 4, 6
    protocol: str  # tcp, udp, icmp (of family 6: icmpv6), any, or a number
    port_min: int | None = None  # for icmp: its type; of tcp and udp both are given, or none
    port_max: int | None = None  # for icmp: its code
    remotes: tuple[str, ...] = ()  # CIDRs that do not overlap; empty: anybody


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRules:
    """What one interface of a guest may send and receive. Only interfaces that were given a group have any.

    What no rule lets through is dropped, in both directions: that a guest may send to all is a rule, too, which each new
    group begins with. No rules at all: nothing passes but what an interface needs to live (ARP, ND, DHCP).
    """

    mac: str
    groups: tuple[str, ...]
    addresses: tuple[
        str, ...
    ] = ()  # its own; without them nothing is said about the addresses that it may use
    rules: tuple[FilterRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtering:
    """The rules of one guest. A host keeps the highest revision that it was told, and of equal ones the last."""

    revision: int = 0  # 0: nothing was ever declared of this guest
    ports: tuple[PortRules, ...] = ()  # none: the guest is not filtered


@dataclass(frozen=True, slots=True, kw_only=True)
class Declarations:
    """What the database says of a guest that neither host can see. As it was when the migration was accepted."""

    storage: StorageMode = StorageMode.AUTO
    volumes: tuple[VolumeConnection, ...] = ()
    networks: tuple[ManagedNetwork, ...] = ()
    filtering: Filtering = field(default_factory=Filtering)
    addresses: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (MAC, its addresses), filtered or not
    disk_allocation_ratio: float = (
        1.0  # the conductor's: beyond 1, disks may be larger together than their storage
    )


# ---- changed by the dest in the domain's XML


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChange:
    """What a disk's source is on the dest. Attributes of `<source>` that are not named stay as they are."""

    target: str
    source: Mapping[str, str] = field(default_factory=dict)  # attributes of <source>: file, dev, pool, ...
    initiator: str = ""  # <initiator><iqn name=...>
    is_emptied: bool = False  # the medium is taken out
    instead_of: str = ""  # made only where the disk has this source: live and inactive XML may name two


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceChange:
    """What an interface is connected to on the dest."""

    mac: str
    source: Mapping[str, str] = field(default_factory=dict)  # attributes of <source>: bridge, network, ...
    tap: str = ""  # <target dev=...>; empty: as it is
    nwfilter: str = ""  # <filterref filter=...>; empty: as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFileChange:
    """Where a file that the domain is started with lies on the dest."""

    what: str  # kernel, initrd, dtb, loader, template (of its variables)
    path: str
    instead_of: str = ""  # as DiskChange's


# ---- what the source saw of the hand-over


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """How long the guest was not to be reached, and whether its network was seen to follow it."""

    is_verified: bool
    gap_ms: int | None = (
        None  # from the source's pause until the guest answered from the dest, by the source's clock
    )
    detail: str = ""
