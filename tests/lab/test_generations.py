"""A Debian 12 host and a Debian 13 one in one lab: what moves between the two, and what is refused before it does."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults import Victim
from lab.generation import Generation
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.paths import CHECKOUT, LabPaths
from tests.lab import observer

OLD, NEW = "compute1", "compute2"
NAME = "web"
# Far more than an idle guest of 96 MiB needs, far less than a guest that was lost and found.
MAX_MIGRATION_S = 30
MAX_SILENCE_MS = 5000
MAX_DOWNTIME_MS = 2000


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of its own, beside the session's; the tree is built first where it was not yet."""
    subprocess.run([CHECKOUT / "lab/bootstrap.sh", "--debian13"], check=True)
    paths = LabPaths(top=CHECKOUT / ".lab" / "generations")
    lab = Lab.up(hosts=2, generations={NEW: Generation.DEBIAN_13}, owner_pid=os.getpid(), paths=paths)
    try:
        yield lab
    finally:
        Lab.down(paths=paths)
        shutil.rmtree(paths.top, ignore_errors=True)


def guest_on(lab: Lab, host: str, options: GuestOptions | None = None) -> Iterator[str]:
    first = lab.guest_create(NAME, host, options)
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)
    observer.wait_until(lambda: not observer.is_found(lab, NAME), what="it is forgotten", timeout_s=20)


@pytest.fixture
def old_boot_id(lab: Lab) -> Iterator[str]:
    yield from guest_on(lab, OLD)


def memory_argument(lab: Lab, host: str) -> str:
    """What QEMU was started with as -m, which libvirt 9 writes without "size="; the lab's wrapper has added its 8 KiB."""
    pid = lab.process(Victim.QEMU, host_name=host, guest=NAME)
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return arguments[arguments.index(b"-m") + 1].decode().removeprefix("size=")


def test_the_hosts_run_what_their_debian_has(lab: Lab) -> None:
    versions = {host: lab.virsh(host, "version") for host in lab.compute_hosts}
    pythons = {
        host: Path(f"/proc/{lab.process(Victim.AGENT, host_name=host)}/exe").readlink().name
        for host in lab.compute_hosts
    }
    seen = {row["host"]: row for row in json.loads(lab.limosa("service", "list", "-f", "json").stdout)}

    assert "Using library: libvirt 9.0" in versions[OLD]
    assert "Running hypervisor: QEMU 7.2" in versions[OLD]
    assert "Using library: libvirt 11.3" in versions[NEW]
    assert "Running hypervisor: QEMU 10.0" in versions[NEW]
    assert pythons == {OLD: "python3.11", NEW: "python3.13"}
    assert (seen[OLD]["libvirt_version"], seen[NEW]["libvirt_version"]) == ("9.0.0", "11.3.0")


def test_the_tree_is_only_read(lab: Lab) -> None:
    tree = lab.paths.cache / "debian13/tree"
    lab.exec(NEW, ["touch", "/etc/written", "/usr/written", "/tmp/written"])

    assert list(tree.glob("*/written")) == []
    assert lab.exec(OLD, ["ls", "/usr/written"], check=False).returncode != 0


def test_a_guest_moves_from_the_old_generation_to_the_new(lab: Lab, old_boot_id: str) -> None:
    lab.ask(NAME, "write vda written on Debian 12")
    memory_before = memory_argument(lab, OLD)

    with lab.probes(NAME) as stream:
        shown = observer.migrate(lab, NAME, NEW)

    assert (shown["status"], shown["dest"]) == ("completed", NEW)
    assert 0 < shown["seconds"] < MAX_MIGRATION_S
    assert 0 < shown["downtime_ms"] < MAX_DOWNTIME_MS
    assert stream.report.boot_ids == (old_boot_id,)
    assert stream.report.duplicates == 0
    assert stream.report.longest_gap_ms < MAX_SILENCE_MS
    assert lab.ask(NAME, "read vda") == "written on Debian 12"
    assert memory_argument(lab, NEW) == memory_before == f"{96 * 1024 + 8}k"
    observer.assert_one_guest(lab, NAME, host=NEW, boot_id=old_boot_id)
