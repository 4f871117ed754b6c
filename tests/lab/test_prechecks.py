"""What the conductor itself knows against a migration, on real hosts: each finding, and the same guest without it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.faults import Victim
from lab.lab import Lab
from tests.lab import observer

NAME = "prechecked"
FITS, REFUSED = 0, 4


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1")
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


@pytest.fixture(autouse=True)
def nothing_stands_against_it_before_and_after(lab: Lab, boot_id: str) -> Iterator[None]:
    assert codes(lab, code=FITS) == []
    yield
    assert codes(lab, code=FITS) == []
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)


def findings(lab: Lab, *, name: str = NAME, code: int = REFUSED) -> list[dict[str, Any]]:
    done = lab.limosa("check", name, "compute2", "-f", "json", check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    [row] = json.loads(done.stdout)
    found: list[dict[str, Any]] = row["findings"]
    return found


def codes(lab: Lab, *, code: int = REFUSED) -> list[str]:
    return [finding["code"] for finding in findings(lab, code=code)]


def restart_conductor(lab: Lab, **settings: str) -> None:
    lab.write_config("controller", {f"conductor.{name}": value for name, value in settings.items()})
    lab.stop(Victim.CONDUCTOR)
    lab.start(Victim.CONDUCTOR)
    lab.wait_until_agents_are_up()


def test_a_disabled_dest_and_that_no_other_is_left(lab: Lab) -> None:
    lab.limosa("service", "disable", "compute2", "--reason", "new memory")
    try:
        [finding] = findings(lab)
        assert finding["code"] == "service_disabled"
        assert "new memory" in finding["sentence"]

        refused = lab.limosa("live-migration", NAME, check=False)
        assert refused.returncode == REFUSED
        assert "[no_candidate]" in refused.stderr and "[service_disabled]" in refused.stderr
    finally:
        lab.limosa("service", "enable", "compute2")


def test_an_instance_that_is_being_moved(lab: Lab, guest_name: str) -> None:
    lab.guest_create(guest_name, "compute1")
    observer.wait_until_found(lab, guest_name)
    lab.pause(Victim.AGENT, host_name="compute2")  # so that the migration stays where it begins
    try:
        migration = observer.start_migration(lab, guest_name, "compute2")
        [finding] = [one for one in findings(lab, name=guest_name) if one["code"] == "instance_busy"]
        assert migration in finding["sentence"]
    finally:
        lab.resume(Victim.AGENT, host_name="compute2")
    observer.wait_until_final(lab, migration)
    lab.wait_until_agents_are_up()


def test_an_instance_that_two_hosts_have(lab: Lab) -> None:
    copy = lab.virsh("compute1", "dumpxml", "--inactive", NAME)
    lab.host("compute2").run(["virsh", "-q", "define", "/dev/stdin"], input_text=copy)
    try:
        observer.wait_until(
            lambda: "instance_in_conflict" in codes(lab), what="the conflict is seen", timeout_s=20
        )
    finally:
        lab.virsh("compute2", "undefine", NAME)
        observer.wait_until(
            lambda: lab.limosa("check", NAME, "compute2", check=False).returncode == FITS,
            what="the conflict is over",
            timeout_s=20,
        )


def test_a_dest_without_enough_virtual_cpus(lab: Lab) -> None:
    restart_conductor(lab, reserved_host_cpus="1000")
    try:
        [finding] = findings(lab)
        assert finding["code"] == "vcpus_short"
        assert finding["evidence"]["needed"] == "1"
    finally:
        restart_conductor(lab, reserved_host_cpus="0")
