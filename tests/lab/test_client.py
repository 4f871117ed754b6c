"""The client on real hosts: what it says of them is what they say of themselves."""

import json
from typing import Any

from lab import network
from lab.faults import Victim
from lab.lab import Lab
from tests.lab import observer


def shown(lab: Lab, *argv: str) -> Any:
    return json.loads(lab.limosa(*argv, "-f", "json").stdout)


def by_libvirt(lab: Lab, host: str, command: str, key: str) -> int:
    """A number of `virsh nodeinfo` or `virsh nodememstats`."""
    lines = dict(line.split(":", 1) for line in lab.virsh(host, command).splitlines() if ":" in line)
    return int({name.strip(): value for name, value in lines.items()}[key].split()[0])


def test_a_host_is_shown_as_libvirt_has_it_and_a_past_migration_as_it_was_measured(
    lab: Lab, guest_name: str
) -> None:
    lab.guest_create(guest_name, "compute1")
    observer.wait_until_found(lab, guest_name)
    moved = observer.migrate(lab, guest_name, "compute2")

    host = shown(lab, "host", "show", "compute2")
    resources = {row["instance"]: row for row in shown(lab, "service", "describe-resource", "compute2")}
    (past,) = shown(lab, "instance", "history", guest_name)

    assert host["vcpus_total"] == by_libvirt(lab, "compute2", "nodeinfo", "CPU(s)")
    assert host["memory_total_mib"] == by_libvirt(lab, "compute2", "nodememstats", "total") // 1024
    assert guest_name in host["guests"]
    assert 0 < host["disk_free_gib"] <= host["disk_total_gib"]
    assert resources["(total)"]["memory_mib"] == host["memory_total_mib"]
    assert resources["(used_now)"]["memory_mib"] == host["memory_used_mib"]
    assert resources[guest_name]["power_state"] == "running"
    assert past["migration"] == moved["id"]
    assert past["measured_downtime_ms"] == moved["downtime_ms"]
    assert past["measured_sent_mib"] > 0

    # and: it is known when the guest is gone, too
    uuid = past["instance_uuid"]
    lab.guest_delete(guest_name)
    observer.wait_until(lambda: not observer.is_found(lab, guest_name), what="it is gone", timeout_s=20)
    assert shown(lab, "instance", "history", uuid) == [past]


def test_a_disabled_host_keeps_its_guests_and_stays_disabled_when_its_agent_starts_anew(
    lab: Lab, guest_name: str
) -> None:
    lab.guest_create(guest_name, "compute2")
    observer.wait_until_found(lab, guest_name)
    try:
        lab.limosa("service", "disable", "compute2", "--reason", "new memory")
        lab.kill(Victim.AGENT, host_name="compute2")
        lab.start(Victim.AGENT, host_name="compute2")
        lab.wait_until_agents_are_up()

        host = shown(lab, "host", "show", "compute2")
        assert (host["status"], host["disabled_reason"], host["state"]) == ("disabled", "new memory", "up")
        assert guest_name in host["guests"]
        assert observer.migrate(lab, guest_name, "compute1")["status"] == "completed"  # away is allowed
    finally:
        lab.limosa("service", "enable", "compute2")
    assert shown(lab, "host", "show", "compute2")["status"] == "enabled"


def test_what_is_not_there_is_a_sentence_and_exit_code_3(lab: Lab) -> None:
    for argv, sentence in (
        (("host", "show", "compute9"), "There is no host compute9."),
        (("service", "describe-resource", "compute9"), "There is no host compute9."),
        (("service", "enable", "compute9"), "There is no host compute9."),
        (("service", "disable", network.CONTROLLER, "--reason", "x"), "There is no host controller."),
        (("instance", "history", "1f6b2a34-98c1"), "There is no instance 1f6b2a34-98c1."),
        (("migration", "list", "--instance", "nowhere"), "There is no instance nowhere."),
    ):
        ended = lab.limosa(*argv, check=False)
        assert (ended.returncode, ended.stdout) == (3, ""), argv
        assert ended.stderr.startswith(sentence), argv
