"""The lab's own promises, on which the other tests of this directory stand: libvirt and QEMU, without Limosa."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import Lab, LabError
from lab.faults import Victim
from lab.generation import Generation
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.namespaces import Namespaces, NamespaceSpec
from lab.paths import CHECKOUT, LabPaths
from lab.processes import Process

DEATH_TIMEOUT_S = 10.0
BUSY_DIRTY_MIB_S = 20


def virsh_migrate(lab: Lab, name: str, *, source: str, dest: str) -> None:
    """Migrate with libvirt alone. There is no --unsafe: the storage must pass for shared."""
    flags = ("--live", "--p2p", "--persistent", "--undefinesource")
    lab.virsh(source, "migrate", *flags, name, f"qemu+tls://{dest}/system")


def domains(lab: Lab, host: str) -> list[str]:
    return lab.virsh(host, "list", "--all", "--name").split()


def test_hosts_are_different_machines_to_libvirt(lab: Lab) -> None:
    uuids = {lab.virsh(host, "capabilities").split("<uuid>")[1][:36] for host in lab.compute_hosts}
    names = {lab.virsh(host, "hostname") for host in lab.compute_hosts}

    assert len(uuids) == len(lab.compute_hosts)
    assert names == set(lab.compute_hosts)


def test_virsh_alone_moves_a_guest_there_and_back(lab: Lab, guest_name: str) -> None:
    here, there = lab.compute_hosts
    first = lab.guest_create(guest_name, here)

    virsh_migrate(lab, guest_name, source=here, dest=there)

    assert guest_name not in domains(lab, here)
    assert lab.virsh(there, "domstate", guest_name) == "running"
    assert "of the lab" in lab.virsh(there, "desc", guest_name, "--title")
    virsh_migrate(lab, guest_name, source=there, dest=here)
    assert guest_name not in domains(lab, there)
    last = lab.probe(guest_name)
    assert last.boot_id == first.boot_id
    assert last.counter > first.counter


def test_a_busy_guest_survives_a_long_migration(lab: Lab, guest_name: str) -> None:
    """QEMU 7.2's TCG loses writes in many passes; lab/guest/emulator is there to avoid it."""
    here, there = lab.compute_hosts
    first = lab.guest_create(guest_name, here, GuestOptions(dirty_mib_s=BUSY_DIRTY_MIB_S))
    lab.virsh(here, "migrate-setspeed", guest_name, "16")
    lab.virsh(here, "migrate-setmaxdowntime", guest_name, "800")

    virsh_migrate(lab, guest_name, source=here, dest=there)

    time.sleep(1)  # a guest whose memory is wrong panics within this second
    assert lab.probe(guest_name).boot_id == first.boot_id


def test_a_marker_on_the_disk_is_read_on_the_other_host(lab: Lab, guest_name: str) -> None:
    here, there = lab.compute_hosts
    lab.guest_create(guest_name, here)
    lab.ask(guest_name, "write vda written on the first host")

    virsh_migrate(lab, guest_name, source=here, dest=there)

    assert lab.ask(guest_name, "read vda") == "written on the first host"


def test_the_image_lock_holds_between_the_hosts(lab: Lab, guest_name: str) -> None:
    """What keeps a second copy from starting when libvirt itself is confused (design, section 4.7)."""
    here, there = lab.compute_hosts
    lab.guest_create(guest_name, here)

    write = lab.exec(
        there, ["qemu-io", "-f", "raw", "-c", "write 0 512", f"/srv/shared/{guest_name}.img"], check=False
    )

    assert write.returncode != 0
    assert "Failed to get" in write.stderr


def test_a_local_disk_is_seen_by_its_host_only(lab: Lab, guest_name: str) -> None:
    here, there = lab.compute_hosts
    lab.guest_create(guest_name, here, GuestOptions(local_disks=(LocalDisk(),)))
    path = f"/srv/local/{guest_name}-vdb.img"

    assert lab.exec(here, ["test", "-e", path], check=False).returncode == 0
    assert lab.exec(there, ["test", "-e", path], check=False).returncode != 0
    lab.ask(guest_name, "write vdb local")
    assert lab.ask(guest_name, "read vdb") == "local"


