"""The agents' checks that compare two hosts: each with a case in which it finds something, and one in which it does not."""

from dataclasses import replace

import pytest

from common.checks import Severity
from common.facts import DiskFacts
from common.migration import DestinationFacts
from common.states import StorageMode
from common.transfer import Declarations
from compute_agent import checks
from compute_agent.checks import confinement, disk_access, disk_locks, graphics, memory, reach, users
from compute_agent.definitions import facts_of
from compute_agent.errors import StorageHangsError
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.settings import LiveMigrationSettings
from compute_agent.storage.gate import Gate
from compute_agent.subprocesses import Done
from tests.fakes.host import FLAGS, MIGRATION

SHARED = DiskFacts(target="vda", type="file", source="/srv/images/web1.qcow2", format="qcow2")
OTHER_USER = 64055


@pytest.fixture
def network(hosts):
    return hosts.world.network


@pytest.fixture
def dest(hosts):
    """The dest's look at a guest with one disk on shared storage."""
    hypervisor = hosts.dest.hypervisor
    return checks.DestLook(
        hypervisor=hypervisor,
        network=hosts.world.network,
        links=hosts.dest.links,
        settings=hosts.dest.settings,
        instance=hosts.uuid,
        guest=replace(hosts.source.hypervisor.guest_facts(hosts.uuid), disks=(SHARED,)),
        dest=hypervisor.host_facts(),
        source=hosts.source.hypervisor.host_facts(),
        source_host="compute1",
    )


@pytest.fixture
def source(hosts):
    """The source's look, at a dest that has answered."""
    hypervisor, peer = hosts.source.hypervisor, hosts.dest.hypervisor
    definition = hypervisor.definition(hosts.uuid)
    return checks.SourceLook(
        hypervisor=hypervisor,
        network=hosts.world.network,
        links=hosts.source.links,
        settings=replace(hosts.source.settings, live_migration=LiveMigrationSettings(flags=FLAGS)),
        instance=hosts.uuid,
        guest=facts_of(definition),
        definition=definition,
        observed=hosts.source.core.observation.source(hosts.uuid, MIGRATION),
        source=hypervisor.host_facts(),
        reach=DestinationFacts(
            connect_address="compute2",
            host="compute2",
            facts=peer.host_facts(),
            hostname=peer.identity().hostname,
            host_uuid=peer.identity().uuid,
            ports=(49152, 49215),
        ),
        dest=peer.host_facts(),
        dest_host="compute2",
    )


def codes(findings):
    return [finding.code for finding in findings]


# ---- names, libvirtd, ports


def test_a_dest_that_cannot_resolve_the_source_is_warned_of(dest, network):
    assert list(reach.check_source_name(dest)) == []

    network.unknown.add("compute1")
    [finding] = reach.check_source_name(dest)

    assert (finding.code, finding.severity) == ("name_unresolved", Severity.WARNS)
    assert finding.sentence == "compute2 cannot resolve the name compute1: Name or service not known."


def test_a_source_that_cannot_resolve_the_dest_refuses(source, network):
    assert list(reach.check_peer(source)) == []

    network.unknown.add("compute2")
    [finding] = reach.check_peer(source)

    assert (finding.code, finding.severity) == ("name_unresolved", Severity.REFUSES)


@pytest.mark.parametrize("is_firewalled", [True, False])
def test_a_libvirtd_that_does_not_answer_refuses_with_uri_and_address(hosts, source, network, is_firewalled):
    if is_firewalled:
        network.closed.add(16509)
    else:
        hosts.dest.hypervisor.is_down = True

    [finding] = reach.check_peer(source)

    assert finding.code == "peer_unreachable"
    assert finding.evidence["uri"] == "qemu+tcp://compute2/system"
    assert finding.evidence["address"] == "192.0.2.1"


def test_a_name_that_leads_to_another_host_is_found(source):
    elsewhere = replace(source, reach=replace(source.reach, host_uuid="00000000-0000-4000-8000-000000000009"))

    [finding] = reach.check_peer(elsewhere)

    assert finding.code == "peer_is_another"
    assert "leads compute1 to the libvirtd of compute2 (" in finding.sentence


