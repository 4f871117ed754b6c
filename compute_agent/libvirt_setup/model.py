"""The words of libvirt-setup: what an administrator wishes, what is on the host, and what has to change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from common.errors import LimosaError

TLS_PORT: Final = 16514  # libvirt.org/remote.html
TCP_PORT: Final = 16509
LIMOSA_CONF: Final = Path("/etc/limosa/limosa.conf")


class Transport(StrEnum):
    """How another host's libvirt reaches this one's: a scheme of libvirt's URIs."""

    TLS = "tls"
    TCP = "tcp"
    SSH = "ssh"


class Daemon(StrEnum):
    """Which of libvirt's daemons other hosts talk to. Behind virtproxyd, virtqemud has the guests."""

    LIBVIRTD = "libvirtd"
    VIRTPROXYD = "virtproxyd"

    @property
    def of_guests(self) -> str:
        return "virtqemud" if self is Daemon.VIRTPROXYD else self.value


class Activation(StrEnum):
    """Who opens the daemon's sockets."""

    SOCKET = "socket"  # systemd: then the daemon refuses --listen, and a socket unit of each transport opens its port
    SERVICE = "service"  # the daemon itself, if it is started with --listen: its socket units are masked
    NONE = "none"  # the same, and no unit of systemd starts it


class Content(StrEnum):
    """How a file is shown to a person."""

    TEXT = "text"
    CERTIFICATE = "certificate"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """In PEM; one certificate for both ends of a connection."""

    authority: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    transport: Transport
    credentials: Credentials | None  # None: no file with certificates is touched
    hook: str  # the text of our qemu hook


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    daemon: Daemon
    activation: Activation
    arguments_file: Path  # where systemd reads the daemon's arguments
    files: Mapping[Path, str]  # those of `plan.files` that are there
    own_conf: Path = LIMOSA_CONF  # which the agent reads last
    enabled_units: frozenset[str] = frozenset()
    startable_sockets: frozenset[str] = frozenset()  # of the daemon: there, and not masked
    executable_files: frozenset[Path] = frozenset()
    qemu_group: str = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A file's new text. Mode and group are those of a new file; one that is there keeps its own, keys excepted."""

    path: Path
    text: str = field(repr=False)
    mode: int = 0o644
    group: str = "root"
    content: Content = Content.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    edits: tuple[Edit, ...]
    units: tuple[str, ...]  # to be enabled
    notes: tuple[str, ...] = ()  # what the administrator has to know or do himself

    @property
    def is_empty(self) -> bool:
        return not self.edits and not self.units


class SetupError(LimosaError):
    message = "{reason}"
    exit_code = 2
