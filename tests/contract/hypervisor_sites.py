"""Two hosts on which the hypervisor's contract is tried: fakes in memory, or libvirtd and QEMU in the lab."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from common import concurrency
from common.migration import DomainChanges
from common.states import DestSeen, SourceSeen
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.classify import classify_dest, classify_source
from compute_agent.hypervisor.driver import Hypervisor, MigrateRequest, MigrationCall
from compute_agent.hypervisor.flags import flags_value
from compute_agent.hypervisor.host_files import HostFiles
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.hypervisor.libvirt_hypervisor import LibvirtHypervisor
from lab.faults import Victim
from lab.lab import Lab
from lab.paths import DEFAULT_PATHS, LabPaths
from tests.fakes.domain import guest_xml
from tests.fakes.hypervisor import FakeHypervisor, FakeWorld
from tests.fakes.pools import FakePool

SOURCE, DEST = "compute1", "compute2"
NOBODY = "00000000-0000-4000-8000-000000000000"
FLAGS = (
    "VIR_MIGRATE_LIVE",
    "VIR_MIGRATE_PEER2PEER",
    "VIR_MIGRATE_PERSIST_DEST",
    "VIR_MIGRATE_UNDEFINE_SOURCE",
)
CALL_TIMEOUT_S = 2.0
WAIT_TIMEOUT_S = 20.0
_BLOCK_BYTES = 4096
SLOW_MIB_S = 12  # the lab's guest then moves for about 6 s


class Site(Protocol):
    """Two hosts, and what can be done to them from outside."""

    slow_bandwidth_mib_s: int
    dest_uri: str  # where the source's side finds the dest's libvirtd
    source_uri: str  # and the dest's side the source's

    @property
    def source(self) -> Hypervisor: ...

    @property
    def dest(self) -> Hypervisor: ...

    def close(self) -> None:
        """Leave both hosts without a domain."""

    def add_guest(self, xml: str, *, is_persistent: bool = True, is_running: bool = True) -> str:
        """On the source; returns the uuid."""

    def add_file(self, path: str, content: bytes) -> None:
        """On the source, below /srv/local; it is gone after `close`."""

    def remove_file(self, path: str) -> None:
        """On the source."""

    def add_pool(self, name: str, path: str, *, is_active: bool = True) -> None:
        """Of type dir, on the source."""

    def remove_pool(self, name: str) -> None: ...

    def add_slow_guest(self) -> str:
        """One whose migration with the slow bandwidth goes on for seconds, until `let_go`."""

    def let_go(self, uuid: str) -> None: ...

    def suspend(self, uuid: str) -> None: ...

    def set_permit(self, migration: str, *, is_given: bool) -> None:
        """On the dest."""

    def kill_libvirtd(self) -> None:
        """On the source."""

    def start_libvirtd(self) -> None: ...

    def hang_libvirtd(self) -> None:
        """On the source."""

    def wake_libvirtd(self) -> None: ...

    def hang_qemu(self, uuid: str) -> None:
        """On the source."""

    def wake_qemu(self, uuid: str) -> None: ...


class FakeSite:
    """In memory."""

    slow_bandwidth_mib_s = SLOW_MIB_S
    dest_uri = f"qemu+tls://{DEST}/system"
    source_uri = f"qemu+tls://{SOURCE}/system"

    def __init__(self) -> None:
        self.world = FakeWorld(SOURCE, DEST)
        self.source: FakeHypervisor = self.world.hosts[SOURCE]
        self.dest: FakeHypervisor = self.world.hosts[DEST]
        self._permits: set[str] = set()
        self.dest.has_permit = self._permits.__contains__

    def add_guest(self, xml: str, *, is_persistent: bool = True, is_running: bool = True) -> str:
        return self.source.add_guest(xml, is_persistent=is_persistent, is_running=is_running).uuid

    def add_file(self, path: str, content: bytes) -> None:
        self.source.files[path] = content

    def remove_file(self, path: str) -> None:
        del self.source.files[path]

    def add_pool(self, name: str, path: str, *, is_active: bool = True) -> None:
        self.source.pools[name] = FakePool(type="dir", path=path, is_active=is_active)

    def remove_pool(self, name: str) -> None:
        del self.source.pools[name]

    def add_slow_guest(self) -> str:
        uuid = self.add_guest(guest_xml("slow"))
        self.world.plan(uuid, is_held=True)
        return uuid

    def let_go(self, uuid: str) -> None:
        self.world.transfers[uuid].release()

    def suspend(self, uuid: str) -> None:
        self.source.suspend(uuid)

    def set_permit(self, migration: str, *, is_given: bool) -> None:
        self._permits.add(migration) if is_given else self._permits.discard(migration)

    def kill_libvirtd(self) -> None:
        self.source.go_down()

    def start_libvirtd(self) -> None:
        self.source.come_up()

    def hang_libvirtd(self) -> None:
        self.source.is_down = True

    def wake_libvirtd(self) -> None:
        self.source.is_down = False

    def hang_qemu(self, uuid: str) -> None:
        self.source.domains[uuid].is_silent = True

    def wake_qemu(self, uuid: str) -> None:
        self.source.domains[uuid].is_silent = False

    def close(self) -> None:
        pass


class LabSite:
    """Over a lab of its own, so that no agent plays a part."""

    slow_bandwidth_mib_s = SLOW_MIB_S

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._files: list[Path] = []
        self.dest_uri = self._uri(DEST)  # this process is in no host's network
        self.source_uri = self._uri(SOURCE)
        self.source: LibvirtHypervisor = self._connect(SOURCE)
        self.dest: LibvirtHypervisor = self._connect(DEST)

    @staticmethod
    def start_lab() -> Lab:
        """Beside the usual lab, which may be up."""
        paths = LabPaths(top=Path(tempfile.mkdtemp(prefix="contract-", dir=DEFAULT_PATHS.top)))
        return Lab.up(hosts=2, owner_pid=os.getpid(), with_services=False, paths=paths)

    @staticmethod
    def end_lab(lab: Lab) -> None:
        Lab.down(paths=lab.paths)
        shutil.rmtree(lab.paths.top, ignore_errors=True)

    def add_guest(self, xml: str, *, is_persistent: bool = True, is_running: bool = True) -> str:
        file = self.lab.paths.host(SOURCE) / "var/lib/limosa/guest.xml"
        file.write_text(xml)
        self.lab.virsh(SOURCE, "define" if is_persistent else "create", "/var/lib/limosa/guest.xml")
        name = xml.partition("<name>")[2].partition("</name>")[0]
        if is_persistent and is_running:
            self.lab.virsh(SOURCE, "start", name)
        return self.lab.virsh(SOURCE, "domuuid", name)

    def add_file(self, path: str, content: bytes) -> None:
        """As it is with its holes: what is zero is not written."""
        file = self._file(path)
        self._files.append(file)
        with file.open("wb") as opened:
            for start in range(0, len(content), _BLOCK_BYTES):
                piece = content[start : start + _BLOCK_BYTES]
                opened.write(piece) if any(piece) else opened.seek(len(piece), os.SEEK_CUR)
            opened.truncate(len(content))

    def remove_file(self, path: str) -> None:
        self._file(path).unlink(missing_ok=True)

    def _file(self, path: str) -> Path:
        return self.lab.paths.host(SOURCE) / path.removeprefix("/")

    def add_pool(self, name: str, path: str, *, is_active: bool = True) -> None:
        self.lab.virsh(SOURCE, "pool-define-as", name, "dir", "--target", path)
        if is_active:
            self.lab.virsh(SOURCE, "pool-start", name)

    def remove_pool(self, name: str) -> None:
        self.lab.exec(SOURCE, ["virsh", "-q", "pool-destroy", name], check=False)
        self.lab.virsh(SOURCE, "pool-undefine", name)

    def add_slow_guest(self) -> str:
        self.lab.guest_create("slow", SOURCE)
        return self.lab.virsh(SOURCE, "domuuid", "slow")

    def let_go(self, uuid: str) -> None:
        """It ends by itself."""

    def suspend(self, uuid: str) -> None:
        self.lab.virsh(SOURCE, "suspend", uuid)

    def set_permit(self, migration: str, *, is_given: bool) -> None:
        permit = self.lab.paths.host(DEST) / "var/lib/limosa/permits" / migration
        permit.parent.mkdir(exist_ok=True)
        permit.touch() if is_given else permit.unlink(missing_ok=True)

    def kill_libvirtd(self) -> None:
        self.lab.kill(Victim.LIBVIRTD, host_name=SOURCE)

    def start_libvirtd(self) -> None:
        self.lab.start(Victim.LIBVIRTD, host_name=SOURCE)

    def hang_libvirtd(self) -> None:
        os.kill(self.lab.process(Victim.LIBVIRTD, host_name=SOURCE), signal.SIGSTOP)

    def wake_libvirtd(self) -> None:
        os.kill(self.lab.process(Victim.LIBVIRTD, host_name=SOURCE), signal.SIGCONT)

    def hang_qemu(self, uuid: str) -> None:
        os.kill(self._qemu(uuid), signal.SIGSTOP)

    def wake_qemu(self, uuid: str) -> None:
        os.kill(self._qemu(uuid), signal.SIGCONT)

    def close(self) -> None:
        for file in self._files:
            file.unlink(missing_ok=True)
        self.source.stop()
        self.dest.stop()
        for place in self.lab.guest_places():
            self.lab.guest_delete(place.name)

    def _connect(self, host: str) -> LibvirtHypervisor:
        root = Path(f"/proc/{self.lab.host(host).init.pid}/root")
        files = HostFiles(
            qemu_conf=root / "etc/libvirt/qemu.conf", instances_path=root / "var/lib/libvirt/images"
        )
        uri = f"qemu+unix:///system?socket={root}/run/libvirt/libvirt-sock"
        return LibvirtHypervisor(uri, timeout_s=CALL_TIMEOUT_S, files=files)

    def _uri(self, host: str) -> str:
        socket = f"/proc/{self.lab.host(host).init.pid}/root/run/libvirt/libvirt-sock"
        return f"qemu+unix:///system?socket={socket}"

    def _qemu(self, uuid: str) -> int:
        name = self.lab.virsh(SOURCE, "domname", uuid)
        return self.lab.process(Victim.QEMU, host_name=SOURCE, guest=name)


def prepared(site: Site, uuid: str, migration: str, *, bandwidth_mib_s: int = 0) -> MigrationCall:
    """A migration of the guest from source to dest, ready to be issued."""
    definition = site.source.definition(uuid)
    inactive_xml = definition.inactive_xml
    changes = DomainChanges()
    request = MigrateRequest(
        dconnuri=f"qemu+tls://{DEST}/system",
        migrate_uri=None,
        flags=flags_value(FLAGS),
        bandwidth_mib_s=bandwidth_mib_s,
        dest_xml=domain_xml.dest_xml(definition.live_xml, changes=changes, migration=migration),
        persist_xml=domain_xml.persist_xml(inactive_xml, changes=changes) if inactive_xml else None,
    )
    return site.source.prepare_migration(uuid, request)


def seen_at_source(site: Site, uuid: str) -> SourceSeen:
    return classify_source(site.source.observe(uuid), has_record=False)


def seen_at_dest(site: Site, uuid: str) -> DestSeen:
    return classify_dest(site.dest.observe(uuid))


def uuids(hypervisor: Hypervisor) -> list[str]:
    return [guest.uuid for guest in hypervisor.list_guests()]


def is_running(site: Site, uuid: str) -> bool:
    """On the source; False also while nothing answers."""
    try:
        return seen_at_source(site, uuid) is SourceSeen.RUNNING
    except HypervisorUnreachableError:
        return False


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_TIMEOUT_S} s in vain: {what}"
        concurrency.sleep(0.02)
