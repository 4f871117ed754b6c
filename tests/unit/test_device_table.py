"""The device table is total: every device of any XML has a fate, and libvirt's own schema has no device without one."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute_agent.hypervisor import device_fates as fates
from compute_agent.hypervisor.device_fates import KINDS, Fate, Kind
from compute_agent.hypervisor.device_table import devices_of, immovable, render_table

SCHEMA = Path("/usr/share/libvirt/schemas/domaincommon.rng")
RELAX = "{http://relaxng.org/ns/structure/1.0}"
PAGE = Path(__file__).parents[2] / "docs/storage.md"
NAMES = (
    "disk", "filesystem", "controller", "lease", "hostdev", "redirdev", "smartcard", "interface", "input", "hub",
    "graphics", "video", "parallel", "serial", "console", "channel", "sound", "audio", "watchdog", "memballoon",
    "rng", "tpm", "nvram", "panic", "shmem", "memory", "iommu", "vsock", "crypto", "pstore", "newfangled",
)  # fmt: skip
INNER = (
    "source", "target", "driver", "backend", "mac", "model", "address", "transient", "readonly", "teaming", "vendor",
    "acceleration",
)  # fmt: skip
ATTRIBUTES = (
    "type", "mode", "model", "device", "name", "bus", "protocol", "startupPolicy", "role", "dev", "path", "accel3d",
    "domain", "managed",
)  # fmt: skip
VALUES = (
    "file", "block", "dir", "nvme", "vhostuser", "pci", "usb", "scsi", "mdev", "subsystem", "capabilities", "unix",
    "tcp", "bind", "connect", "pty", "pipe", "dev", "emulator", "passthrough", "external", "random", "egd", "nvdimm",
    "dimm", "sgx-epc", "master", "amd", "virtio", "spicevmc", "host", "evdev", "sdl", "yes", "optional",
)  # fmt: skip

PCI_ADDRESS = "<address domain='0x0000' bus='0x06' slot='0x02' function='0x0'/>"


def xml(devices: str, *, rest: str = "") -> str:
    return f"<domain type='kvm'><name>a</name>{rest}<devices>{devices}</devices></domain>"


def kind_of(device: str, *, rest: str = "") -> Kind:
    [found] = devices_of(xml(device, rest=rest))
    return found.kind


# ---- total

words = st.one_of(
    st.sampled_from(VALUES), st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8)
)


def tags(name: str, content: str, attributes: dict[str, str]) -> str:
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>"


attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), words, max_size=4)
elements = st.recursive(
    st.builds(tags, st.sampled_from(INNER), st.just(""), attributes),
    lambda inner: st.builds(
        tags, st.sampled_from(INNER), st.lists(inner, max_size=3).map("".join), attributes
    ),
    max_leaves=6,
)
devices = st.builds(tags, st.sampled_from(NAMES), st.lists(elements, max_size=4).map("".join), attributes)


@given(st.lists(devices, max_size=6))
def test_every_device_of_any_domain_has_a_fate(many: list[str]) -> None:
    found = devices_of(xml("".join(many)))

    assert len(found) == len(many)
    assert all(device.name and device.kind in KINDS for device in found)


def test_a_domain_without_devices_has_none() -> None:
    assert devices_of("<domain/>") == ()


def test_no_device_of_libvirts_schema_is_unknown() -> None:
    definitions = {each.get("name"): each for each in ET.parse(SCHEMA).iter(f"{RELAX}define")}

    def tags_of(node: ET.Element, entered: tuple[str | None, ...] = ()) -> set[str]:
        found: set[str] = set()
        for child in node:
            name = child.get("name")
            if child.tag == f"{RELAX}element":
                found.add(str(name))
            elif child.tag == f"{RELAX}ref" and name not in entered:
                found |= tags_of(definitions[name], (*entered, name))
            else:
                found |= tags_of(child, entered)
        return found

    known = tags_of(definitions["devices"][0]) - {"emulator", "redirfilter"}
    unknown = [tag for tag in known if kind_of(f"<{tag} type='file'/>") is fates.UNKNOWN]

    assert len(known) > 20
    # An interface of a type that is not one.
    assert unknown == ["interface"]


# ---- fates


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("<disk type='file'><source file='/a'/><target dev='vda'/></disk>", fates.DISK_FILE),
        ("<disk type='file' device='floppy'><source file='/a'/></disk>", fates.DISK_FILE),
        ("<disk type='file' device='cdrom'><source file='/a'/></disk>", fates.MEDIUM),
        ("<disk type='file' device='cdrom'><readonly/></disk>", fates.EMPTY_DRIVE),
        ("<disk type='file'><source file='/a'/><transient/></disk>", fates.DISK_TRANSIENT),
        ("<disk type='block'><source dev='/dev/a'/></disk>", fates.DISK_BLOCK),
        ("<disk type='block' device='lun'><source dev='/dev/a'/></disk>", fates.DISK_LUN),
        ("<disk type='network'><source protocol='nbd'/></disk>", fates.DISK_NETWORK),
        ("<disk type='dir' device='floppy'><source dir='/a'/><readonly/></disk>", fates.DISK_DIRECTORY),
        ("<disk type='nvme'><source/></disk>", fates.DISK_NVME),
        ("<disk type='vhostuser'><source/></disk>", fates.DISK_VHOSTUSER),
        ("<disk type='of next year'><source/></disk>", fates.UNKNOWN),
        ("<hostdev mode='subsystem' type='pci'><source/></hostdev>", fates.HOSTDEV_PCI),
        ("<hostdev type='pci'><teaming type='transient'/></hostdev>", fates.HOSTDEV_TEAMED),
        ("<hostdev mode='subsystem' type='usb'><source/></hostdev>", fates.HOSTDEV_USB),
        ("<hostdev type='usb'><source startupPolicy='optional'/></hostdev>", fates.HOSTDEV_USB_OPTIONAL),
        ("<hostdev type='scsi'><source><adapter/></source></hostdev>", fates.HOSTDEV_SCSI),
        ("<hostdev type='scsi'><source protocol='iscsi'/></hostdev>", fates.HOSTDEV_ISCSI),
        ("<hostdev mode='subsystem' type='mdev'><source/></hostdev>", fates.HOSTDEV_OTHER),
        ("<hostdev mode='capabilities' type='misc'/>", fates.HOSTDEV_OTHER),
        ("<interface type='bridge'/>", fates.INTERFACE),
        ("<interface type='direct'/>", fates.INTERFACE_MACVTAP),
        ("<interface type='hostdev'/>", fates.INTERFACE_HOSTDEV),
        ("<interface type='hostdev'><teaming type='transient'/></interface>", fates.HOSTDEV_TEAMED),
        ("<interface type='vhostuser'/>", fates.INTERFACE_VHOSTUSER_PRIVATE),
        ("<interface type='vdpa'/>", fates.INTERFACE_VDPA),
        ("<filesystem type='mount'><source dir='/a'/></filesystem>", fates.FILESYSTEM),
        ("<shmem name='a'/>", fates.SHMEM),
        ("<shmem name='a' role='master'><model type='ivshmem-plain'/></shmem>", fates.SHMEM_MASTER),
        ("<shmem name='a' role='master'><model type='ivshmem'/></shmem>", fates.SHMEM),
        ("<memory model='dimm'/>", fates.MEMORY),
        ("<memory model='nvdimm'/>", fates.MEMORY_NVDIMM),
        ("<memory model='sgx-epc'/>", fates.MEMORY_SGX),
        ("<serial type='pty'/>", fates.CHARDEV),
        ("<serial type='file'/>", fates.CHARDEV_FILE),
        ("<serial type='dev'/>", fates.CHARDEV_DEVICE),
        ("<serial type='pipe'/>", fates.CHARDEV_PIPE),
        ("<console type='pipe'/>", fates.CHARDEV_PIPE),
        ("<console type='pipe'><target type='serial'/></console>", fates.CONSOLE_OF_SERIAL),
        ("<channel type='unix'><source mode='bind'/></channel>", fates.CHARDEV_SERVER),
        ("<channel type='unix'/>", fates.CHARDEV_SERVER),
        ("<serial type='tcp'><source mode='connect'/></serial>", fates.CHARDEV_CLIENT),
        ("<tpm><backend type='emulator'/></tpm>", fates.TPM_EMULATOR),
        ("<tpm><backend type='passthrough'/></tpm>", fates.TPM),
        ("<rng><backend model='random'>/dev/urandom</backend></rng>", fates.RNG),
        ("<rng><backend model='random'>/dev/ttyACM0</backend></rng>", fates.RNG_DEVICE),
        ("<rng><backend model='egd' type='udp'/></rng>", fates.CHARDEV_CLIENT),
        ("<crypto/>", fates.CRYPTO),
        ("<iommu model='intel'/>", fates.IOMMU),
        ("<iommu model='amd'/>", fates.IOMMU_AMD),
        ("<controller type='nvme'/>", fates.CONTROLLER_NVME),
        ("<video><model type='virtio'><acceleration accel3d='yes'/></model></video>", fates.VIDEO_ACCELERATED),
        ("<video><driver name='vhostuser'/></video>", fates.VIDEO_ACCELERATED),
        ("<video><model type='qxl'/></video>", fates.PLAIN),
        ("<graphics type='vnc'/>", fates.GRAPHICS),
        ("<graphics type='sdl'/>", fates.GRAPHICS_WINDOW),
        ("<smartcard mode='host'/>", fates.SMARTCARD_HOST),
        ("<smartcard mode='passthrough' type='spicevmc'/>", fates.PLAIN),
        ("<input type='evdev'/>", fates.INPUT_HOST),
        ("<input type='tablet'/>", fates.PLAIN),
        ("<redirdev bus='usb' type='spicevmc'/>", fates.PLAIN),
        ("<sound model='virtio'/>", fates.SOUND_VIRTIO),
        ("<newfangled/>", fates.UNKNOWN),
    ],
)  # fmt: skip
def test_the_fate_of_a_device(device: str, expected: Kind) -> None:
    assert kind_of(device) is expected


@pytest.mark.parametrize(
    "rest",
    [
        "<memoryBacking><access mode='shared'/></memoryBacking>",
        "<cpu><numa><cell id='0' memAccess='shared'/></numa></cpu>",
    ],
)
def test_a_vhost_user_interface_moves_with_shared_memory(rest: str) -> None:
    assert kind_of("<interface type='vhostuser'/>", rest=rest) is fates.INTERFACE_VHOSTUSER


def test_memory_that_is_encrypted_bars_the_guest() -> None:
    assert [device.name for device in immovable(xml("", rest="<launchSecurity type='sev'/>"))] == [
        "launchSecurity sev"
    ]


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (
            f"<hostdev type='pci'><source>{PCI_ADDRESS}</source></hostdev>",
            "hostdev 0000:06:02.0",
        ),
        (
            "<hostdev type='usb'><source><vendor id='0x1d6b'/><product id='0x0002'/></source></hostdev>",
            "hostdev 0x1d6b:0x0002",
        ),
        ("<filesystem><source dir='/export'/><target dir='tag'/></filesystem>", "filesystem tag /export"),
        ("<serial type='dev'><source path='/dev/ttyS1'/><target port='1'/></serial>", "serial 1 /dev/ttyS1"),
        ("<disk type='nvme'><target dev='vdb'/></disk>", "disk vdb"),
        (
            "<interface type='vdpa'><mac address='52:54:00:00:00:01'/></interface>",
            "interface 52:54:00:00:00:01",
        ),
        ("<shmem name='limosa'/>", "shmem limosa"),
    ],
)
def test_a_device_is_named_so_that_people_find_it(device: str, name: str) -> None:
    [found] = devices_of(xml(device))

    assert found.name == name


# ---- the table


def test_what_cannot_move_says_what_to_do() -> None:
    assert [kind.device for kind in KINDS if kind.fate is Fate.REFUSED and not kind.hint] == []
    assert all(kind.reason for kind in KINDS)


def test_the_page_has_the_table() -> None:
    assert render_table() in PAGE.read_text(encoding="utf-8")


def test_the_table_is_printed_by_the_module() -> None:
    module = "compute_agent.hypervisor.device_table"
    printed = subprocess.run(
        [sys.executable, "-m", module], capture_output=True, text=True, check=True
    ).stdout

    assert printed == render_table()
