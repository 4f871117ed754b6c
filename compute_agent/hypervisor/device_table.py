"""What becomes of each device of a guest: domain XML in, a fate for every device out. Pure, and total.

No XML that libvirt gives makes it raise, and it leaves no device out: what it does not know it says so of. The words of the
rows are in `device_fates`; `python -m compute_agent.hypervisor.device_table` prints the table in docs/storage.md.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from compute_agent.hypervisor import device_fates as fates
from compute_agent.hypervisor.device_fates import KINDS, Fate, Kind
from compute_agent.hypervisor.xml_text import Element, XmlText

_NO_DEVICES: Final = ("emulator", "redirfilter")
_REMOVABLE: Final = ("cdrom", "floppy")
_LEFT_BEHIND: Final = ("optional", "requisite")
_RANDOM_OF_EVERY_HOST: Final = ("", "/dev/random", "/dev/urandom", "/dev/hwrng")
_PERSISTENT_MEMORY: Final = ("nvdimm", "virtio-pmem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    name: str  # for people: `hostdev 0000:06:00.0`
    kind: Kind


def devices_of(xml: str) -> tuple[Device, ...]:
    """Every device of the domain, in its order. Raises ValueError for what is not well-formed."""
    domain = XmlText.parse(xml).root
    has_shared_memory = _has_shared_memory(domain)
    found = [
        Device(name=_name(element), kind=_kind(element, has_shared_memory=has_shared_memory))
        for devices in domain.find_all("devices")
        for element in devices.children
        if element.tag not in _NO_DEVICES
    ]
    found += [
        Device(name=f"launchSecurity {element.get('type')}".strip(), kind=fates.LAUNCH_SECURITY)
        for element in domain.find_all("launchSecurity")
    ]
    return tuple(found)


def immovable(xml: str) -> tuple[Device, ...]:
    """Those that bar the guest from moving."""
    return tuple(device for device in devices_of(xml) if device.kind.fate is Fate.REFUSED)


def render_table() -> str:
    """The table for docs/storage.md."""
    lines = ["| device | fate | what happens, or why not |", "|---|---|---|"]
    lines += [f"| {kind.device} | {kind.fate} | {kind.reason} |" for kind in KINDS]
    return "\n".join(lines) + "\n"


def _kind(element: Element, *, has_shared_memory: bool) -> Kind:
    if element.tag == "interface" and element.get("type") == "vhostuser":
        return fates.INTERFACE_VHOSTUSER if has_shared_memory else fates.INTERFACE_VHOSTUSER_PRIVATE
    return _KINDS.get(element.tag, _unknown)(element)


# ---- by element, as libvirt.org/formatdomain.html has them


def _disk(disk: Element) -> Kind:
    kind = disk.get("type", "file")
    if disk.find("transient") is not None:
        return fates.DISK_TRANSIENT
    if disk.find("source") is None and disk.get("device") in _REMOVABLE:
        return fates.EMPTY_DRIVE
    if disk.get("device") == "lun" and kind == "block":
        return fates.DISK_LUN
    if kind in ("file", "block") and (disk.get("device") == "cdrom" or disk.find("readonly") is not None):
        return fates.MEDIUM
    return _DISKS.get(kind, fates.UNKNOWN)


def _hostdev(hostdev: Element) -> Kind:
    kind, source = hostdev.get("type"), hostdev.find("source")
    if hostdev.get("mode") not in ("", "subsystem"):
        return fates.HOSTDEV_OTHER
    if kind == "usb":
        policy = source.get("startupPolicy") if source is not None else ""
        return fates.HOSTDEV_USB_OPTIONAL if policy in _LEFT_BEHIND else fates.HOSTDEV_USB
    if kind == "scsi":
        is_iscsi = source is not None and source.get("protocol") == "iscsi"
        return fates.HOSTDEV_ISCSI if is_iscsi else fates.HOSTDEV_SCSI
    if kind == "pci":
        return fates.HOSTDEV_TEAMED if _is_teamed(hostdev) else fates.HOSTDEV_PCI
    return fates.HOSTDEV_OTHER


def _interface(interface: Element) -> Kind:
    if interface.get("type") == "hostdev":
        return fates.HOSTDEV_TEAMED if _is_teamed(interface) else fates.INTERFACE_HOSTDEV
    return _INTERFACES.get(interface.get("type"), fates.UNKNOWN)


def _is_teamed(element: Element) -> bool:
    """What QEMU's failover unplugs: formatdomain, teaming a virtio/hostdev NIC pair."""
    teaming = element.find("teaming")
    return teaming is not None and teaming.get("type") == "transient"


