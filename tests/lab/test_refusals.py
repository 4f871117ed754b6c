"""What is refused before anything moves: in a sentence, with an exit code, and nothing has changed."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from lab.faults import Victim
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

NAME = "stays"
REFUSED, NOT_FOUND = 4, 3


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1", GuestOptions())
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


def ask(lab: Lab, name: str = NAME, *dest: str) -> subprocess.CompletedProcess[str]:
    return lab.limosa("live-migration", name, *dest, check=False)


def assert_untouched(lab: Lab, boot_id: str) -> None:
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)


def assert_refused(done: subprocess.CompletedProcess[str], *sentences: str, code: int = REFUSED) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for sentence in sentences:
        assert sentence in done.stderr


def test_an_unknown_host(lab: Lab, boot_id: str) -> None:
    assert_refused(ask(lab, NAME, "compute9"), "There is no host compute9.", "compute1")
    assert_untouched(lab, boot_id)


def test_the_host_where_it_runs(lab: Lab, boot_id: str) -> None:
    assert_refused(ask(lab, NAME, "compute1"), "runs on compute1 already")
    assert_untouched(lab, boot_id)


def test_an_unknown_instance(lab: Lab, boot_id: str) -> None:
    assert_refused(ask(lab, "nobody", "compute2"), "There is no instance nobody.", code=NOT_FOUND)
    assert_untouched(lab, boot_id)


def test_a_dest_that_knows_a_domain_of_that_name(lab: Lab, boot_id: str) -> None:
    uuid = lab.virsh(
        "compute1", "domuuid", NAME
    )  # as soon as the other one is reported, the name is ambiguous
    other = "<domain type='qemu'><name>stays</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    lab.host("compute2").run(["virsh", "-q", "define", "/dev/stdin"], input_text=other)
    try:
        assert_refused(ask(lab, uuid, "compute2"), "already knows a domain", "virsh undefine")
    finally:
        lab.virsh("compute2", "undefine", NAME)
    observer.wait_until(
        lambda: len(observer.query(lab, "SELECT 1 FROM instances WHERE name = ? AND is_present", NAME)) == 1,
        what="the other one is forgotten",
        timeout_s=20,
    )
    assert_untouched(lab, boot_id)


def test_a_dest_without_enough_memory(lab: Lab, boot_id: str) -> None:
    lab.virsh("compute1", "setmaxmem", "--config", NAME, "96M")  # unchanged; the conductor's reserve does it
    lab.write_config("controller", {"conductor.reserved_host_memory_mb": "100000000"})
    restart_conductor(lab)
    try:
        assert_refused(ask(lab, NAME, "compute2"), "needs", "MiB free for guests")
        assert_refused(ask(lab, NAME), "compute2")
    finally:
        lab.write_config("controller", {"conductor.reserved_host_memory_mb": "512"})
        restart_conductor(lab)
    assert_untouched(lab, boot_id)


def test_a_dest_whose_agent_is_down(lab: Lab, boot_id: str) -> None:
    lab.kill(Victim.AGENT, host_name="compute2")
    observer.wait_until(lambda: service_state(lab, "compute2") == "down", what="the agent is called down")
    try:
        assert_refused(ask(lab, NAME, "compute2"), "The compute agent on compute2 is down")
    finally:
        lab.start(Victim.AGENT, host_name="compute2")
        lab.wait_until_agents_are_up()
    assert_untouched(lab, boot_id)


def test_a_guest_that_is_off(lab: Lab, boot_id: str) -> None:
    definition = (
        "<domain type='qemu'><name>off</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    )
    lab.host("compute1").run(["virsh", "-q", "define", "/dev/stdin"], input_text=definition)
    observer.wait_until_found(lab, "off")
    try:
        assert_refused(ask(lab, "off", "compute2"), "only a running or paused guest migrates live")
    finally:
        lab.virsh("compute1", "undefine", "off")
    assert_untouched(lab, boot_id)


def test_a_guest_with_a_local_disk_where_nothing_may_be_copied(lab: Lab) -> None:
    first = lab.guest_create("local", "compute1", GuestOptions(local_disks=(LocalDisk(),)))
    observer.wait_until_found(lab, "local")
    try:
        done = lab.limosa("live-migration", "local", "compute2", "--shared-storage", check=False)
        assert_refused(done, "vdb", "is not on storage that")
        observer.assert_one_guest(lab, "local", host="compute1", boot_id=first.boot_id)
    finally:
        lab.guest_delete("local")


def test_all_findings_at_once(lab: Lab, boot_id: str) -> None:
    definition = (
        "<domain type='qemu'><name>off</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    )
    lab.host("compute1").run(["virsh", "-q", "define", "/dev/stdin"], input_text=definition)
    observer.wait_until_found(lab, "off")
    try:
        assert_refused(ask(lab, "off", "compute9"), "There is no host compute9.", "only a running or paused")
    finally:
        lab.virsh("compute1", "undefine", "off")
    assert_untouched(lab, boot_id)


def test_an_option_that_cannot_work_stops_the_agent_at_start(lab: Lab) -> None:
    lab.write_config("compute2", {"libvirt.live_migration_flag": "VIR_MIGRATE_LIVE, VIR_MIGRATE_UNSAFE"})
    try:
        argv = [str(lab.limosa_argv()[0]) + "-compute-agent", "--config-file", "/etc/limosa/limosa.conf"]
        done = lab.exec("compute2", argv, check=False, timeout_s=30)
        assert done.returncode == 2
        assert "live_migration_flag" in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
    finally:
        flags = (
            "VIR_MIGRATE_UNDEFINE_SOURCE, VIR_MIGRATE_PEER2PEER, VIR_MIGRATE_LIVE, VIR_MIGRATE_PERSIST_DEST"
        )
        lab.write_config("compute2", {"libvirt.live_migration_flag": flags})


def restart_conductor(lab: Lab) -> None:
    lab.stop(Victim.CONDUCTOR)
    lab.start(Victim.CONDUCTOR)
    lab.wait_until_agents_are_up()


def service_state(lab: Lab, host: str) -> str:
    rows = json.loads(lab.limosa("service", "list", "-f", "json").stdout)
    [state] = [row["state"] for row in rows if row["host"] == host]
    return str(state)
