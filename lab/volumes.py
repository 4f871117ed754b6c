"""Servers of volumes in the controller: nbdkit and tgtd, begun when a test asks for them, ended with the lab.

tgtd is told what to do through a socket: it lies in the lab's own directory, which every host sees at the same path, so
that an agent administers it as it would by ssh on a real storage server.
"""

import signal
from dataclasses import dataclass
from pathlib import Path

from lab import network
from lab.lab import Lab
from lab.namespaces import Namespaces
from lab.waiting import wait_until

NBD_PORT = 10809
ISCSI_PORT = 3260
SIZE_MIB = 16
START_TIMEOUT_S = 20.0
TARGET_NAME = "iqn.2026-01.example.lab:{name}"
_TGTD = "tgtd"
_CONTROL_PORT = 1
_DIRECTORY = Path("/srv/volumes")
_LOGS = Path("/var/log/limosa")


def initiator(host_name: str) -> str:
    """By which a host's QEMU comes to targets."""
    return f"iqn.2026-01.example.lab:{host_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NbdExport:
    name: str
    port: int
    path: Path  # of its content, as seen from outside

    def disk_xml(self, device: str) -> str:
        source = f"<source protocol='nbd' name='{self.name}'><host name='{network.CONTROLLER}' port='{self.port}'/></source>"
        return _disk(device, source)


@dataclass(frozen=True, slots=True, kw_only=True)
class IscsiTarget:
    name: str  # IQN
    tid: int
    path: Path

    def disk_xml(self, device: str, *, initiator: str, auth: str = "") -> str:
        """`auth`: XML of `<auth>`."""
        source = (
            f"<source protocol='iscsi' name='{self.name}/1'>"
            f"<host name='{network.CONTROLLER}' port='{ISCSI_PORT}'/>{auth}"
            f"<initiator><iqn name='{initiator}'/></initiator></source>"
        )
        return _disk(device, source)


class VolumeServers:
    """What stands in the controller of one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._exports = 0
        self._targets = 0

    @property
    def tgtadm(self) -> str:
        """The command for [volumes]tgtadm."""
        return f"/usr/bin/env TGT_IPC_SOCKET={self._socket} tgtadm --control-port {_CONTROL_PORT}"

    def nbd(self, name: str) -> NbdExport:
        """A new export, with a server of its own."""
        path = self._new_image(f"nbd-{name}")
        port = NBD_PORT + self._exports
        self._exports += 1
        argv = [
            "/usr/bin/nbdkit",
            "--foreground",
            "--port",
            str(port),
            "--exportname",
            name,
            "file",
            str(path),
        ]
        self._controller.spawn(f"nbdkit-{name}", argv, log=_LOGS / f"nbdkit-{name}.out")
        self._wait_for(port, what=f"nbdkit serves {name}")
        return NbdExport(name=name, port=port, path=self._controller.seen_from_outside(path))

    def stop_nbd(self, export: NbdExport) -> None:
        """Its server is gone, whatever is connected to it."""
        server = self._controller.spawned(f"nbdkit-{export.name}")
        server.send(signal.SIGKILL)
        server.wait_until_gone(timeout_s=START_TIMEOUT_S)

    def target(self, name: str) -> IscsiTarget:
        """A new target with one disk; nobody is let in."""
        self._start_tgtd()
        path = self._new_image(f"iscsi-{name}")
        self._targets += 1
        target = IscsiTarget(
            name=TARGET_NAME.format(name=name),
            tid=self._targets,
            path=self._controller.seen_from_outside(path),
        )
        self.administer("new", "target", "--tid", str(target.tid), "--targetname", target.name)
        unit = ("--tid", str(target.tid), "--lun", "1", "--backing-store", str(path))
        self.administer("new", "logicalunit", *unit)
        return target

    def admit(self, target: IscsiTarget, initiator: str) -> None:
        self.administer("bind", "target", "--tid", str(target.tid), "--initiator-name", initiator)

    def protect(self, target: IscsiTarget, *, user: str, password: str) -> None:
        """Ask whoever comes for a name and a password (CHAP)."""
        self.administer("new", "account", "--user", user, "--password", password)
        self.administer("bind", "account", "--tid", str(target.tid), "--user", user)

    def shown(self) -> str:
        """All targets, as tgtadm shows them."""
        return self.administer("show", "target")

    def administer(self, operation: str, mode: str, *words: str) -> str:
        argv = [*self.tgtadm.split(), "--lld", "iscsi", "--op", operation, "--mode", mode, *words]
        return self._controller.run(argv).stdout

    @property
    def _controller(self) -> Namespaces:
        return self._lab.controller

    @property
    def _socket(self) -> Path:
        return self._lab.paths.top / _TGTD

    def _start_tgtd(self) -> None:
        if self._targets:
            return
        address = network.addresses(network.CONTROLLER).management
        argv = ["/usr/sbin/tgtd", "--foreground", "--control-port", str(_CONTROL_PORT)]
        argv += ["--iscsi", f"portal={address}:{ISCSI_PORT}"]
        environment = {"TGT_IPC_SOCKET": str(self._socket)}
        self._controller.spawn(_TGTD, argv, log=_LOGS / "tgtd.out", environment=environment)
        self._wait_for(ISCSI_PORT, what="tgtd listens")

    def _new_image(self, name: str) -> Path:
        path = _DIRECTORY / f"{name}.img"
        self._controller.run(["mkdir", "-p", str(_DIRECTORY)])
        self._controller.run(["truncate", "--size", f"{SIZE_MIB}M", str(path)])
        return path

    def _wait_for(self, port: int, *, what: str) -> None:
        code = f"import socket; socket.create_connection(('{network.CONTROLLER}', {port}), 2).close()"
        argv = ["/usr/bin/python3", "-I", "-S", "-c", code]
        wait_until(
            lambda: self._controller.run(argv, check=False).returncode == 0,
            what=what,
            timeout_s=START_TIMEOUT_S,
        )


def _disk(device: str, source: str) -> str:
    return (
        "<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>"
        f"{source}<target dev='{device}' bus='virtio'/></disk>"
    )
