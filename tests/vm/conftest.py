"""One VM lab for all tests of this directory: three whole machines with systemd."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.paths import CHECKOUT
from lab.vm import VmLab

PACKAGES_VARIABLE = "LIMOSA_PACKAGES"  # a directory of Debian packages of ours that were built before
BUILD_TIMEOUT_S = 900.0


@pytest.fixture(scope="session")
def packages() -> tuple[Path, ...]:
    """Our Debian packages, built from the checkout unless LIMOSA_PACKAGES names a directory of them."""
    directory = Path(os.environ.get(PACKAGES_VARIABLE) or CHECKOUT / ".lab" / "vm" / "packages")
    if PACKAGES_VARIABLE not in os.environ:
        build = [str(CHECKOUT / "packaging" / "build"), "--output", str(directory)]
        subprocess.run(build, check=True, stdin=subprocess.DEVNULL, timeout=BUILD_TIMEOUT_S)
    return tuple(sorted(directory.glob("limosa-*.deb")))


@pytest.fixture(scope="session")
def vm_lab(packages: tuple[Path, ...]) -> Iterator[VmLab]:
    """The machines as an administrator finds them; they end with this process, however that ends."""
    lab = VmLab.up(packages=packages, owner_pid=os.getpid())
    try:
        yield lab
    finally:
        VmLab.down()
