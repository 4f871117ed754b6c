"""A failure in each preparation in turn, of a guest that has everything with it: the dest is afterwards as it was before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import broker, network, services
from lab.faults import Victim
from lab.guest import registry
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.paths import VENV_BIN
from lab.prober import GUEST_PORT
from lab.volumes import IscsiTarget, VolumeServers, initiator
from tests.lab import failing_agent, observer, snapshot
from tests.lab.failing_agent import BEGUN, ENDED
from tests.lab.test_firewall import set_bridge_netfilter
from tests.lab.test_managed_networks import Vxlan, vxlan
from tests.lab.test_volumes import configure

HOSTS = SOURCE, DEST = ("compute1", "compute2")
NAME = "everything"
MEDIUM = Path("/srv/local/everything.iso")
PARTS = ("disks", "media", "volumes", "interfaces", "networks", "firewall")
REFUSING_HOOK = """#!/bin/sh
[ "$2" = migrate ] && { echo 'injected by the hook' >&2; exit 1; }
cat
"""
__all__ = ["vxlan"]  # a fixture


@pytest.fixture
def servers(lab: Lab, volume_servers: VolumeServers) -> Iterator[VolumeServers]:
    servers = volume_servers
    for host in HOSTS:
        values = {
            "volumes.initiator": initiator(host),
            "volumes.grants": "tgtd",
            "volumes.tgtadm": servers.tgtadm,
        }
        configure(lab, host, values)
    yield servers
    for host in HOSTS:
        configure(lab, host, {"volumes.grants": "none"})


@pytest.fixture
def target(servers: VolumeServers) -> IscsiTarget:
    target = servers.target("undo")
    servers.admit(target, initiator(SOURCE))
    return target


@pytest.fixture
def guest(lab: Lab, vxlan: Vxlan, servers: VolumeServers, target: IscsiTarget) -> Iterator[str]:
    """With disks of its host's own, a medium, volumes, a managed network and a firewall: its boot id."""
    set_bridge_netfilter(lab, HOSTS, is_on=True)
    (lab.paths.host(SOURCE) / MEDIUM.relative_to("/")).write_bytes(b"a medium".ljust(2**20, b"\0"))
    drive = (
        "<controller type='scsi' model='virtio-scsi'/><disk type='file' device='cdrom'>"
        f"<driver name='qemu' type='raw'/><source file='{MEDIUM}'/><target dev='sda' bus='scsi'/><readonly/></disk>"
    )
    volumes = servers.nbd("undo").disk_xml("vdd") + target.disk_xml("vde", initiator=initiator(SOURCE))
    local = (LocalDisk(device="vdb"), LocalDisk(device="vdc", format="qcow2", has_base=True))
    options = GuestOptions(local_disks=local, devices=drive + volumes, bridge=vxlan.bridge)
    first = lab.guest_create(NAME, SOURCE, options)
    observer.wait_until_found(lab, NAME)
    filter_it(lab)
    yield first.boot_id
    lab.limosa("port", "unset", NAME, mac(lab))
    lab.guest_delete(NAME)
    lab.limosa("security-group", "delete", "undo")
    set_bridge_netfilter(lab, HOSTS, is_on=False)
    for host in HOSTS:
        lab.exec(host, ["rm", "-rf", str(MEDIUM)])


@pytest.fixture
def failing(lab: Lab) -> Iterator[Path]:
    """The dest's agent fails where this file says."""
    lab.stop(Victim.AGENT, host_name=DEST)
    argv = [str(VENV_BIN / "python"), failing_agent.__file__, "--config-file", str(services.CONFIG_FILE)]
    log = services.log_file(services.AGENT)
    environment = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(failing_agent.__file__).parents[2])}
    lab.host(DEST).spawn(services.AGENT, argv, log=log, environment=environment)
    lab.wait_until_agents_are_up(DEST)
    place = lab.paths.host(DEST) / failing_agent.PLACE.relative_to("/")
    yield place
    place.unlink(missing_ok=True)
    lab.stop(Victim.AGENT, host_name=DEST)
    lab.start(Victim.AGENT, host_name=DEST)
    lab.wait_until_agents_are_up(DEST)


def mac(lab: Lab) -> str:
    return network.guest_mac(registry.get(NAME, paths=lab.paths).number)


def filter_it(lab: Lab) -> None:
    lab.limosa("security-group", "create", "undo")
    rule = ("--ingress", "--protocol", "udp", "--port", str(GUEST_PORT))
    lab.limosa("security-group", "rule", "add", "undo", *rule)
    address = registry.get(NAME, paths=lab.paths).address
    lab.limosa("port", "set", NAME, mac(lab), "--address", address, "--group", "undo")
    observer.wait_until(
        lambda: "dport" in lab.exec(SOURCE, ["nft", "list", "ruleset"]).stdout,
        what="it is filtered",
        timeout_s=20,
    )


def test_a_failure_in_each_part_leaves_both_hosts_as_they_were(
    lab: Lab, guest: str, servers: VolumeServers, failing: Path
) -> None:
    before = snapshot.take(lab, servers, hosts=HOSTS)
    queues = kept_queues(lab)

    left: dict[str, list[str]] = {}
    for place in [f"{part} {when}" for part in PARTS for when in (BEGUN, ENDED)]:
        failing.write_text(place)
        left |= differences_after_failing(lab, servers, before, reason=f"injected where {place}")
    failing.write_text("nowhere")
    left |= differences_after_failing(lab, servers, before, reason="injected by the hook", hook=REFUSING_HOOK)
    assert left == {}

    assert kept_queues(lab) <= queues, "those of agents that were killed before may expire meanwhile"
    observer.assert_one_guest(lab, NAME, host=SOURCE, boot_id=guest)

    assert observer.migrate(lab, NAME, DEST)["status"] == "completed"
    seen = {
        line.partition(" of ")[0]
        for line in snapshot.differences(before, snapshot.take(lab, servers, hosts=HOSTS))
    }
    assert {"domains", "files", "links", "rules"} <= seen, "what is made would be seen"
    observer.assert_one_guest(lab, NAME, host=DEST, boot_id=guest)


def kept_queues(lab: Lab) -> set[str]:
    """Without those in which a command waited for its answer: they expire by themselves."""
    return {
        name
        for name in broker.queues(lab.controller, paths=lab.paths)
        if not name.startswith("limosa-reply.")
    }


def differences_after_failing(
    lab: Lab, servers: VolumeServers, before: snapshot.Snapshot, *, reason: str, hook: str = ""
) -> dict[str, list[str]]:
    """What a migration that fails for that reason leaves, by the reason. `hook`: libvirt's, on the dest, meanwhile."""
    path = lab.paths.host(DEST) / "etc/libvirt/hooks/qemu.d/zz-refuse"
    if hook:
        path.write_text(hook)
        path.chmod(0o755)
    try:
        migration = observer.start_migration(lab, NAME, DEST)
        ended = observer.wait_until_final(lab, migration)
    finally:
        path.unlink(missing_ok=True)
    story = lab.limosa("migration", "log", migration).stdout
    assert (ended, reason in story) == ("failed", True), story
    left = snapshot.differences(before, snapshot.take(lab, servers, hosts=HOSTS))
    return {reason: left} if left else {}
