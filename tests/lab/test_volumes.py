"""Guests whose disks are on servers: nothing of a volume is copied, and access to it goes with the guest."""

import json
import re
from collections.abc import Iterator

import pytest

from lab.faults import Victim
from lab.guest.disks import LOCAL_DISK_MIB, LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.volumes import IscsiTarget, VolumeServers, initiator
from tests.lab import observer

SOURCE, DEST = "compute1", "compute2"
REFUSED = 4
REFUSING_COMMAND = """#!/bin/sh
question=$(cat)
echo "$question" >> /var/log/limosa/grants.log
case $question in *'"withdraw"'*) exit 0 ;; esac
echo 'the array is read-only today' >&2
exit 1
"""


@pytest.fixture(scope="module")
def servers(lab: Lab, volume_servers: VolumeServers) -> Iterator[VolumeServers]:
    """With agents that administer tgtd; afterwards they ask nobody again."""
    servers = volume_servers
    for host in lab.compute_hosts:
        configure(
            lab,
            host,
            {
                "volumes.initiator": initiator(host),
                "volumes.grants": "tgtd",
                "volumes.tgtadm": servers.tgtadm,
            },
        )
    yield servers
    for host in lab.compute_hosts:
        configure(lab, host, {"volumes.grants": "none"})


def configure(lab: Lab, host: str, values: dict[str, str]) -> None:
    lab.write_config(host, values)
    lab.stop(Victim.AGENT, host_name=host)
    lab.start(Victim.AGENT, host_name=host)
    lab.wait_until_agents_are_up(host)


def admitted(servers: VolumeServers, target: IscsiTarget) -> list[str]:
    """The initiators that the target lets in, without those of targets beside it."""
    block = servers.shown().partition(f"Target {target.tid}: ")[2].partition("\nTarget ")[0]
    return sorted(block.partition("ACL information:")[2].split())


def connected(servers: VolumeServers, target: IscsiTarget) -> list[str]:
    block = servers.shown().partition(f"Target {target.tid}: ")[2].partition("\nTarget ")[0]
    return re.findall(r"Initiator: (\S+)", block)


def test_volumes_move_with_their_guest_and_access_to_them_as_well(
    lab: Lab, guest_name: str, servers: VolumeServers
) -> None:
    export, target = servers.nbd("moves"), servers.target("moves")
    servers.admit(target, initiator(SOURCE))
    disks = export.disk_xml("vdb") + target.disk_xml("vdc", initiator=initiator(SOURCE))
    first = lab.guest_create(guest_name, SOURCE, GuestOptions(devices=disks))
    observer.wait_until_found(lab, guest_name)
    lab.ask(guest_name, "write vdb on-nbd")
    lab.ask(guest_name, "write vdc on-iscsi")

    migration = observer.migrate(lab, guest_name, DEST)

    assert migration["status"] == "completed"
    assert lab.ask(guest_name, "read vdb") == "on-nbd"
    assert lab.ask(guest_name, "read vdc") == "on-iscsi"
    for inactive in ((), ("--inactive",)):
        xml = lab.virsh(DEST, "dumpxml", *inactive, guest_name)
        assert initiator(DEST) in xml and initiator(SOURCE) not in xml
    assert admitted(servers, target) == connected(servers, target) == [initiator(DEST)]
    assert migration["progress"]["statistics"]["disk_total"] == 0
    done = lab.virsh(DEST, "domjobinfo", "--completed", guest_name)
    assert "Memory processed" in done and "File processed" not in done, "something of a disk was copied"
    story = lab.limosa("migration", "log", migration["id"]).stdout
    assert "was withdrawn" in story
    observer.assert_one_guest(lab, guest_name, host=DEST, boot_id=first.boot_id)

    lab.ask(guest_name, "write vdc further")
    assert observer.migrate(lab, guest_name, SOURCE)["status"] == "completed"
    assert lab.ask(guest_name, "read vdc") == "further"
    assert admitted(servers, target) == [initiator(SOURCE)]


def test_of_a_guest_with_volumes_and_a_local_disk_that_disk_alone_is_copied(
    lab: Lab, guest_name: str, servers: VolumeServers
) -> None:
    export, target = servers.nbd("mixed"), servers.target("mixed")
    servers.admit(target, initiator(SOURCE))
    disks = export.disk_xml("vdc") + target.disk_xml("vdd", initiator=initiator(SOURCE))
    options = GuestOptions(devices=disks, local_disks=(LocalDisk(device="vdb"),))
    first = lab.guest_create(guest_name, SOURCE, options)
    observer.wait_until_found(lab, guest_name)
    for device in ("vdb", "vdc", "vdd"):
        lab.ask(guest_name, f"write {device} on-{device}")

    migration = observer.migrate(lab, guest_name, DEST)

    assert migration["status"] == "completed"
    assert migration["progress"]["statistics"]["disk_total"] == LOCAL_DISK_MIB * 2**20
    for device in ("vdb", "vdc", "vdd"):
        assert lab.ask(guest_name, f"read {device}") == f"on-{device}"
    assert admitted(servers, target) == [initiator(DEST)]
    observer.assert_one_guest(lab, guest_name, host=DEST, boot_id=first.boot_id)


def test_a_server_that_the_dest_does_not_reach_refuses_and_names_it(
    lab: Lab, guest_name: str, servers: VolumeServers
) -> None:
    export = servers.nbd("gone")
    first = lab.guest_create(guest_name, SOURCE, GuestOptions(devices=export.disk_xml("vdb")))
    observer.wait_until_found(lab, guest_name)
    servers.stop_nbd(export)

    refused = lab.limosa("live-migration", guest_name, DEST, check=False)

    assert refused.returncode == REFUSED
    assert (
        f"{DEST} does not reach the server of disk vdb (nbd:gone on controller:{export.port})"
        in refused.stderr
    )
    observer.assert_one_guest(lab, guest_name, host=SOURCE, boot_id=first.boot_id)


def test_a_dest_that_is_not_let_in_leaves_the_guest_where_it_is(
    lab: Lab, guest_name: str, servers: VolumeServers
) -> None:
    target = servers.target("denied")
    servers.admit(target, initiator(SOURCE))
    command = lab.paths.host(DEST) / "etc/limosa/refuse-grants"
    command.write_text(REFUSING_COMMAND)
    command.chmod(0o755)
    configure(lab, DEST, {"volumes.grants": "exec", "volumes.grants_command": "/etc/limosa/refuse-grants"})
    try:
        disk = target.disk_xml("vdb", initiator=initiator(SOURCE))
        first = lab.guest_create(guest_name, SOURCE, GuestOptions(devices=disk))
        observer.wait_until_found(lab, guest_name)
        migration = observer.start_migration(lab, guest_name, DEST)
        assert observer.wait_until_final(lab, migration) == "failed"
    finally:
        configure(lab, DEST, {"volumes.grants": "tgtd"})
    assert "the array is read-only today" in lab.limosa("migration", "show", migration).stdout
    asked = (lab.paths.host(DEST) / "var/log/limosa/grants.log").read_text().splitlines()
    questions = [json.loads(line) for line in asked]
    assert [question["action"] for question in questions] == ["grant", "withdraw"]
    assert {question["initiator"] for question in questions} == {initiator(DEST)}
    assert admitted(servers, target) == [initiator(SOURCE)]
    observer.assert_one_guest(lab, guest_name, host=SOURCE, boot_id=first.boot_id)
