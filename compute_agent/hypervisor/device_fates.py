"""What becomes of each kind of device when its guest moves: the rows of the table in docs/storage.md. Data only.

Of what libvirt refuses: qemuMigrationSrcIsAllowed in its src/qemu/qemu_migration.c (9.0 and 11.3). Of what QEMU refuses: its
migration blockers and devices whose state is marked `unmigratable` (7.2 and 10.0).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Fate(StrEnum):
    MOVES = "moves"  # QEMU and libvirt bring it along, or make it anew
    COPIED = "shared or copied"  # the dest sees the same, or gets a copy
    CONNECTED = (
        "connected"  # the dest connects it to what is outside of both hosts, or to its own of that name
    )
    REFUSED = "cannot move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A row. `reason`: what happens to it, or why it cannot be moved. `hint`: what to do then."""

    device: str  # as the table calls it
    fate: Fate
    reason: str
    hint: str = ""


_SHUT_DOWN: Final = (
    "Shut the guest down, and start it on the other host; or take the device out of its definition before."
)
_DETACH: Final = "Detach it first: `virsh detach-device`; attach one of the dest afterwards."


def _moves(device: str, reason: str) -> Kind:
    return Kind(device=device, fate=Fate.MOVES, reason=reason)


def _connected(device: str, reason: str) -> Kind:
    return Kind(device=device, fate=Fate.CONNECTED, reason=reason)


def _copied(device: str, reason: str) -> Kind:
    return Kind(device=device, fate=Fate.COPIED, reason=reason)


def _refused(device: str, reason: str, hint: str = _DETACH) -> Kind:
    return Kind(device=device, fate=Fate.REFUSED, reason=reason, hint=hint)


# ---- disks
EMPTY_DRIVE = _moves("CD-ROM or floppy drive without a medium", "stays empty")
MEDIUM = _copied(
    "CD-ROM medium, read-only disk", "an equal one is found or copied ahead, or the drive emptied, by [media]"
)
DISK_FILE = _copied(
    "disk in a file (raw, qcow2), writable floppies too",
    "both hosts see the same one, or it is copied while the guest runs",
)
DISK_BLOCK = _copied("disk on a block device", "known by its names on both hosts, or copied")
DISK_VOLUME = _copied("disk in a storage pool (`type='volume'`)", "by the pool of the same name on the dest")
DISK_NETWORK = _connected(
    "disk on a server (`type='network'`)", "0 bytes are copied: the dest's QEMU connects to the same one"
)
DISK_LUN = _connected(
    "SCSI unit passed through (`device='lun'`)", "only if both hosts see the same unit: it is not copied"
)
DISK_DIRECTORY = _refused(
    "directory shown as a FAT disk (`type='dir'`)",
    "each QEMU makes a file system of its own from the directory, so that the guest would find another one under its caches",
    "Eject or detach it first, or make an image of the directory: `mkfs.vfat`, `mcopy`.",
)  # fmt: skip
DISK_NVME = _refused(
    "NVMe drive passed through (`type='nvme'`)", "it is a PCI device of its host", "Detach it first."
)
DISK_VHOSTUSER = _refused("disk by vhost-user or vDPA", "its state is in a process or a device of its host")
DISK_TRANSIENT = _refused(
    "transient disk",
    "libvirt does not migrate a guest with one: what was written since the start is in a file that is to be thrown away",
    "Detach it first; it can be attached again afterwards.",
)  # fmt: skip

# ---- passed through
HOSTDEV_PCI = _refused("PCI device passed through", "it is a device of its host, and its state is in it")
HOSTDEV_TEAMED = _connected(
    "PCI network device passed through, with `<teaming type='transient'>`",
    "QEMU takes it out before, and the dest gives one of its own to the guest",
)
HOSTDEV_USB = _refused(
    "USB device passed through",
    "it is plugged into its host",
    "Detach it first, or give it `startupPolicy='optional'`: then libvirt takes it out.",
)
HOSTDEV_USB_OPTIONAL = _moves(
    "USB device passed through, with startupPolicy optional or requisite",
    "is left behind where the dest has none such",
)
HOSTDEV_ISCSI = _connected("SCSI unit passed through by iSCSI", "the dest's QEMU connects to the same one")
HOSTDEV_SCSI = _refused(
    "SCSI device passed through from an adapter of the host",
    "the dest cannot be shown to have the same unit",
    "Attach it as a disk of type block with device='lun' instead.",
)
HOSTDEV_OTHER = _refused(
    "device passed through (mdev, vhost-scsi, capabilities, other)", "it is a device of its host"
)
INTERFACE_HOSTDEV = _refused("interface of a PCI device (`type='hostdev'`)", HOSTDEV_PCI.reason)

