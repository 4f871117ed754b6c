"""The guest's domain XML."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

from lab import network
from lab.paths import SOURCES

DESCRIPTION = "made by lab/ctl guest create"
METADATA_NAMESPACE = "https://limosa.example/lab"
EMULATOR = SOURCES / "guest" / "emulator"
# A versioned type and a named model, so that hosts of another generation take the guest too.
MACHINE_TYPE = "pc-i440fx-7.2"
CPU_MODEL = "qemu64"
BOOT_FROM_DISK = "<boot dev='hd'/>"
HOST_MODEL = (
    "host-model"  # in place of a model: what this host and its QEMU can do, which binds the guest to them
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    path: Path
    device: str  # vda, vdb
    format: str = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    name: str
    uuid: UUID
    number: int  # its place in the data network: address and MAC follow from it
    memory_mib: int
    disks: tuple[Disk, ...]
    machine_type: str = MACHINE_TYPE
    cpu_model: str = CPU_MODEL
    devices: str = ""
    boot: str = BOOT_FROM_DISK  # what stands in <os> besides its type
    bridge: str = network.GUEST_BRIDGE
    emulator: Path = EMULATOR
    vnc_listen: str | None = None  # an address of its host only: no other host can start the guest with it
    vnc_password: str | None = None


def serial_log(name: str) -> Path:
    return Path("/var/log/libvirt") / f"guest-{name}.log"


def render(domain: Domain) -> str:
    """Return the XML. Title, description and metadata are there for tests to see that they survive."""
    name = escape(domain.name)
    return f"""\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{domain.uuid}</uuid>
  <title>{name} of the lab</title>
  <description>{DESCRIPTION}</description>
  <metadata>
    <lab:guest xmlns:lab='{METADATA_NAMESPACE}' number='{domain.number}'/>
  </metadata>
  <memory unit='MiB'>{domain.memory_mib}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='{domain.machine_type}'>hvm</type>
    {domain.boot}
  </os>
  <features><acpi/></features>
  {_cpu(domain.cpu_model)}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{escape(str(domain.emulator))}</emulator>
{"".join(_disk(disk) for disk in domain.disks)}\
    <interface type='bridge'>
      <mac address='{network.guest_mac(domain.number)}'/>
      <source bridge={quoteattr(domain.bridge)}/>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <serial type='file'>
      <source path={quoteattr(str(serial_log(domain.name)))} append='on'/>
      <target port='0'/>
    </serial>
{_graphics(domain)}\
    {domain.devices}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def _cpu(model: str) -> str:
    if model == HOST_MODEL:
        return f"<cpu mode='{HOST_MODEL}'/>"
    return f"<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>{model}</model></cpu>"


def _disk(disk: Disk) -> str:
    return f"""\
    <disk type='file' device='disk'>
      <driver name='qemu' type='{disk.format}' cache='none'/>
      <source file={quoteattr(str(disk.path))}/>
      <target dev='{disk.device}' bus='virtio'/>
    </disk>
"""


def _graphics(domain: Domain) -> str:
    if domain.vnc_listen is None:
        return ""
    password = f" passwd={quoteattr(domain.vnc_password)}" if domain.vnc_password else ""
    return f"""\
    <graphics type='vnc' autoport='yes'{password}><listen type='address' address='{domain.vnc_listen}'/></graphics>
    <video><model type='none'/></video>
"""
