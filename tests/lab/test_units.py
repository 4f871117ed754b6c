"""The systemd units that are shipped, as systemd itself judges them."""

import re
import subprocess
from pathlib import Path

import pytest

from lab.paths import CHECKOUT, VENV_BIN
from tests.lab import confined

UNITS = sorted((CHECKOUT / "etc" / "systemd").glob("*.service"))
PAGE = CHECKOUT / "docs" / "operations" / "units.md"
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)


@each_unit
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path, tmp_path: Path) -> None:
    # The program's place is the only thing that this checkout has elsewhere.
    text = unit.read_text()
    assert "/opt/limosa/bin/" in text
    here = tmp_path / unit.name
    here.write_text(text.replace("/opt/limosa/bin/", f"{VENV_BIN}/"))

    done = run("systemd-analyze", "verify", "--man=no", here)

    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


@each_unit
def test_the_unit_is_confined_as_its_page_says(unit: Path) -> None:
    recorded = re.search(rf"\| `{re.escape(unit.name)}` \| ([0-9.]+) \|", PAGE.read_text())
    assert recorded is not None

    told = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit).stdout

    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert score is not None, told
    assert score[1] == recorded[1]


def test_both_services_have_a_unit() -> None:
    assert [unit.stem for unit in UNITS] == ["limosa-compute-agent", "limosa-conductor"]


def test_the_conductors_user_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", CHECKOUT / "etc" / "sysusers.d" / "limosa.conf")
    for file in ("passwd", "group"):
        assert (tmp_path / "etc" / file).read_text().startswith("limosa:")


def test_the_directories_are_made(tmp_path: Path) -> None:
    # Their owner is not made in this tree, so without those lines that name it.
    rules = (CHECKOUT / "etc" / "tmpfiles.d" / "limosa.conf").read_text()
    ours = tmp_path / "rules.conf"
    ours.write_text("".join(line for line in rules.splitlines(True) if " limosa " not in line))

    done = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", ours)

    assert done.returncode == 0, done.stderr
    modes = {
        path: (tmp_path / path).stat().st_mode & 0o777
        for path in ("etc/limosa", "etc/limosa/pki", "var/lib/limosa")
    }
    assert modes == {"etc/limosa": 0o755, "etc/limosa/pki": 0o755, "var/lib/limosa": 0o711}


# What has code of its own in C or Rust, and what only root may do, each made to work.
WORK = {
    "limosa-conductor": """
import sys
from common import concurrency
concurrency.setup("eventlet")
from common.identity import PrivateKey
import conductor.app
from conductor.db.engine import Database
PrivateKey.generate().sign(b"x")
Database("sqlite:///" + sys.argv[1]).close()
concurrency.call_blocking(concurrency.native_socket().getaddrinfo, "localhost", 1, timeout_s=10)
""",
    "limosa-compute-agent": """
import os, sys
from common import concurrency
concurrency.setup("eventlet")
from common.identity import PrivateKey
import compute_agent.app, compute_agent.hypervisor.libvirt_hypervisor, libvirt
from compute_agent import subprocesses
from compute_agent.links import HostLinks
from compute_agent.subprocesses import FileAction, User
PrivateKey.generate().sign(b"x")
concurrency.call_blocking(libvirt.getVersion, timeout_s=10)
assert HostLinks().all()
native = concurrency.native_socket()
native.socket(native.AF_PACKET, native.SOCK_RAW, 0).close()
nobody = User(uid=65534, gid=65534)
[done] = subprocesses.run_as(nobody, [FileAction(do="open", path="/etc/hostname")])
assert not done.error, done
os.close(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY))
os.chown(sys.argv[1], 65534, 65534)
os.chmod(sys.argv[1], 0o600)
assert subprocesses.run_command(["qemu-img", "--version"]).code == 0
""",
}


@each_unit
def test_the_service_can_work_within_what_its_unit_leaves_it(unit: Path, tmp_path: Path) -> None:
    # Within the kernel's part of it: system calls, families, capabilities, no writable code.
    python = VENV_BIN / "python"
    done = run(python, confined.__file__, unit, python, "-c", WORK[unit.stem], tmp_path / "file")
    assert done.returncode == 0, done.stderr


@each_unit
def test_the_unit_refuses_what_nobody_needs(unit: Path) -> None:
    calls = confined.allowed_calls(confined.settings(unit))
    numbers = confined.numbers_of_calls()
    for name in ("reboot", "init_module", "ptrace", "mount", "swapon", "settimeofday"):
        assert numbers[name] not in calls, name
