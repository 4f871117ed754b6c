"""What of libvirt stands on this host: which daemons, who opens their sockets, and the files that matter.

Units are looked at as files, and libvirt is not asked: it need not run, and the tree may be one of an image.
"""

import grp
import os
from pathlib import Path
from typing import Final

from common.errors import LimosaError, describe_os_error
from compute_agent.libvirt_setup import conf_text, plan
from compute_agent.libvirt_setup.model import LIMOSA_CONF, Activation, Daemon, Observed

FILE_MAX_BYTES: Final = 1_000_000
_UNITS_OF_SYSTEM: Final = Path("/etc/systemd/system")
_UNIT_DIRECTORIES: Final = (_UNITS_OF_SYSTEM, Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
_ARGUMENT_DIRECTORIES: Final = (Path("/etc/sysconfig"), Path("/etc/default"))  # Fedora's and Debian's
_SOCKETS: Final = ("", "-ro", "-admin", "-tls", "-tcp")
# That packages build in, Debian's and Fedora's. The group of the user's own entry is another one: on Debian kvm, in which
# others are who are to have no key of the host's.
_QEMU_GROUPS: Final = ("libvirt-qemu", "qemu")


class UnreadableError(LimosaError):
    message = "{path} cannot be read: {reason}."
    hint = "Run this as root."
    exit_code = 2


def observe(root: Path, *, own_conf: Path = LIMOSA_CONF) -> Observed:
    """`own_conf` is the agent's configuration, in the tree of `root`. Raises UnreadableError."""
    host = _Tree(root)
    daemon = Daemon.VIRTPROXYD if _is_modular(host) else Daemon.LIBVIRTD
    arguments_file = _arguments_file(host, daemon)
    paths = plan.files(daemon, arguments_file=arguments_file, own_conf=own_conf)
    texts = {path: text for path in paths if (text := host.text(path)) is not None}
    return Observed(
        daemon=daemon,
        activation=_activation(host, daemon),
        arguments_file=arguments_file,
        files=texts,
        own_conf=own_conf,
        enabled_units=frozenset(
            unit for transport in ("tls", "tcp") if host.is_enabled(unit := f"{daemon}-{transport}.socket")
        ),
        startable_sockets=frozenset(
            unit for kind in _SOCKETS if host.has_startable(unit := f"{daemon}{kind}.socket")
        ),
        executable_files=frozenset(path for path in texts if host.is_executable(path)),
        qemu_group=_qemu_group(texts.get(plan.QEMU_CONF, "")),
    )


class _Tree:
    def __init__(self, root: Path) -> None:
        self._root = root

    def at(self, path: Path) -> Path:
        return self._root / path.relative_to("/")

    def text(self, path: Path) -> str | None:
        try:
            with self.at(path).open(encoding="utf-8") as file:
                return file.read(FILE_MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise UnreadableError(path=path, reason="it is no text") from error
        except OSError as error:
            raise UnreadableError(path=path, reason=error.strerror or describe_os_error(error)) from error

    def is_executable(self, path: Path) -> bool:
        return os.access(self.at(path), os.X_OK)

    def has_unit(self, name: str) -> bool:
        return any(os.path.lexists(self.at(directory / name)) for directory in _UNIT_DIRECTORIES)

    def is_masked(self, name: str) -> bool:
        try:
            return str(self.at(_UNITS_OF_SYSTEM / name).readlink()) == os.devnull
        except OSError:  # not there, or no link
            return False

    def has_startable(self, name: str) -> bool:
        return self.has_unit(name) and not self.is_masked(name)

    def is_enabled(self, name: str) -> bool:
        """Wanted by something: what `systemctl is-enabled` looks at, too."""
        top = self.at(_UNITS_OF_SYSTEM)
        return any(os.path.lexists(directory / name) for directory in top.glob("*.wants"))


def _is_modular(host: _Tree) -> bool:
    """Where both kinds are installed, the one that is enabled: they exclude each other."""
    if not host.has_unit("virtqemud.service") or not host.has_unit("virtproxyd.service"):
        return False
    units = ("libvirtd.service", "libvirtd.socket")
    return not any(host.is_enabled(unit) and not host.is_masked(unit) for unit in units)


def _activation(host: _Tree, daemon: Daemon) -> Activation:
    """libvirtd.service wants its sockets: only a mask keeps them away (libvirtd.service, comment)."""
    if not host.has_unit(f"{daemon}.service"):
        return Activation.NONE
    socket = f"{daemon}.socket"
    return Activation.SOCKET if host.has_startable(socket) else Activation.SERVICE


def _arguments_file(host: _Tree, daemon: Daemon) -> Path:
    candidates = [directory / daemon for directory in _ARGUMENT_DIRECTORIES]
    found = (path for path in candidates if host.text(path) is not None)
    return next(found, candidates[-1])


def _qemu_group(qemu_conf: str) -> str:
    """Whom a guest's QEMU runs as: by qemu.conf, or as packages build it; a name, or a number as a text."""
    if group := conf_text.setting(qemu_conf, "group"):
        return group.removeprefix("+")
    for name in _QEMU_GROUPS:
        try:
            return grp.getgrnam(name).gr_name
        except KeyError:
            continue
    return "root"