def _character_device(element: Element) -> Kind:
    kind, source = element.get("type"), element.find("source")
    if kind in ("unix", "tcp"):
        is_server = source is None or source.get("mode", "bind") == "bind"
        return fates.CHARDEV_SERVER if is_server else fates.CHARDEV_CLIENT
    return _CHARACTER_DEVICES.get(kind, fates.CHARDEV)


def _console(console: Element) -> Kind:
    target = console.find("target")
    is_serial = target is not None and target.get("type") == "serial"
    return fates.CONSOLE_OF_SERIAL if is_serial else _character_device(console)


def _smartcard(smartcard: Element) -> Kind:
    if smartcard.get("mode") in ("host", "host-certificates"):
        return fates.SMARTCARD_HOST
    return fates.PLAIN if smartcard.get("type") == "spicevmc" else _character_device(smartcard)


def _redirected(redirdev: Element) -> Kind:
    return fates.PLAIN if redirdev.get("type") == "spicevmc" else _character_device(redirdev)


def _random(rng: Element) -> Kind:
    backend = rng.find("backend")
    if backend is None or backend.get("model") not in ("random", "egd"):
        return fates.RNG
    if backend.get("model") == "egd":
        return _character_device(backend)
    return fates.RNG if backend.text in _RANDOM_OF_EVERY_HOST else fates.RNG_DEVICE


def _tpm(tpm: Element) -> Kind:
    backend = tpm.find("backend")
    return fates.TPM_EMULATOR if backend is not None and backend.get("type") == "emulator" else fates.TPM


def _memory(memory: Element) -> Kind:
    model = memory.get("model")
    if model == "sgx-epc":
        return fates.MEMORY_SGX
    return fates.MEMORY_NVDIMM if model in _PERSISTENT_MEMORY else fates.MEMORY


def _shared_memory(shmem: Element) -> Kind:
    model = shmem.find("model")
    is_legacy = model is not None and model.get("type") == "ivshmem"
    return fates.SHMEM_MASTER if shmem.get("role") == "master" and not is_legacy else fates.SHMEM


def _video(video: Element) -> Kind:
    acceleration, driver = video.find("model/acceleration"), video.find("driver")
    is_accelerated = acceleration is not None and acceleration.get("accel3d") == "yes"
    is_apart = driver is not None and driver.get("name") == "vhostuser"
    return fates.VIDEO_ACCELERATED if is_accelerated or is_apart else fates.PLAIN


def _graphics(graphics: Element) -> Kind:
    return fates.GRAPHICS_WINDOW if graphics.get("type") in ("sdl", "desktop") else fates.GRAPHICS


def _input(element: Element) -> Kind:
    return fates.INPUT_HOST if element.get("type") in ("passthrough", "evdev") else fates.PLAIN


def _iommu(iommu: Element) -> Kind:
    return fates.IOMMU_AMD if iommu.get("model") == "amd" else fates.IOMMU


def _controller(controller: Element) -> Kind:
    return fates.CONTROLLER_NVME if controller.get("type") == "nvme" else fates.PLAIN


def _sound(sound: Element) -> Kind:
    return fates.SOUND_VIRTIO if sound.get("model") == "virtio" else fates.PLAIN


def _plain(_element: Element) -> Kind:
    return fates.PLAIN


def _unknown(_element: Element) -> Kind:
    return fates.UNKNOWN


