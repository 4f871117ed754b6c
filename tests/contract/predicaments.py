"""What may stand in the way of a guest that is to move, brought about from outside: in memory, or by virsh in the lab."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from common import concurrency
from compute_agent.hypervisor.driver import JobKind, JobOperation
from compute_agent.hypervisor.looks import BlockJob, BlockJobKind
from lab.errors import LabError
from tests.contract.hypervisor_sites import DEST, SOURCE, WAIT_TIMEOUT_S, FakeSite, LabSite, wait_until
from tests.fakes.domain import FakeDomain, guest_xml

DISK_MIB = 16
HERE = Path("/var/lib/limosa")  # of the source; the test sees it as a directory of the lab


def disk_xml(path: Path) -> str:
    return (
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
    )


class Predicaments(Protocol):
    """Guests are on the source, what a guest may need is on the dest."""

    def add_guest(self, name: str) -> str:
        """A running one with a qcow2 disk, vda; its uuid."""

    def take_snapshot(self, uuid: str, name: str) -> None: ...

    def take_checkpoint(self, uuid: str, name: str) -> None: ...

    def copy_disk(self, uuid: str) -> None:
        """Until the guest is deleted."""

    def begin_backup(self, uuid: str) -> None:
        """Until the guest is deleted."""

    def begin_dump(self, uuid: str) -> None:
        """Until `end`."""

    def begin_save(self, uuid: str) -> None:
        """Until `end`."""

    def begin_migration(self, uuid: str) -> None:
        """By hand, of a site's slow guest; it is broken off at `end`."""

    def keep_managed_save(self, uuid: str) -> None:
        """As libvirt finds it at its start: its image beside a guest that runs."""

    def add_network(self, name: str, *, is_active: bool) -> None: ...

    def start_network(self, name: str) -> None: ...

    def add_nwfilter(self, name: str) -> None: ...

    def add_secret(self, usage: str, *, uuid: str = "") -> str:
        """Its uuid."""

    def end(self) -> None: ...


class FakePredicaments:
    """In memory."""

    def __init__(self, site: FakeSite) -> None:
        self._site = site

    def add_guest(self, name: str) -> str:
        return self._site.add_guest(guest_xml(name, devices=disk_xml(HERE / f"{name}.qcow2")))

    def take_snapshot(self, uuid: str, name: str) -> None:
        domain = self._domain(uuid)
        domain.obstacles = replace(domain.obstacles, snapshots=(*domain.obstacles.snapshots, name))

    def take_checkpoint(self, uuid: str, name: str) -> None:
        domain = self._domain(uuid)
        domain.obstacles = replace(domain.obstacles, checkpoints=(*domain.obstacles.checkpoints, name))

    def copy_disk(self, uuid: str) -> None:
        self._add_block_job(uuid, BlockJobKind.COPY)

    def begin_backup(self, uuid: str) -> None:
        self._add_block_job(uuid, BlockJobKind.BACKUP)
        self._set_job(uuid, JobOperation.BACKUP)

    def begin_dump(self, uuid: str) -> None:
        self._set_job(uuid, JobOperation.DUMP)

    def begin_save(self, uuid: str) -> None:
        self._set_job(uuid, JobOperation.SAVE)

    def begin_migration(self, uuid: str) -> None:
        self._domain(uuid).job = JobKind.OUTGOING

    def keep_managed_save(self, uuid: str) -> None:
        domain = self._domain(uuid)
        domain.obstacles = replace(domain.obstacles, has_managed_save=True)

    def add_network(self, name: str, *, is_active: bool) -> None:
        self._site.dest.networks[name] = is_active
        self._site.dest.bridges[name] = "br0"

    def start_network(self, name: str) -> None:
        self._site.dest.networks[name] = True

    def add_nwfilter(self, name: str) -> None:
        self._site.dest.nwfilters.append(name)

    def add_secret(self, usage: str, *, uuid: str = "") -> str:
        uuid = uuid or str(uuid4())
        self._site.dest.secrets[uuid] = usage
        return uuid

    def end(self) -> None:
        pass

    def _domain(self, uuid: str) -> FakeDomain:
        return self._site.source.domains[uuid]

    def _add_block_job(self, uuid: str, kind: BlockJobKind) -> None:
        domain = self._domain(uuid)
        domain.obstacles = replace(domain.obstacles, block_jobs=(BlockJob(disk="vda", kind=kind),))

    def _set_job(self, uuid: str, operation: JobOperation) -> None:
        domain = self._domain(uuid)
        domain.job, domain.operation = JobKind.OTHER, operation