def test_options_of_a_new_guest_reach_libvirt(lab: Lab, guest_name: str) -> None:
    here, _ = lab.compute_hosts
    lab.guest_create(guest_name, here, GuestOptions(is_transient=True, is_paused=True, memory_mib=128))
    info = lab.virsh(here, "dominfo", guest_name)

    assert lab.virsh(here, "domstate", "--reason", guest_name) == "paused (user)"
    assert "Persistent:     no" in info
    assert f"Max memory:     {128 * 1024} KiB" in info


def test_probes_count_a_silence(lab: Lab, guest_name: str) -> None:
    here, _ = lab.compute_hosts
    first = lab.guest_create(guest_name, here)

    with lab.probes(guest_name) as stream:
        time.sleep(0.3)
        lab.virsh(here, "suspend", guest_name)
        time.sleep(0.5)
        lab.virsh(here, "resume", guest_name)
        time.sleep(0.3)

    assert stream.report.boot_ids == (first.boot_id,)
    assert stream.report.duplicates == 0
    assert 400 <= stream.report.longest_gap_ms < 5000


def test_a_guest_outlives_its_libvirtd(lab: Lab, guest_name: str) -> None:
    here, _ = lab.compute_hosts
    first = lab.guest_create(guest_name, here)
    qemu = lab.process(Victim.QEMU, host_name=here, guest=guest_name)

    lab.kill(Victim.LIBVIRTD, host_name=here)
    alone = lab.probe(guest_name)
    lab.start(Victim.LIBVIRTD, host_name=here)

    assert alone.boot_id == first.boot_id
    assert lab.virsh(here, "domstate", guest_name) == "running"
    assert lab.process(Victim.QEMU, host_name=here, guest=guest_name) == qemu


def test_a_killed_qemu_is_a_guest_that_is_off(lab: Lab, guest_name: str) -> None:
    here, _ = lab.compute_hosts
    lab.guest_create(guest_name, here)

    lab.kill(Victim.QEMU, host_name=here, guest=guest_name)

    deadline = time.monotonic() + DEATH_TIMEOUT_S
    while lab.virsh(here, "domstate", guest_name) != "shut off" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert lab.virsh(here, "domstate", "--reason", guest_name) == "shut off (crashed)"


def test_nothing_of_a_host_is_seen_from_outside(lab: Lab) -> None:
    here, _ = lab.compute_hosts
    lab.exec(here, ["touch", "/etc/limosa-was-here", "/var/lib/limosa/kept"])

    assert not Path("/etc/limosa-was-here").exists()
    assert (lab.paths.host(here) / "var/lib/limosa/kept").exists()
    assert "fuse.glusterfs" not in Path("/proc/mounts").read_text()
    with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
        socket.create_connection(("127.0.0.1", 4369), timeout=2)  # epmd


def test_a_second_lab_in_the_same_place_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="up already"):
        Lab.up(hosts=1)


def test_a_generation_for_a_host_that_would_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="compute3 would be no compute host"):
        Lab.up(hosts=2, generations={"compute3": Generation.DEBIAN_13}, paths=LabPaths(top=tmp_path))


def test_a_host_ends_with_its_owner(tmp_path: Path) -> None:
    paths = LabPaths(top=tmp_path)
    paths.host("lonely").mkdir(parents=True)
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host = Namespaces.start(NamespaceSpec(name="lonely", owner_pid=owner.pid), paths=paths)
    sleeper = host.spawn("sleeper", ["sleep", "600"], log=Path("/dev/null"))

    assert host.init.is_alive()
    assert sleeper.is_alive()
    owner.kill()
    owner.communicate()

    assert host.init.wait_until_gone(timeout_s=DEATH_TIMEOUT_S)
    assert sleeper.wait_until_gone(timeout_s=DEATH_TIMEOUT_S)


def test_a_pid_that_belongs_to_another_process_now_is_never_killed() -> None:
    mine = Process.of(os.getpid())
    before = Process(pid=mine.pid, start_time_ticks=mine.start_time_ticks - 1)

    with pytest.raises(LabError, match="not running"):
        before.send(signal.SIGKILL)
    assert not before.is_alive()
    assert before.wait_until_gone(timeout_s=1)


def test_ctl_passes_the_exit_code_and_the_standard_streams(lab: Lab) -> None:
    done = subprocess.run(
        [CHECKOUT / "lab/ctl", "exec", "compute1", "sh", "-c", "cat; hostname; exit 7"],
        input="hello\n",
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (7, "hello\ncompute1\n")
