"""What the configuration says to the compute agent, as one frozen value: nothing below `app` reads oslo.config."""

from dataclasses import dataclass, field
from pathlib import Path

from oslo_config import cfg

from common.states import MemoryTls, MissingBaseImage, MissingMedium
from compute_agent.firewall.settings import FirewallSettings
from compute_agent.network_settings import NetworkSettings
from compute_agent.volume_settings import VolumeSettings

HOOK_PATH = Path("/etc/libvirt/hooks/qemu.d/limosa")  # libvirt looks nowhere else


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMigrationSettings:
    """[libvirt]live_migration_*: how this host sends guests away. Delays and timeouts count per GiB of memory."""

    flags: tuple[str, ...]  # full names
    uri: str | None = None  # with one %s
    scheme: str | None = None
    tls: MemoryTls = MemoryTls.AUTO
    bandwidth_mib_s: int = 0
    disks_port: int = 0  # of the dest; 0: libvirt chooses
    downtime_max_ms: int = 500
    downtime_steps: int = 10
    downtime_delay_s: int = 75
    completion_timeout_s: int = 800
    poll_interval_s: float = 0.5
    progress_interval_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """[media]: what is done about media and boot files that this host has not."""

    missing_medium: MissingMedium = MissingMedium.COPY
    directory: Path | None = None  # None: below state_path


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """[storage]: what is done about the disks of guests that come to this host."""

    missing_base_image: MissingBaseImage = MissingBaseImage.COPY
    image_directories: tuple[Path, ...] = ()  # of the system's own, where disks may be made all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an agent is told."""

    host: str
    state_path: Path
    live_migration: LiveMigrationSettings
    media: MediaSettings = MediaSettings()
    storage: StorageSettings = StorageSettings()
    migration_ports: tuple[int, int] = (49152, 49215)  # first and last
    checks_ports: bool = True
    requires_disk_lock: bool = False
    hook_path: Path = HOOK_PATH
    libvirt_uri: str = "qemu:///system"
    inbound_address: str = ""  # empty: by the host's name, and libvirt chooses where the memory goes
    vnc_listen: str = "127.0.0.1"
    spice_listen: str = "127.0.0.1"
    heartbeat_interval_s: float = 5.0
    full_report_interval_s: float = 60.0
    call_drain_s: float = 45.0
    instances_path: Path = Path("/var/lib/libvirt/images")
    qemu_conf: Path = Path("/etc/libvirt/qemu.conf")
    libvirtd_conf: Path = Path("/etc/libvirt/libvirtd.conf")  # or that of virtproxyd
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    volumes: VolumeSettings = field(default_factory=VolumeSettings)
    firewall: FirewallSettings = field(default_factory=FirewallSettings)

    @property
    def media_directory(self) -> Path:
        return self.media.directory or self.state_path / "media"

    @classmethod
    def read(cls, conf: cfg.ConfigOpts) -> "Settings":
        """From a configuration that `common.config.load` has validated."""
        return cls(
            host=conf.host,
            state_path=Path(conf.state_path),
            live_migration=_live_migration(conf),
            media=MediaSettings(
                missing_medium=MissingMedium(conf.media.missing_medium),
                directory=Path(conf.media.directory) if conf.media.directory else None,
            ),
            storage=StorageSettings(
                missing_base_image=MissingBaseImage(conf.storage.missing_base_image),
                image_directories=tuple(Path(directory) for directory in conf.storage.image_directories),
            ),
            migration_ports=(conf.libvirt.migration_port_min, conf.libvirt.migration_port_max),
            checks_ports=conf.libvirt.check_migration_ports,
            requires_disk_lock=conf.libvirt.require_disk_lock,
            libvirt_uri=conf.libvirt.connection_uri,
            inbound_address=conf.libvirt.live_migration_inbound_addr or "",
            vnc_listen=conf.vnc.server_listen,
            spice_listen=conf.spice.server_listen,
            heartbeat_interval_s=conf.report_interval,
            full_report_interval_s=conf.agent.full_report_interval,
            call_drain_s=conf.agent.call_drain_s,
            instances_path=Path(conf.agent.instances_path),
            qemu_conf=Path(conf.agent.qemu_conf),
            libvirtd_conf=_libvirtd_conf(Path(conf.agent.qemu_conf).parent),
            networks=NetworkSettings.read(conf),
            volumes=VolumeSettings.read(conf),
            firewall=FirewallSettings.read(conf),
        )


def _live_migration(conf: cfg.ConfigOpts) -> LiveMigrationSettings:
    options = conf.libvirt
    return LiveMigrationSettings(
        flags=tuple(options.live_migration_flag),
        uri=options.live_migration_uri,
        scheme=options.live_migration_scheme,
        tls=MemoryTls(options.live_migration_tls),
        bandwidth_mib_s=options.live_migration_bandwidth,
        disks_port=options.live_migration_disks_port,
        downtime_max_ms=options.live_migration_downtime,
        downtime_steps=options.live_migration_downtime_steps,
        downtime_delay_s=options.live_migration_downtime_delay,
        completion_timeout_s=options.live_migration_completion_timeout,
        poll_interval_s=options.live_migration_poll_interval,
        progress_interval_s=conf.agent.progress_interval_s,
    )


def _libvirtd_conf(directory: Path) -> Path:
    """Of whoever listens for other hosts: virtproxyd, where the daemons are modular and libvirtd is not there."""
    monolithic, proxy = directory / "libvirtd.conf", directory / "virtproxyd.conf"
    return proxy if proxy.exists() and not monolithic.exists() else monolithic