# ---- network
INTERFACE = _connected("interface on a bridge, a libvirt network or Open vSwitch", "see docs/network.md")
INTERFACE_MACVTAP = _connected(
    "macvtap interface (`type='direct'`)", "to the dest's device of the same name, which is checked"
)
INTERFACE_ETHERNET = _connected(
    "interface by a script or a prepared tap (`type='ethernet'`)", "the dest needs the same script or tap"
)
INTERFACE_USER = _moves("interface in user mode (slirp, passt)", "works on; connections through it are cut")
INTERFACE_TUNNEL = _connected(
    "interface by a socket (udp, mcast, client, server)", "the dest opens the same addresses"
)
INTERFACE_VHOSTUSER = _connected(
    "vhost-user interface with shared memory", "the dest needs a process that serves the same socket"
)
INTERFACE_VHOSTUSER_PRIVATE = _refused(
    "vhost-user interface without shared memory",
    "nothing can say which memory its process has written to",
    "Give the guest `<memoryBacking><access mode='shared'/>` and start it anew.",
)
INTERFACE_VDPA = _refused("vDPA interface", "its state is in a device of its host")

# ---- memory and files of the host
FILESYSTEM = _refused(
    "directory of the host (9p, virtiofs)",
    "its state is in a process of its host, and the directory is the host's own",
    "Unmount it in the guest and detach it: `virsh detach-device`.",
)
SHMEM_MASTER = _moves(
    "shared memory with role master", "its content comes along; others that shared it stay behind"
)
SHMEM = _refused("shared memory without role master", "others on its host share it")
MEMORY = _moves("memory module (dimm, virtio-mem)", "its content comes along")
MEMORY_NVDIMM = _refused("NVDIMM, persistent memory", "its content is in a file of its host")
MEMORY_SGX = _refused("SGX memory", "its content is bound to its host's processor")

# ---- character devices
CHARDEV = _moves(
    "serial, console, parallel, channel: pty, null, spice, vc, D-Bus",
    "is made anew; who was connected connects again",
)
CONSOLE_OF_SERIAL = _moves("console with target type serial", "is the first serial device once more")
CHARDEV_FILE = _moves(
    "the same to a file", "goes on in a file of that name on the dest; what was written stays on the source"
)
CHARDEV_SERVER = _moves(
    "the same listening on a socket", "listens on the dest; who was connected connects again"
)
CHARDEV_CLIENT = _connected(
    "the same connecting to a socket, or by UDP", "the dest connects to the same address or path"
)
CHARDEV_DEVICE = _refused(
    "the same to a character device of the host", "what is behind it is connected to its host"
)
CHARDEV_PIPE = _refused("the same to a pipe", "who reads or writes its other end is on its host")

# ---- TPM, random numbers, the rest
TPM_EMULATOR = _moves("vTPM (swtpm)", "its state is in libvirt's stream")
TPM = _refused(
    "TPM of the host, or emulator that libvirt does not run",
    "its state is in a chip or a process of its host",
    _SHUT_DOWN,
)
RNG = _moves("random numbers from QEMU or the host's generator", "come from the dest's")
RNG_DEVICE = _connected("random numbers from another device", "the dest needs a device of that name")
CRYPTO = _refused("crypto device", "QEMU cannot save its state")
IOMMU = _moves("IOMMU", "its state comes along")
IOMMU_AMD = _refused(
    "AMD IOMMU", "QEMU cannot save its state", "Give the guest another model and start it anew."
)
CONTROLLER_NVME = _refused("NVMe controller", "QEMU cannot save its state", "Use virtio or scsi disks.")
SOUND_VIRTIO = _refused("virtio sound", "QEMU cannot save its state", "Give the guest another model (ich9).")
VIDEO_ACCELERATED = _refused(
    "video with 3D acceleration, or in a process of its own",
    "QEMU cannot save what is in the host's graphics card or process",
    "Give the guest a video device without `<acceleration accel3d='yes'/>` and start it anew.",
)
GRAPHICS = _moves("VNC, SPICE, D-Bus display", "listens on the dest: see [vnc] and [spice]")
GRAPHICS_WINDOW = _refused(
    "window on the host's screen (sdl, desktop)", "the screen is its host's", "Use vnc or spice."
)
SMARTCARD_HOST = _refused("smartcard of the host", "it is plugged into its host, or in its database")
INPUT_HOST = _refused("input device of the host (passthrough, evdev)", "it is plugged into its host")
LAUNCH_SECURITY = _refused(
    "encrypted memory (SEV, TDX, protected virtualization)",
    "QEMU cannot copy memory that its host's processor has encrypted",
    _SHUT_DOWN,
)
PLAIN = _moves(
    "controller, hub, input, sound, audio, video, watchdog, balloon, panic, NVRAM of pSeries, vsock, lease, redirected USB, "
    "smartcard by SPICE",
    "comes along",
)
UNKNOWN = _moves("what is not named here", "is left to libvirt, which refuses what it cannot move")

KINDS: Final[tuple[Kind, ...]] = tuple(value for value in vars().copy().values() if isinstance(value, Kind))
"""All rows, in the order of the table."""
