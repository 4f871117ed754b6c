"""`doctor` on real hosts: all is well, and each of an administrator's mistakes, found by it and by a migration's checks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common import certificates
from lab import services
from lab.faults import Victim
from lab.guest.lifecycle import GuestOptions
from lab.host import host_uuid
from lab.lab import Lab
from tests.lab import observer
from tests.lab.test_checks import changed, etc_hosts, firewalled, line_of, qemu_conf

NAME = "examined"
FITS, WOULD_STOP = 0, 4
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def guest(lab: Lab) -> Iterator[None]:
    lab.guest_create(NAME, "compute1", GuestOptions())
    observer.wait_until_found(lab, NAME)
    yield
    lab.guest_delete(NAME)


def diagnose(lab: Lab) -> tuple[int, Lines]:
    done = lab.limosa("doctor", "-f", "json", check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def on_host(lab: Lab, host: str, *peers: str) -> tuple[int, Lines]:
    argv = [str(services.program("limosa-compute-agent")), "doctor", *peers, "-f", "json"]
    config = ["--config-file", str(services.CONFIG_FILE)]
    done = lab.exec(host, [*argv, *config], check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def codes(lines: Lines, result: str) -> set[str]:
    return {line["code"] for line in lines if line["result"] == result}


def checked(lab: Lab) -> set[str]:
    """What a migration to compute2 would find."""
    done = lab.limosa("check", NAME, "compute2", "-f", "json", check=False)
    return {finding["code"] for row in json.loads(done.stdout) for finding in row["findings"]}


def assert_found(lab: Lab, code: str) -> dict[str, Any]:
    """By all three: the conductors' doctor, a migration's checks, and with the command that mends it."""
    exit_code, lines = diagnose(lab)
    assert exit_code == WOULD_STOP
    found = [line for line in lines if line["code"] == code]
    assert found, json.dumps([line for line in lines if line["result"] != "pass"], indent=1)
    assert all(line["fix"].endswith("`") for line in found)
    assert code in checked(lab)
    return found[0]


def test_hosts_that_are_well_pass_and_each_pair_is_looked_at_both_ways(lab: Lab) -> None:
    code, lines = diagnose(lab)

    assert (code, codes(lines, "fix")) == (FITS, set())
    ways = {(line["host"], line["peer"]) for line in lines if line["question"] == "peer-ports"}
    assert ways == {("compute1", "compute2"), ("compute2", "compute1")}


def test_a_host_says_the_same_of_itself_and_of_its_way_to_a_peer(lab: Lab) -> None:
    code, lines = on_host(lab, "compute1", "compute2")

    assert (code, codes(lines, "fix")) == (FITS, set())
    assert {"keys", "agent", "broker", "libvirt", "peer"} <= {
        line["question"] for line in lines if line["result"] == "pass"
    }


def test_a_name_that_leads_to_another_host(lab: Lab) -> None:
    hosts = etc_hosts(lab, "compute1")
    own = line_of(hosts, "compute1").split()[0]
    with changed(hosts, line_of(hosts, "compute2"), f"{own} compute2"):
        # Over TLS it shows a certificate that is not compute2's, before it could say its own name.
        assert own in assert_found(lab, "peer_not_proven")["sentence"]
        _, lines = on_host(lab, "compute1", "compute2")

    assert "peer_not_proven" in codes(lines, "fix")


def test_a_port_that_is_closed(lab: Lab) -> None:
    with firewalled(lab, "compute2", "49200:49215"):
        assert "49215" in assert_found(lab, "port_unreachable")["sentence"]


def test_two_hosts_of_one_uuid(lab: Lab) -> None:
    conf = lab.paths.host("compute2") / "etc/libvirt/libvirtd.conf"
    with changed(conf, str(host_uuid("compute2")), str(host_uuid("compute1"))):
        restart_libvirtd(lab, "compute2")
        found = assert_found(lab, "host_uuid_shared")
    restart_libvirtd(lab, "compute2")

    assert str(host_uuid("compute1")) in found["sentence"]


def test_a_file_that_the_agent_may_not_write(lab: Lab) -> None:
    permits = "/var/lib/limosa/permits"
    with read_only(lab, "compute2", permits):
        found = assert_found(lab, "state_not_writable")
        code, lines = on_host(lab, "compute2")

    assert permits in found["sentence"] and "Read-only file system" in found["sentence"]
    assert (code, "state_not_writable" in codes(lines, "fix")) == (WOULD_STOP, True)


@pytest.mark.parametrize(
    ("days", "code", "result"),
    [(-1, "certificate_expired", "fix"), (20, "certificate_ends_soon", "warn")],
)
def test_a_certificate_that_ends(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, days: int, code: str, result: str
) -> None:
    directory = lab.paths.host("compute2") / "etc/libvirt/ending"
    write_certificates(directory, monkeypatch, days=days)
    with changed(qemu_conf(lab, "compute2"), '"/etc/pki/qemu"', '"/etc/libvirt/ending"'):
        _, lines = diagnose(lab)
        of_migration = checked(lab)
        _, of_host = on_host(lab, "compute2")

    assert code in codes(lines, result) and code in codes(of_host, result)
    assert code in of_migration


def write_certificates(directory: Path, monkeypatch: pytest.MonkeyPatch, *, days: int) -> None:
    """As if they had been made 40 days before they end."""
    end = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(certificates, "_period", lambda *, valid_days: (end - timedelta(days=40), end))
    authority, key = certificates.new_authority("ending", valid_days=1)
    request, _ = certificates.new_request("compute2", ("compute2",))
    directory.mkdir(exist_ok=True)
    (directory / "ca-cert.pem").write_text(authority)
    for name in ("server", "client"):
        pem = certificates.issue(
            request, authority_pem=authority, authority_key_pem=key, names=("compute2",), valid_days=1
        )
        (directory / f"{name}-cert.pem").write_text(pem)


@contextmanager
def read_only(lab: Lab, host: str, directory: str) -> Iterator[None]:
    lab.exec(host, ["mount", "--bind", directory, directory])
    try:
        lab.exec(host, ["mount", "-o", "remount,bind,ro", directory])
        yield
    finally:
        lab.exec(host, ["umount", directory])


def restart_libvirtd(lab: Lab, host: str) -> None:
    lab.stop(Victim.LIBVIRTD, host_name=host)
    lab.start(Victim.LIBVIRTD, host_name=host)
    observer.wait_until(lambda: "hypervisor_silent" not in checked(lab), what="it answers", timeout_s=30)


def test_the_baseline_of_equal_hosts_is_a_cpu_for_a_guest(lab: Lab) -> None:
    done = lab.limosa("cpu-baseline", "compute1", "compute2", "-f", "json")
    found = json.loads(done.stdout)
    assert found["model"] and found["hosts"] == ["compute1", "compute2"]
    assert found["xml"].startswith("<cpu mode='custom'")
