"""The packages of this checkout, built once for all tests."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.paths import CHECKOUT
from tests.packages.machine import Machine

BUILD_TIMEOUT_S = 1500.0


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the four of them; LIMOSA_PACKAGES names one whose packages are tested as they are."""
    if "LIMOSA_PACKAGES" in os.environ:
        return Path(os.environ["LIMOSA_PACKAGES"]).absolute()
    output = tmp_path_factory.mktemp("packages")
    done = subprocess.run(
        [CHECKOUT / "packaging" / "build", "--output", output],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def machine(tmp_path: Path, packages: Path) -> Iterator[Machine]:
    with Machine(tmp_path / "machine", packages) as machine:
        yield machine
