"""A Debian 12 host and a Debian 13 one in one lab: what moves between the two, and what is refused before it does."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import services
from lab.faults import Victim
from lab.generation import Generation
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.paths import CHECKOUT, LabPaths
from tests.lab import observer

OLD, NEW = "compute1", "compute2"
NAME = "web"
REFUSED = 4
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


def calls(lab: Lab, host: str) -> int:
    """How often the host's agent has asked libvirt for a migration."""
    return lab.log(host, services.AGENT).read_text().count("migrateToURI3 ")


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
    assert calls(lab, OLD) == 1
    assert 0 < shown["seconds"] < MAX_MIGRATION_S
    assert 0 < shown["downtime_ms"] < MAX_DOWNTIME_MS
    assert stream.report.boot_ids == (old_boot_id,)
    assert stream.report.duplicates == 0
    assert stream.report.longest_gap_ms < MAX_SILENCE_MS
    assert lab.ask(NAME, "read vda") == "written on Debian 12"
    assert memory_argument(lab, NEW) == memory_before == f"{96 * 1024 + 8}k"
    observer.assert_one_guest(lab, NAME, host=NEW, boot_id=old_boot_id)


@pytest.fixture
def new_boot_id(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A guest on the new host; its options by indirect parameter."""
    yield from guest_on(lab, NEW, getattr(request, "param", None))


@pytest.fixture
def any_version(lab: Lab) -> Iterator[None]:
    """The conductor lets guests go to older hypervisors, too."""
    set_version_check(lab, "none")
    yield
    set_version_check(lab, "not_older")


def set_version_check(lab: Lab, rule: str) -> None:
    lab.write_config("controller", {"conductor.hypervisor_version_check": rule})
    lab.stop(Victim.CONDUCTOR)
    lab.start(Victim.CONDUCTOR)
    lab.wait_until_agents_are_up()


def assert_refused_and_untouched(lab: Lab, boot_id: str, *sentences: str) -> None:
    """Asked to go from the new host to the old: exit code 4, libvirt is not asked, and the guest runs where it ran."""
    qemu = lab.process(Victim.QEMU, host_name=NEW, guest=NAME)
    before = calls(lab, NEW)

    done = lab.limosa("live-migration", NAME, OLD, check=False)

    assert done.returncode == REFUSED, done.stderr
    assert "Traceback" not in done.stderr
    for sentence in sentences:
        assert sentence in done.stderr
    assert calls(lab, NEW) == before
    assert lab.process(Victim.QEMU, host_name=NEW, guest=NAME) == qemu
    observer.assert_one_guest(lab, NAME, host=NEW, boot_id=boot_id)


def test_a_guest_does_not_go_to_an_older_hypervisor(lab: Lab, new_boot_id: str) -> None:
    assert_refused_and_untouched(lab, new_boot_id, "[hypervisor_version_unfit]", "10.0.", "7.2.", "not_older")


@pytest.mark.parametrize(
    "new_boot_id",
    [GuestOptions(machine_type="pc-q35-10.0"), GuestOptions(machine_type="pc")],
    ids=["q35", "alias"],
    indirect=True,
)
def test_a_new_machine_type_is_refused_by_name(lab: Lab, any_version: None, new_boot_id: str) -> None:
    machine = lab.virsh(NEW, "dumpxml", NAME).split("machine='")[1].split("'")[0]
    assert machine.endswith("-10.0"), "the alias stands for the newest one"

    assert_refused_and_untouched(lab, new_boot_id, "[machine_type_unknown]", f"machine type {machine}")


@pytest.mark.parametrize(
    ("new_boot_id", "named"),
    [
        (GuestOptions(cpu_model="EPYC-Genoa"), "CPU (EPYC-Genoa)"),
        (GuestOptions(cpu_model="qemu64-v1"), "CPU (qemu64-v1)"),
        (GuestOptions(cpu_model="host-model"), "Unknown CPU feature "),
    ],
    ids=["new-model", "versioned-model", "host-model"],
    indirect=["new_boot_id"],
)
def test_a_cpu_that_the_old_host_does_not_know_is_refused_by_name(
    lab: Lab, any_version: None, new_boot_id: str, named: str
) -> None:
    assert_refused_and_untouched(lab, new_boot_id, "[cpu_incompatible]", named)


def test_a_guest_of_the_old_generation_with_host_model_does_not_go_to_the_new(lab: Lab) -> None:
    first = lab.guest_create(NAME, OLD, GuestOptions(cpu_model="host-model"))
    observer.wait_until_found(lab, NAME)
    try:
        done = lab.limosa("live-migration", NAME, NEW, check=False)
        assert done.returncode == REFUSED, done.stderr
        assert "[cpu_incompatible]" in done.stderr
        observer.assert_one_guest(lab, NAME, host=OLD, boot_id=first.boot_id)
    finally:
        lab.guest_delete(NAME)


def test_a_machine_type_and_a_cpu_that_both_know_go_back_to_the_old(
    lab: Lab, any_version: None, new_boot_id: str
) -> None:
    shown = observer.migrate(lab, NAME, OLD)

    assert (shown["status"], shown["dest"]) == ("completed", OLD)
    assert memory_argument(lab, OLD) == f"{96 * 1024 + 8}k"
    observer.assert_one_guest(lab, NAME, host=OLD, boot_id=new_boot_id)
