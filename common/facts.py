"""What is observed on a host and of its guests. Facts carry no opinion; who judges them is the conductor.

Memory is in MiB, time in seconds unless a name says otherwise.
"""

from dataclasses import dataclass

from common.states import PowerState
from common.volumes import VolumeConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """One disk of a guest, as its live XML has it."""

    target: str  # vda
    type: str  # file, block, network, volume, ... (libvirt's word)
    source: str  # path for file and block; empty where there is no medium
    device: str = "disk"  # disk, cdrom, floppy, lun
    format: str = "raw"
    is_readonly: bool = False
    is_shareable: bool = False
    startup_policy: str = ""  # mandatory, requisite, optional; empty: libvirt's default, mandatory
    layers: tuple[tuple[str, str], ...] = ()  # (type, source) of the images that it stands on or is copied to


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceFacts:
    """One network interface of a guest, as its live XML has it."""

    mac: str
    type: str  # bridge, network, direct, hostdev, ethernet, user, vhostuser, ... (libvirt's word)
    source: str = ""  # the bridge that its tap is in; of others: network, device or path
    network: str = ""  # of libvirt, where its XML names one
    virtualport: str = ""  # openvswitch, 802.1Qbh, ...; empty: none
    tap: str = ""  # on its host (vnet0)
    mtu: int | None = None  # where its XML gives one
    model: str = ""
    nwfilter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFacts:
    """A guest as its host's agent reports it. Whole XML never travels: it holds secrets."""

    uuid: str
    name: str
    power_state: PowerState
    vcpus: int
    memory_mib: int  # what the host must give: current maximum of the running domain
    is_persistent: bool
    has_autostart: bool
    machine: str = ""
    arch: str = ""
    hypervisor: str = ""  # libvirt's domain type: kvm, qemu
    disks: tuple[DiskFacts, ...] = ()
    cpu_xml: str = ""  # the <cpu> of the live XML as it stands there; empty: none
    emulator: str = ""
    graphics: tuple[tuple[str, str], ...] = ()  # (type, listen address; empty where it listens on none)
    secrets: tuple[str, ...] = ()  # uuid or usage of the libvirt secrets that it names; never a value
    networks: tuple[str, ...] = ()  # names of libvirt networks
    nwfilters: tuple[str, ...] = ()
    dac_label: str = ""  # user:group that its own definition gives its QEMU; empty: that of the host
    interfaces: tuple[InterfaceFacts, ...] = ()
    boot_files: tuple[tuple[str, str], ...] = ()  # (kernel, initrd, dtb, loader, template, nvram; path)
    volumes: tuple[VolumeConnection, ...] = ()  # of its disks that are on a server, images below them as well
    disk_gib: int = 0  # virtual sizes of its writable local disks together; 0: none, or not known


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What a host is and has; changes seldom."""

    hypervisor_type: str  # QEMU
    hypervisor_version: int  # libvirt's number: major * 1,000,000 + minor * 1,000 + release
    libvirt_version: int
    cpu_model: str
    cpu_arch: str
    vcpus_total: int
    memory_total_mib: int
    host_cpu_xml: str = ""  # the host's <cpu> in libvirt's capabilities
    qemu_uid: int | None = None  # whom QEMU runs as, by libvirt's dac security model
    qemu_gid: int | None = None
    service_uid: int | None = None  # whom the agent runs as
    service_gid: int | None = None
    security_models: tuple[str, ...] = ()  # libvirt's words: apparmor, selinux, dac
    lock_manager: str = ""  # lockd, sanlock; empty: QEMU's own locks only
    migration_host: str = (
        ""  # of qemu.conf: where libvirt has others send a guest's memory; empty: to its host's name
    )
    disk_total_gib: int = 0  # of the file system of [agent]instances_path; 0: not known
    disk_free_gib: int = 0
    instances_path: str = ""  # [agent]instances_path; empty: the agent is of an older version
    vtep_address: str = ""  # where its tunnels end; empty: it has none
    networks: tuple[str, ...] = ()  # managed ones that stand here
    tls_directory: str = (
        ""  # where its QEMU looks for certificates for guests' memory; empty: of an older version
    )
    tls_certificate: str = ""  # the one in it, in PEM; empty: there is none
    tls_authority: str = ""  # whose certificates its QEMU believes, in PEM
    tls_problem: str = ""  # why what is in that directory cannot be used, a sentence
    network_problems: tuple[tuple[str, str], ...] = ()  # (network, why it does not stand where it should)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Guests and facts of one host at one moment.

    Older reports (smaller `sequence` of the same `start_id`) are dropped. A full report lists every guest of a connected
    libvirtd, so that what it does not name is gone; otherwise only `guests` and `gone` are news.
    """

    host: str
    start_id: str  # of the agent's process: a new one starts a new sequence
    sequence: int
    is_full: bool
    guests: tuple[GuestFacts, ...] = ()
    gone: tuple[str, ...] = ()  # uuids that libvirt said were undefined (or that ended, if transient)
    facts: HostFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The sign of life of one agent."""

    host: str
    start_id: str
    sequence: int
    hypervisor_age_s: float  # since libvirt last answered; grows while libvirtd hangs
    interval_s: float
    version: str = ""