@pytest.mark.parametrize(("scheme", "code"), [("tls", "peer_not_proven"), ("ssh", "peer_unreachable")])
def test_over_tls_a_certificate_that_is_not_the_peers_is_told_as_that(
    source, network, monkeypatch, scheme, code
):
    monkeypatch.setattr(network, "connect", lambda _address, _port: None)

    def refuse(uri, *, timeout_s):
        raise HypervisorUnreachableError(
            uri=uri, reason="authentication failed: Failed to verify peer's certificate"
        )

    monkeypatch.setattr(source.hypervisor, "reach", refuse)
    settings = replace(source.settings, live_migration=LiveMigrationSettings(flags=FLAGS, scheme=scheme))

    [finding] = reach.check_peer(replace(source, settings=settings))

    assert finding.code == code
    assert "cannot prove that it is compute2" in finding.sentence or scheme == "ssh"


def test_hosts_of_one_uuid_are_told_apart_by_their_names(source):
    by_name = replace(source.reach, host_uuid="", hostname="compute3")

    assert codes(reach.check_peer(replace(source, reach=by_name))) == ["peer_is_another"]
    assert codes(reach.check_peer(replace(source, reach=replace(by_name, hostname="")))) == []


def test_a_dest_that_said_nothing_of_itself_is_not_reached_for(source, network):
    assert list(reach.check_peer(replace(source, dest=None))) == []
    assert network.reached == []


def test_the_port_of_the_uri_is_tried_before_libvirt_is_asked(source, network):
    settings = replace(source.settings, live_migration=LiveMigrationSettings(flags=FLAGS, scheme="tls"))
    network.closed.add(16514)

    assert codes(reach.check_peer(replace(source, settings=settings))) == ["peer_unreachable"]
    assert network.reached == [("compute2", 16514)]


def test_ports_that_the_dest_holds_open_must_be_reached(source, network):
    held = [network.listen(port) for port in (49152, 49215)]
    assert list(reach.check_ports(source)) == []

    held[1].close()
    [finding] = reach.check_ports(source)

    assert finding.code == "port_unreachable"
    assert finding.evidence["port"] == "49215"
    assert "Open ports 49152 to 49215 of compute2 for compute1" in finding.hint


def test_memory_goes_to_the_inbound_address(source, network):
    inbound = replace(source.reach, inbound_address="198.51.100.2")

    list(reach.check_ports(replace(source, reach=inbound)))

    assert network.reached == [("198.51.100.2", 49152), ("198.51.100.2", 49215)]


@pytest.mark.parametrize(
    ("hostname", "address", "reason"),
    [
        ("node2.example", None, "compute1 cannot resolve that: Name or service not known"),
        ("node2.example", "127.0.1.1", "on compute1 that is 127.0.1.1, which is its own"),
        ("localhost.localdomain", "192.0.2.2", "no other host is found under that"),
    ],
)
def test_the_name_that_libvirt_tells_for_the_memory_must_lead_to_the_dest(
    source, network, hostname, address, reason
):
    look = replace(source, reach=replace(source.reach, hostname=hostname))
    if address is None:
        network.unknown.add(hostname)
    else:
        network.addresses[hostname] = address

    [finding] = reach.check_ports(look)

    assert (finding.code, finding.severity) == ("migration_host_unusable", Severity.REFUSES)
    assert (
        finding.sentence
        == f"libvirt on compute2 has compute1 send the guest's memory to {hostname}, and {reason}."
    )
    assert "live_migration_inbound_addr" in finding.hint and "migration_host" in finding.hint
    assert network.reached == []
    inbound = replace(look, reach=replace(look.reach, inbound_address="198.51.100.2", ports=()))
    assert list(reach.check_ports(inbound)) == []


@pytest.mark.parametrize(
    ("migration_host", "reached"), [("", "node2.example"), ("198.51.100.9", "198.51.100.9")]
)
def test_ports_are_tried_where_libvirt_would_send_the_memory(source, network, migration_host, reached):
    look = replace(
        source,
        reach=replace(source.reach, hostname="node2.example"),
        dest=replace(source.dest, migration_host=migration_host),
    )

    list(reach.check_ports(look))

    assert network.reached == [(reached, 49152), (reached, 49215)]


