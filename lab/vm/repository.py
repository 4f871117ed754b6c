"""The package repository of the VM lab: one flat directory, served where every machine reaches it, and nowhere else."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab import waiting
from lab.errors import LabError, last_lines
from lab.namespaces import Namespaces
from lab.paths import PYTHON
from lab.vm import network

_INDEX_TIMEOUT_S = 120.0
_START_TIMEOUT_S = 20.0
_SERVICE = "repository"


def publish(directory: Path, packages: Iterable[Path]) -> None:
    """Make these Debian packages what apt finds in the directory, in place of what was there before."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for package in packages:
        shutil.copy(package, directory)
    try:
        done = subprocess.run(
            ["dpkg-scanpackages", "--multiversion", "."], cwd=directory, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_INDEX_TIMEOUT_S,
        )  # fmt: skip
    except FileNotFoundError as e:
        raise LabError("dpkg-scanpackages is not installed", hint="run lab/bootstrap.sh --vm") from e
    if done.returncode != 0:
        raise LabError("the packages' index could not be made", hint=last_lines(done.stderr))
    (directory / "Packages").write_text(done.stdout)
    digest = hashlib.sha256(done.stdout.encode()).hexdigest()
    (directory / "Release").write_text(
        f"Origin: limosa-lab\nSHA256:\n {digest} {len(done.stdout.encode())} Packages\n"
    )


def serve(switch: Namespaces, directory: Path) -> None:
    """Serve the directory by HTTP from the switch and return when it answers."""
    port = str(network.REPOSITORY_PORT)
    argv = [
        PYTHON,
        "-I",
        "-m",
        "http.server",
        port,
        "--bind",
        network.SWITCH_MANAGEMENT,
        "--directory",
        str(directory),
    ]
    switch.spawn(_SERVICE, argv, log=Path("/run/limosa-lab/repository.log"))
    url = f"http://{network.SWITCH_MANAGEMENT}:{port}/Packages"
    fetch = [
        PYTHON,
        "-I",
        "-c",
        "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5).read()",
        url,
    ]
    waiting.wait_until(
        lambda: switch.run(fetch, check=False).returncode == 0,
        what="the package repository answers",
        timeout_s=_START_TIMEOUT_S,
    )
