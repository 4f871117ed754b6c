"""`limosa check` on real hosts: each check with a case in which it finds something, and one where none of them does."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.faults import Victim
from lab.guest import disks
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

NAME = "checked"
FITS, REFUSED, NOT_FOUND, USAGE = 0, 4, 3, 2
PORTS = range(49152, 49216)


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1", GuestOptions())
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


@pytest.fixture(autouse=True)
def nothing_is_changed(lab: Lab, boot_id: str) -> Iterator[None]:
    """Whatever a check found: the guest is where it was, and neither a probe nor an open port is left."""
    yield
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)
    assert listening(lab, "compute2") == []


def check(lab: Lab, *hosts: str, name: str = NAME, code: int = REFUSED) -> list[dict[str, Any]]:
    done = lab.limosa("check", name, *hosts, "-f", "json", check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def found(lab: Lab, *, name: str = NAME, code: int = REFUSED) -> dict[str, dict[str, Any]]:
    """Against compute2: its findings by their codes."""
    [row] = check(lab, "compute2", name=name, code=code)
    assert row["result"] == ("refuses" if code else "fits")
    return {finding["code"]: finding for finding in row["findings"]}


def listening(lab: Lab, host: str) -> list[int]:
    lines = lab.exec(host, ["ss", "-Hltn"]).stdout.splitlines()
    ports = [int(line.split()[3].rpartition(":")[2]) for line in lines]
    return [port for port in ports if port in PORTS]


@contextmanager
def changed(path: Path, old: str, new: str) -> Iterator[None]:
    """A file of a host with other text in it; written in place, as it may be a mount."""
    before = path.read_text()
    assert old in before or not old
    path.write_text(before.replace(old, new) if old else before + new)
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def configured(lab: Lab, host: str, values: dict[str, str], before: dict[str, str]) -> Iterator[None]:
    lab.write_config(host, values)
    restart_agent(lab, host)
    try:
        yield
    finally:
        lab.write_config(host, before)
        restart_agent(lab, host)


def restart_agent(lab: Lab, host: str) -> None:
    lab.stop(Victim.AGENT, host_name=host)
    lab.start(Victim.AGENT, host_name=host)
    lab.wait_until_agents_are_up(host)


@contextmanager
def firewalled(lab: Lab, host: str, ports: str) -> Iterator[None]:
    rule = ["INPUT", "-p", "tcp", "--dport", ports, "-j", "REJECT", "--reject-with", "tcp-reset"]
    lab.exec(host, ["iptables", "-A", *rule])
    try:
        yield
    finally:
        lab.exec(host, ["iptables", "-D", *rule])


def etc_hosts(lab: Lab, host: str) -> Path:
    return lab.paths.host(host) / "etc/hosts"


def qemu_conf(lab: Lab, host: str) -> Path:
    return lab.paths.host(host) / "etc/libvirt/qemu.conf"


def line_of(path: Path, name: str) -> str:
    [line] = [line for line in path.read_text().splitlines() if line.split()[1:2] == [name]]
    return line


# ---- nothing refuses


def test_two_hosts_that_fit_have_nothing_against_each_other(lab: Lab) -> None:
    rows = check(lab, code=FITS)

    assert [(row["host"], row["result"], row["findings"]) for row in rows] == [("compute2", "fits", [])]


def test_a_person_sees_a_table_and_what_to_do(lab: Lab) -> None:
    done = lab.limosa("check", NAME, "compute9", check=False)

    assert done.returncode == REFUSED
    assert "| compute9 | refuses | There is no host compute9. [dest_unknown] |" in done.stdout
    assert (
        "[dest_unknown] `limosa service list` shows the hosts; known ones are: compute1, compute2."
        in done.stderr
    )


# ---- parameters


def test_unknown_instances_and_malformed_uuids(lab: Lab) -> None:
    unknown = lab.limosa("check", "nobody", check=False)
    malformed = lab.limosa("check", "00000000-0000-4000-8000-00000000000x", check=False)

    assert (unknown.returncode, "There is no instance nobody." in unknown.stderr) == (NOT_FOUND, True)
    assert (malformed.returncode, "has the form of a uuid" in malformed.stderr) == (USAGE, True)


def test_the_host_where_it_runs(lab: Lab) -> None:
    [row] = check(lab, "compute1")

    assert [finding["code"] for finding in row["findings"]] == ["dest_is_source"]


# ---- how the hosts reach each other


def test_a_source_that_cannot_resolve_the_dest(lab: Lab) -> None:
    hosts = etc_hosts(lab, "compute1")
    with changed(hosts, line_of(hosts, "compute2"), ""):
        finding = found(lab)["name_unresolved"]

    assert finding["sentence"].startswith("compute1 cannot resolve the name compute2")


def test_a_dest_that_cannot_resolve_the_source_is_only_warned_of(lab: Lab) -> None:
    hosts = etc_hosts(lab, "compute2")
    with changed(hosts, line_of(hosts, "compute1"), ""):
        finding = found(lab, code=FITS)["name_unresolved"]

    assert finding["severity"] == "warns"
    assert finding["evidence"]["name"] == "compute1"


def test_a_name_that_leads_to_another_host(lab: Lab) -> None:
    hosts = etc_hosts(lab, "compute1")
    own = line_of(hosts, "compute1").split()[0]
    with changed(hosts, line_of(hosts, "compute2"), f"{own} compute2"):
        findings = found(lab)

    assert "cannot prove that it is compute2" in findings["peer_not_proven"]["sentence"]
    assert findings["peer_not_proven"]["evidence"]["address"] == own


def test_a_libvirtd_that_other_hosts_cannot_reach(lab: Lab) -> None:
    with firewalled(lab, "compute2", "16514"):
        finding = found(lab)["peer_unreachable"]

    assert finding["evidence"]["uri"] == "qemu+tls://compute2/system"
    assert "Connection refused" in finding["sentence"]


def test_ports_for_migrations_that_are_firewalled(lab: Lab) -> None:
    with firewalled(lab, "compute2", "49200:49215"):
        finding = found(lab)["port_unreachable"]

    assert finding["evidence"]["port"] == "49215", "the lower end of the range is open"


# ---- what must be alike on both


def test_another_user_of_qemu_that_may_not_open_the_disk(lab: Lab) -> None:
    disk = Path(lab.virsh("compute1", "domblklist", NAME).split()[-1])
    image = lab.paths.shared / disk.name
    mode = image.stat().st_mode if image.exists() else None
    with changed(
        qemu_conf(lab, "compute2"), 'user = "root"\ngroup = "root"', 'user = "nobody"\ngroup = "nogroup"'
    ):
        restart_libvirtd(lab, "compute2")
        lab.exec("compute1", ["chmod", "0600", str(disk)])
        findings = found(lab)
        lab.exec("compute1", ["chmod", "0666", str(disk)])
        opened = found(lab)
    restart_libvirtd(lab, "compute2")

    assert mode is None or mode
    assert (
        "QEMU runs as 0:0 on compute1 and as 65534:65534 on compute2"
        in findings["qemu_user_differs"]["sentence"]
    )
    assert "Permission denied" in findings["disk_not_accessible"]["sentence"]
    assert "disk_not_accessible" not in opened


def test_another_lock_manager(lab: Lab) -> None:
    with changed(qemu_conf(lab, "compute2"), "", 'lock_manager = "lockd"\n'):
        finding = found(lab)["lock_manager_differs"]

    assert (
        finding["sentence"]
        == "Disks are locked by QEMU's own locks only on compute1 and by lockd on compute2."
    )


def test_a_missing_hook_is_only_warned_of(lab: Lab) -> None:
    hook = lab.paths.host("compute2") / "etc/libvirt/hooks/qemu.d/limosa"
    hook.chmod(0o644)
    try:
        finding = found(lab, code=FITS)["hook_missing"]
    finally:
        hook.chmod(0o755)

    assert finding["severity"] == "warns"


def test_a_console_on_an_address_that_the_dest_does_not_have(lab: Lab) -> None:
    lab.guest_create("console", "compute1", GuestOptions(has_vnc=True))
    observer.wait_until_found(lab, "console")
    address = "203.0.113.9"
    own = lab.exec("compute2", ["hostname", "-i"]).stdout.split()[0]
    try:
        assert "graphics_address_absent" not in found(lab, name="console", code=FITS)
        with configured(lab, "compute2", {"vnc.server_listen": address}, {"vnc.server_listen": own}):
            finding = found(lab, name="console")["graphics_address_absent"]
    finally:
        lab.guest_delete("console")

    assert finding["evidence"]["address"] == address


def test_a_disk_that_no_lock_protects(lab: Lab) -> None:
    lab.guest_create("unlocked", "compute1", GuestOptions(local_disks=(LocalDisk(),)))
    observer.wait_until_found(lab, "unlocked")
    there = str(disks.local_path("unlocked", "vdb"))
    lab.exec("compute2", ["touch", there])
    try:
        warned = found(lab, name="unlocked")["disk_unprotected"]
        with configured(
            lab, "compute2", {"libvirt.require_disk_lock": "true"}, {"libvirt.require_disk_lock": "false"}
        ):
            refused = found(lab, name="unlocked")["disk_unprotected"]
            assert found(lab, code=FITS) == {}, "the other guest's disk is on storage that carries locks"
    finally:
        lab.guest_delete("unlocked")

    assert lab.exec("compute2", ["test", "-e", there], check=False).returncode != 0
    assert (warned["severity"], refused["severity"]) == ("warns", "refuses")
    assert refused["evidence"]["disk"] == "vdb"


# ---- hosts that do not answer


def test_an_agent_that_hangs_is_a_finding(lab: Lab) -> None:
    agent = lab.process(Victim.AGENT, host_name="compute2")
    os.kill(agent, signal.SIGSTOP)
    try:
        findings = found(lab)
    finally:
        os.kill(agent, signal.SIGCONT)
        lab.wait_until_agents_are_up("compute2")

    assert set(findings) <= {"check_timed_out", "service_down"}


def test_a_silent_libvirtd_is_a_finding(lab: Lab) -> None:
    lab.kill(Victim.LIBVIRTD, host_name="compute2")
    try:
        findings = found(lab)
    finally:
        lab.start(Victim.LIBVIRTD, host_name="compute2")

    assert set(findings) & {"check_failed", "hypervisor_silent"}
    observer.wait_until(lambda: found_now(lab) == [], what="compute2 fits again", timeout_s=30)


# ---- refusals of live-migration tell all


def test_a_refused_migration_tells_what_dest_and_source_have_against_it(lab: Lab) -> None:
    other = "<domain type='qemu'><name>checked</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    lab.host("compute2").run(["virsh", "-q", "define", "/dev/stdin"], input_text=other)
    uuid = lab.virsh(
        "compute1", "domuuid", NAME
    )  # as soon as the other one is reported, the name is ambiguous
    try:
        with firewalled(lab, "compute2", "16514"):
            done = lab.limosa("live-migration", uuid, "compute2", check=False)
    finally:
        lab.virsh("compute2", "undefine", NAME)

    assert done.returncode == REFUSED, done.stderr
    assert "[domain_exists]" in done.stderr
    assert "[peer_unreachable]" in done.stderr
    observer.wait_until(
        lambda: len(observer.query(lab, "SELECT 1 FROM instances WHERE name = ? AND is_present", NAME)) == 1,
        what="the other one is forgotten",
        timeout_s=20,
    )


def restart_libvirtd(lab: Lab, host: str) -> None:
    lab.stop(Victim.LIBVIRTD, host_name=host)
    lab.start(Victim.LIBVIRTD, host_name=host)
    observer.wait_until(
        lambda: not {"check_failed", "hypervisor_silent"} & set(found_now(lab)),
        what="its agent is connected again",
        timeout_s=30,
    )


def found_now(lab: Lab) -> list[str]:
    [row] = json.loads(lab.limosa("check", NAME, "compute2", "-f", "json", check=False).stdout)
    return [finding["code"] for finding in row["findings"]]
