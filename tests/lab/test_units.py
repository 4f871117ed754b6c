"""The systemd units that are shipped, as systemd itself judges them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.paths import CHECKOUT, VENV_BIN

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


WITHOUT_WRITABLE_CODE = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    sys.exit(77)
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""

# The parts with code of their own in C or Rust, each made to do something.
WORK_OF_BOTH = """
import sys
from common import concurrency
concurrency.setup("eventlet")
from common import identity
import compute_agent.app, compute_agent.hypervisor.libvirt_hypervisor, conductor.app
from compute_agent.links import HostLinks
from conductor.db.engine import Database
import libvirt
key = identity.PrivateKey.generate()
key.sign(b"x")
assert concurrency.call_blocking(libvirt.getVersion, timeout_s=10)
assert HostLinks().all()
Database("sqlite:///" + sys.argv[1]).close()
"""


def test_neither_service_makes_code_in_memory(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute=yes, which the kernel has by itself as well (prctl, PR_SET_MDWE, 6.3)."""
    done = run(sys.executable, "-c", WITHOUT_WRITABLE_CODE, WORK_OF_BOTH, tmp_path / "db.sqlite")
    if done.returncode == 77:
        pytest.skip("this kernel cannot deny it")
    assert done.returncode == 0, done.stderr