def test_the_range_of_ports_that_must_be_opened_is_the_dests(source):
    look = replace(source, reach=replace(source.reach, ports=(50000,), port_range=(50000, 50100)))

    [finding] = reach.check_ports(look)

    assert "Open ports 50000 to 50100 of compute2 for compute1" in finding.hint


@pytest.mark.parametrize("scheme", ["ssh", "libssh", "libssh2"])
def test_ssh_finds_its_way_by_itself(source, network, scheme, monkeypatch):
    settings = replace(source.settings, live_migration=LiveMigrationSettings(flags=FLAGS, scheme=scheme))
    network.unknown.add("compute2")
    waited_s = []
    found = source.hypervisor.reach

    def reached(uri, *, timeout_s):
        waited_s.append(timeout_s)
        return found(uri, timeout_s=timeout_s)

    monkeypatch.setattr(source.hypervisor, "reach", reached)

    assert list(reach.check_peer(replace(source, settings=settings))) == []
    assert network.reached == []
    assert waited_s == [15.0]


def test_a_tunnel_needs_no_ports(source):
    flags = (*FLAGS, "VIR_MIGRATE_TUNNELLED")
    settings = replace(source.settings, live_migration=LiveMigrationSettings(flags=flags))

    assert list(reach.check_ports(replace(source, settings=settings))) == []


# ---- memory


@pytest.mark.parametrize(("ratio", "severity"), [(1.0, Severity.REFUSES), (1.5, Severity.WARNS)])
def test_memory_that_is_short_now_refuses_unless_the_conductor_lets_hosts_be_overcommitted(
    dest, ratio, severity
):
    guest = replace(dest.guest, memory_mib=dest.hypervisor.memory_free_mib())
    assert list(memory.check_memory(replace(dest, guest=guest))) == []
    larger = replace(guest, memory_mib=guest.memory_mib + 1)

    [finding] = memory.check_memory(replace(dest, guest=larger, ram_allocation_ratio=ratio))

    assert (finding.code, finding.severity) == ("memory_short", severity)
    assert f"ratio {ratio}" in finding.hint


# ---- users


def test_qemus_user_must_be_the_same_where_files_are_shared(dest):
    assert list(users.check_users(dest)) == []

    other = replace(dest, source=replace(dest.source, qemu_uid=OTHER_USER))
    [finding] = users.check_users(other)

    assert (finding.code, finding.severity) == ("qemu_user_differs", Severity.REFUSES)
    assert "QEMU runs as 64055:0 on compute1 and as 0:0 on compute2" in finding.sentence


def test_the_agents_user_is_warned_of(dest):
    other = replace(dest, source=replace(dest.source, service_gid=7))

    [finding] = users.check_users(other)

    assert (finding.code, finding.severity) == ("service_user_differs", Severity.WARNS)


@pytest.mark.parametrize("unknown", [{"source": None}, {"disks": ()}, {"qemu_uid": None}])
def test_users_that_are_not_known_or_share_no_file_are_no_finding(dest, unknown):
    look = replace(dest, source=replace(dest.source, qemu_uid=OTHER_USER))
    if "disks" in unknown:
        look = replace(look, guest=replace(look.guest, **unknown))
    elif "qemu_uid" in unknown:
        look = replace(look, dest=replace(look.dest, **unknown))
    else:
        look = replace(look, **unknown)

    assert list(users.check_users(look)) == []


# ---- consoles


@pytest.mark.parametrize(
    ("graphics_of_guest", "absent", "address"),
    [
        ((("vnc", "198.51.100.1"),), {"127.0.0.1"}, "127.0.0.1"),  # rewritten to server_listen
        ((("vnc", "198.51.100.1"),), {"198.51.100.1"}, None),
        ((("spice", "compute1"),), {"127.0.0.1"}, "127.0.0.1"),
        ((("vnc", "0.0.0.0"), ("spice", "::1"), ("vnc", "")), {"0.0.0.0", "::1", ""}, None),
        ((("rdp", "198.51.100.1"),), {"198.51.100.1"}, "198.51.100.1"),  # kept: nobody rewrites it
    ],
)
def test_a_console_must_find_the_address_that_it_would_listen_on(
    dest, network, graphics_of_guest, absent, address
):
    network.absent |= absent
    look = replace(dest, guest=replace(dest.guest, graphics=graphics_of_guest))

    found = list(graphics.check_graphics(look))

    assert [finding.evidence["address"] for finding in found] == ([] if address is None else [address])