_DISKS: Final[Mapping[str, Kind]] = {
    "file": fates.DISK_FILE,
    "block": fates.DISK_BLOCK,
    "volume": fates.DISK_VOLUME,
    "network": fates.DISK_NETWORK,
    "dir": fates.DISK_DIRECTORY,
    "nvme": fates.DISK_NVME,
    "vhostuser": fates.DISK_VHOSTUSER,
    "vhostvdpa": fates.DISK_VHOSTUSER,
}
_INTERFACES: Final[Mapping[str, Kind]] = {
    "bridge": fates.INTERFACE,
    "network": fates.INTERFACE,
    "direct": fates.INTERFACE_MACVTAP,
    "ethernet": fates.INTERFACE_ETHERNET,
    "user": fates.INTERFACE_USER,
    "null": fates.INTERFACE_USER,
    "udp": fates.INTERFACE_TUNNEL,
    "mcast": fates.INTERFACE_TUNNEL,
    "client": fates.INTERFACE_TUNNEL,
    "server": fates.INTERFACE_TUNNEL,
    "vdpa": fates.INTERFACE_VDPA,
}
_CHARACTER_DEVICES: Final[Mapping[str, Kind]] = {
    "file": fates.CHARDEV_FILE,
    "dev": fates.CHARDEV_DEVICE,
    "pipe": fates.CHARDEV_PIPE,
    "udp": fates.CHARDEV_CLIENT,
}
_KINDS: Final[Mapping[str, Callable[[Element], Kind]]] = {
    "disk": _disk,
    "hostdev": _hostdev,
    "interface": _interface,
    "filesystem": lambda _element: fates.FILESYSTEM,
    "shmem": _shared_memory,
    "memory": _memory,
    "serial": _character_device,
    "console": _console,
    "parallel": _character_device,
    "channel": _character_device,
    "smartcard": _smartcard,
    "redirdev": _redirected,
    "rng": _random,
    "tpm": _tpm,
    "crypto": lambda _element: fates.CRYPTO,
    "iommu": _iommu,
    "controller": _controller,
    "sound": _sound,
    "video": _video,
    "graphics": _graphics,
    "input": _input,
    **dict.fromkeys(
        ("hub", "audio", "watchdog", "memballoon", "panic", "nvram", "vsock", "lease", "pstore"), _plain
    ),
}


# ---- within


def _has_shared_memory(domain: Element) -> bool:
    """For a process that serves a device: by memoryBacking, or of every NUMA cell."""
    access = domain.find("memoryBacking/access")
    if access is not None and access.get("mode") == "shared":
        return True
    cells = list(domain.find_all("cpu/numa/cell"))
    return bool(cells) and all(cell.get("memAccess") == "shared" for cell in cells)


def _name(element: Element) -> str:
    """What tells it from others of its kind: as people find it in the XML."""
    return " ".join((element.tag, *(word for word in _words(element) if word)))


def _words(element: Element) -> Iterator[str]:
    target = element.find("target")
    named = (
        [target.get(attribute) for attribute in ("dev", "dir", "name", "port")] if target is not None else []
    )
    mac, source = element.find("mac"), element.find("source")
    word = next(
        filter(None, [*named, mac.get("address") if mac is not None else "", element.get("name")]), ""
    )
    if element.tag == "hostdev" and source is not None:
        word = _address(source) or word
    yield word or element.get("type") or element.get("model")
    if element.tag in ("serial", "console", "parallel", "channel", "filesystem") and source is not None:
        yield next(
            filter(None, (source.get(attribute) for attribute in ("path", "dir", "name", "socket"))), ""
        )


def _address(source: Element) -> str:
    """Of a PCI device (0000:06:00.0), or what else its source is found by."""
    address = source.find("address")
    if address is None:
        vendor, product = source.find("vendor"), source.find("product")
        ids = [element.get("id") for element in (vendor, product) if element is not None]
        return ":".join(ids) or source.get("name")
    if address.get("domain"):
        numbers = [address.get(name).removeprefix("0x") for name in ("domain", "bus", "slot", "function")]
        return f"{numbers[0]}:{numbers[1]}:{numbers[2]}.{numbers[3]}"
    return address.get("uuid") or "-".join(filter(None, (address.get("bus"), address.get("device"))))


if __name__ == "__main__":
    sys.stdout.write(render_table())