class LabPredicaments:
    """By virsh."""

    def __init__(self, site: LabSite) -> None:
        self._site = site
        self._lab = site.lab
        self._directory = self._lab.paths.host(SOURCE) / HERE.relative_to("/")
        self._made: list[tuple[str, str]] = []  # virsh's verbs that remove it, and its name
        self._files: list[Path] = []
        self._pipe: int | None = None  # kept open, so that a writer into it waits instead of failing
        self._migrating = ""
        self._spawned: list[concurrency.Task[None]] = []

    def add_guest(self, name: str) -> str:
        path = HERE / f"{name}.qcow2"
        self._lab.exec(SOURCE, ["qemu-img", "create", "-q", "-f", "qcow2", str(path), f"{DISK_MIB}M"])
        self._files.append(self._directory / path.name)
        return self._site.add_guest(guest_xml(name, devices=disk_xml(path)))

    def take_snapshot(self, uuid: str, name: str) -> None:
        self._virsh("snapshot-create-as", uuid, name, "--disk-only")
        self._files += self._directory.glob(f"*.{name}")

    def take_checkpoint(self, uuid: str, name: str) -> None:
        self._virsh("checkpoint-create-as", uuid, name)

    def copy_disk(self, uuid: str) -> None:
        self._virsh(
            "blockcopy",
            uuid,
            "vda",
            "--dest",
            str(self._file("copy")),
            "--format",
            "qcow2",
            "--transient-job",
        )

    def begin_backup(self, uuid: str) -> None:
        self._write(
            "backup.xml",
            f"<domainbackup mode='pull'><server transport='unix' socket='{self._file('backup.socket')}'/>"
            f"<disks><disk name='vda' backup='yes' type='file'><scratch file='{self._file('scratch')}'/></disk></disks>"
            "</domainbackup>",
        )
        self._virsh("backup-begin", uuid, str(HERE / "backup.xml"))

    def begin_dump(self, uuid: str) -> None:
        self._write_into_pipe(uuid, "dump", "--live", operation="Dump")

    def begin_save(self, uuid: str) -> None:
        self._write_into_pipe(uuid, "save", operation="Save")

    def begin_migration(self, uuid: str) -> None:
        self._lab.virsh(SOURCE, "migrate-setspeed", uuid, str(self._site.slow_bandwidth_mib_s))
        self._spawn("migrate", "--live", "--p2p", uuid, f"qemu+tls://{DEST}/system")
        self._wait_for_job(uuid, "Outgoing")
        self._migrating = uuid

    def keep_managed_save(self, uuid: str) -> None:
        name = self._virsh("domname", uuid)
        image = self._lab.paths.host(SOURCE) / f"var/lib/libvirt/qemu/save/{name}.save"
        image.write_bytes(b"an image")
        self._files.append(image)
        self._site.kill_libvirtd()
        self._site.start_libvirtd()

    def add_network(self, name: str, *, is_active: bool) -> None:
        xml = f"<network><name>{name}</name><forward mode='bridge'/><bridge name='br0'/></network>"
        self._define("net-define", xml)
        self._made.append(("net-undefine", name))
        if is_active:
            self.start_network(name)

    def start_network(self, name: str) -> None:
        self._lab.virsh(DEST, "net-start", name)
        self._made.append(("net-destroy", name))

    def add_nwfilter(self, name: str) -> None:
        self._define("nwfilter-define", f"<filter name='{name}'/>")
        self._made.append(("nwfilter-undefine", name))

    def add_secret(self, usage: str, *, uuid: str = "") -> str:
        uuid = uuid or str(uuid4())
        usage_xml = f"<usage type='ceph'><name>{usage}</name></usage>"
        self._define("secret-define", f"<secret private='yes'><uuid>{uuid}</uuid>{usage_xml}</secret>")
        self._made.append(("secret-undefine", uuid))
        return uuid

    def end(self) -> None:
        if self._migrating:
            self._virsh("domjobabort", self._migrating)
        if self._pipe is not None:
            os.close(self._pipe)
        for task in self._spawned:
            task.wait(WAIT_TIMEOUT_S)
        for verb, name in reversed(self._made):
            self._lab.virsh(DEST, verb, name)
        for file in self._files:
            file.unlink(missing_ok=True)

    def _write_into_pipe(self, uuid: str, verb: str, *options: str, operation: str) -> None:
        """Let virsh write a file that is a pipe which nobody reads: its job lasts."""
        pipe = self._file("pipe")
        os.mkfifo(self._directory / pipe.name)
        self._pipe = os.open(self._directory / pipe.name, os.O_RDWR)
        self._spawn(verb, uuid, str(pipe), *options)
        self._wait_for_job(uuid, operation)

    def _spawn(self, *arguments: str) -> None:
        def run() -> None:
            with contextlib.suppress(LabError):  # it is broken off in the end
                self._virsh(*arguments)

        self._spawned.append(concurrency.spawn(run))

    def _wait_for_job(self, uuid: str, operation: str) -> None:
        wait_until(lambda: operation in self._virsh("domjobinfo", uuid), what=f"the job: {operation}")

    def _virsh(self, *arguments: str) -> str:
        return self._lab.virsh(SOURCE, *arguments)

    def _file(self, name: str) -> Path:
        """A file on the source that is removed in the end."""
        self._files.append(self._directory / name)
        return HERE / name

    def _write(self, name: str, text: str) -> None:
        (self._directory / self._file(name).name).write_text(text)

    def _define(self, verb: str, xml: str) -> None:
        file = self._lab.paths.host(DEST) / "var/lib/limosa/definition.xml"
        file.write_text(xml)
        self._lab.virsh(DEST, verb, "/var/lib/limosa/definition.xml")
        file.unlink()