# ---- locks


@pytest.mark.parametrize(
    ("disk", "lock_manager", "file_system", "lock"),
    [
        (SHARED, "", "nfs4", "NFS 4"),
        (SHARED, "", "fuse.glusterfs", "GlusterFS"),
        (SHARED, "", "nfs", ""),
        (SHARED, "", "ext4", ""),
        (SHARED, "lockd", "ext4", "virtlockd"),
        (replace(SHARED, type="block", source="/dev/vg0/web1"), "", "", ""),
        (replace(SHARED, type="block", source="/dev/vg0/web1"), "sanlock", "", "sanlock"),
        (replace(SHARED, type="network", source="rbd:pool/web1"), "", "", "rbd's exclusive lock"),
        (replace(SHARED, type="network", source="nbd:web1"), "lockd", "", ""),
        (replace(SHARED, type="volume", source="pool/web1"), "", "", ""),
    ],
)
def test_which_lock_protects_a_disk(disk, lock_manager, file_system, lock):
    assert disk_locks.lock_of(disk, lock_manager=lock_manager, file_system=file_system) == lock


MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:31 / /srv rw shared:9 - tmpfs tmpfs rw
31 30 0:32 / /srv/my\\040images rw shared:10 - nfs4 server:/images rw,vers=4.2
32 22 0:33 / /srv rw shared:11 - xfs /dev/vdb rw
broken
"""


@pytest.mark.parametrize(
    ("path", "file_system"),
    [
        ("/etc/passwd", "ext4"),
        ("/srv", "xfs"),
        ("/srvx/disk", "ext4"),
        ("/srv/my images/web1.raw", "nfs4"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_mount_above_it(path, file_system):
    assert disk_locks.file_system_of(path, MOUNTS) == file_system


def test_a_disk_that_would_be_copied_needs_no_lock_between_hosts(dest, monkeypatch):
    monkeypatch.setattr(disk_locks, "file_system_of", lambda path, mounts: "ext4")

    assert list(disk_locks.check_disk_locks(dest)) == []  # it is not there: at most it is copied


@pytest.mark.parametrize("is_required", [True, False])
def test_a_disk_without_a_lock_warns_and_refuses_where_one_is_required(dest, is_required, monkeypatch):
    monkeypatch.setattr(disk_locks, "file_system_of", lambda path, mounts: "ext4")
    settings = replace(dest.settings, requires_disk_lock=is_required)
    look = replace(dest, settings=settings, declared=Declarations(storage=StorageMode.SHARED))

    [finding] = disk_locks.check_disk_locks(look)

    assert finding.code == "disk_unprotected"
    assert finding.severity is (Severity.REFUSES if is_required else Severity.WARNS)
    assert "it is on ext4, and lock_manager is none" in finding.sentence


@pytest.mark.parametrize(
    "change",
    [{"is_readonly": True}, {"is_shareable": True}, {"device": "cdrom"}, {"source": ""}],
)
def test_disks_that_one_guest_does_not_write_alone_need_no_lock(dest, change, monkeypatch):
    monkeypatch.setattr(disk_locks, "file_system_of", lambda path, mounts: "ext4")
    guest = replace(dest.guest, disks=(replace(SHARED, **change),))

    assert list(disk_locks.check_disk_locks(replace(dest, guest=guest))) == []


def test_lock_managers_must_be_the_same(dest):
    assert list(confinement.check_lock_manager(dest)) == []

    [finding] = confinement.check_lock_manager(
        replace(dest, source=replace(dest.source, lock_manager="lockd"))
    )

    assert (
        finding.sentence == "Disks are locked by lockd on compute1 and by QEMU's own locks only on compute2."
    )


# ---- confinement, hook


@pytest.mark.parametrize(
    ("source_models", "dest_models", "is_found"),
    [
        (("apparmor", "dac"), ("dac", "apparmor"), False),
        (("apparmor", "dac"), ("dac",), True),
        (("dac",), ("selinux", "dac"), True),
        ((), ("dac",), False),  # not told
    ],
)
def test_security_models_must_be_the_same(dest, source_models, dest_models, is_found):
    look = replace(
        dest,
        source=replace(dest.source, security_models=source_models),
        dest=replace(dest.dest, security_models=dest_models),
    )

    assert codes(confinement.check_security_models(look)) == ["security_model_differs"] * is_found


@pytest.mark.parametrize("mode", [None, 0o644, 0o755])
def test_a_hook_that_is_missing_or_not_executable_is_warned_of(dest, tmp_path, mode):
    hook = tmp_path / "hook"
    if mode is not None:
        hook.touch(mode=mode)

    found = list(confinement.check_hook(replace(dest, settings=replace(dest.settings, hook_path=hook))))

    assert codes(found) == ([] if mode == 0o755 else ["hook_missing"])
    assert all(finding.severity is Severity.WARNS for finding in found)


# ---- access to disks


def with_disk(dest, path, **changes):
    disk = replace(SHARED, source=str(path), **changes)
    return replace(dest, guest=replace(dest.guest, disks=(disk,)))


def test_a_disk_that_qemus_user_may_open_is_no_finding(dest, tmp_path):
    image = tmp_path / "web1.raw"
    image.write_text("disk")

    assert list(disk_access.check_disk_access(with_disk(dest, image))) == []
    assert image.read_text() == "disk"


def test_a_disk_that_qemus_user_may_not_open_is_found_though_root_may(dest, monkeypatch):
    asked = []

    def run_as(user, actions, **_):
        asked.extend((str(user), action.is_writing) for action in actions)
        return tuple(Done(error="Permission denied", code=13) for _ in actions)

    monkeypatch.setattr(disk_access, "run_as", run_as)
    look = replace(dest, dest=replace(dest.dest, qemu_uid=OTHER_USER, qemu_gid=OTHER_USER))

    [finding] = disk_access.check_disk_access(look)

    assert asked == [("64055:64055", True)]
    assert finding.sentence == (
        "QEMU on compute2, as 64055:64055, cannot open disk vda (/srv/images/web1.qcow2): Permission denied."
    )


@pytest.mark.parametrize(
    ("label", "asked_as"),
    [("+1234:+5678", ["1234:5678"]), ("1234:5678", ["1234:5678"]), ("root:root", []), ("nobody-here:+1", [])],
)
def test_a_guest_with_a_user_of_its_own_is_looked_at_as_that(dest, monkeypatch, label, asked_as):
    """Root is this process itself, and of a user whom this host does not know nothing can be said."""
    asked = []

    def run_as(user, actions, **_):
        asked.append(str(user))
        return tuple(Done() for _ in actions)

    monkeypatch.setattr(disk_access, "run_as", run_as)
    look = replace(dest, dest=replace(dest.dest, qemu_uid=OTHER_USER, qemu_gid=OTHER_USER))
    look = replace(look, guest=replace(look.guest, dac_label=label))

    assert list(disk_access.check_disk_access(look)) == []
    assert asked == asked_as


def test_hosts_of_different_qemu_users_take_a_guest_with_a_user_of_its_own(dest):
    other = replace(dest, source=replace(dest.source, qemu_uid=OTHER_USER))
    own = replace(other, guest=replace(other.guest, dac_label="+1234:+1234"))

    assert list(users.check_users(own)) == []


def test_images_below_a_disk_are_opened_too_and_only_for_reading(dest, monkeypatch):
    asked = []

    def run_as(user, actions, **_):
        asked.extend((action.path, action.is_writing) for action in actions)
        return (Done(), *(Done(error="Permission denied", code=13) for _ in actions[1:]))

    monkeypatch.setattr(disk_access, "run_as", run_as)
    look = with_disk(
        dest, "/srv/web1.qcow2", layers=(("file", "/srv/base.raw"), ("network", "rbd:pool/base"))
    )
    look = replace(look, dest=replace(dest.dest, qemu_uid=OTHER_USER, qemu_gid=OTHER_USER))

    [finding] = disk_access.check_disk_access(look)

    assert asked == [("/srv/web1.qcow2", True), ("/srv/base.raw", False)]
    assert finding.evidence["path"] == "/srv/base.raw"


@pytest.mark.parametrize(
    ("module", "check"),
    [(disk_access, disk_access.check_disk_access), (disk_locks, disk_locks.check_disk_locks)],
)
def test_a_disk_is_not_looked_at_while_earlier_looks_hang(dest, tmp_path, monkeypatch, module, check):
    monkeypatch.setattr(module, "GATE", Gate(looks_max=0))

    with pytest.raises(StorageHangsError, match=r"web1\.raw"):
        list(check(with_disk(dest, tmp_path / "web1.raw")))


def test_a_disk_that_is_missing_is_the_storages_finding(dest, tmp_path):
    assert list(disk_access.check_disk_access(with_disk(dest, tmp_path / "none.raw"))) == []


@pytest.mark.parametrize("may_qemus_user", [True, False])
def test_a_read_only_chain_that_the_agent_may_not_open_is_left_to_qemus_user(
    dest, monkeypatch, may_qemus_user
):
    denied = Done(error="Permission denied", code=13)
    monkeypatch.setattr(disk_access, "do_here", lambda actions: tuple(denied for _ in actions))
    monkeypatch.setattr(disk_access, "run_as", lambda *_, **__: ((Done() if may_qemus_user else denied),))
    look = with_disk(
        dest, "/srv/images/web1.qcow2", is_readonly=True, layers=(("file", "/srv/images/base.raw"),)
    )
    look = replace(look, dest=replace(dest.dest, qemu_uid=OTHER_USER, qemu_gid=OTHER_USER))

    found = codes(disk_access.check_disk_access(look))

    assert found == ([] if may_qemus_user else ["disk_not_accessible"])


@pytest.mark.parametrize("change", [{"device": "cdrom"}, {"type": "network"}, {"type": "block"}])
def test_what_is_no_file_of_the_guests_own_is_not_opened(dest, tmp_path, change):
    directory = tmp_path / "opening this for writing would fail"
    directory.mkdir()

    assert list(disk_access.check_disk_access(with_disk(dest, directory, **change))) == []
    assert codes(disk_access.check_disk_access(with_disk(dest, directory))) == ["disk_not_accessible"]


# ---- what no check has met

ODD = (
    "<disk type='quantum' device='hologram'><source colour='blue'/></disk>",
    "<disk/>",
    "<disk type='file'><source file=''/><target/></disk>",
    "<disk type='network' device='lun'><source protocol='gopher'/><target dev='vdx'/></disk>",
    "<disk type='file'><source file='relative/path with \u00fcmlaut'/><target dev='vdy'/></disk>",
    "<disk type='vhostuser'><source type='unix' path='/run/sock'/><target dev='vdz'/></disk>",
    "<graphics/>",
    "<graphics type='telepathy' listen='nowhere'/>",
    "<graphics type='vnc'><listen type='socket' socket='/run/vnc'/><listen/></graphics>",
    "<interface type='unknown'/><hostdev/><fantasy><deep a='1'>text</deep></fantasy>",
)


@pytest.mark.parametrize("devices", [*ODD, "".join(ODD)])
def test_parts_of_a_domain_that_no_check_knows_break_none(hosts, dest, source, devices, caplog):
    domain = hosts.source.hypervisor.domains[hosts.uuid]
    domain.live_xml = domain.live_xml.replace("<memballoon", devices + "<memballoon")
    guest = hosts.source.hypervisor.guest_facts(hosts.uuid)

    on_dest = checks.run(checks.DEST_CHECKS, replace(dest, guest=guest))
    definition = hosts.source.hypervisor.definition(hosts.uuid)
    on_source = checks.run(
        checks.SOURCE_CHECKS, replace(source, guest=facts_of(definition), definition=definition)
    )

    assert (on_dest.failures, on_source.failures) == ((), ())
    assert "Traceback" not in caplog.text
