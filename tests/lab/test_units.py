"""The systemd units that are shipped, as systemd itself judges them."""

import subprocess
from pathlib import Path

import pytest

from lab.paths import CHECKOUT, VENV_BIN

UNITS = sorted((CHECKOUT / "etc" / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path, tmp_path: Path) -> None:
    # The program's place is the only thing that this checkout has elsewhere.
    text = unit.read_text()
    assert "/opt/limosa/bin/" in text
    here = tmp_path / unit.name
    here.write_text(text.replace("/opt/limosa/bin/", f"{VENV_BIN}/"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True, check=False
    )

    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


def test_both_services_have_a_unit() -> None:
    assert [unit.stem for unit in UNITS] == ["limosa-compute-agent", "limosa-conductor"]
