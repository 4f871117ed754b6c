"""Which Debian a compute host is: this machine's own, or a newer one from a tree in the cache."""

from enum import StrEnum
from pathlib import Path

from lab.errors import LabError
from lab.paths import CHECKOUT, LabPaths


class Generation(StrEnum):
    """A host's Debian, and with it the libvirt, QEMU and Python that it runs."""

    DEBIAN_12 = "debian12"  # libvirt 9.0, QEMU 7.2, Python 3.11
    DEBIAN_13 = "debian13"  # libvirt 11.3, QEMU 10.0, Python 3.13


def tree(generation: Generation, *, paths: LabPaths) -> Path | None:
    """Return the root file system of that generation's hosts; None where it is the machine's own.

    Raises LabError when it was not built.
    """
    if generation is Generation.DEBIAN_12:
        return None
    if not (_directory(generation, paths) / "venv/stamp").exists():
        raise LabError(f"there is no {generation} tree", hint="run lab/bootstrap.sh --debian13")
    return _directory(generation, paths) / "tree"


def binds(generation: Generation, *, paths: LabPaths) -> list[tuple[Path, Path]]:
    """Return what such a host sees elsewhere than the others, as (source, target).

    Its own Python made a venv of its own, seen where the others have theirs: one path runs the agent on each.
    """
    # What libvirt has learnt about QEMU is true for every host of one generation, and costs seconds to learn.
    found = [(capabilities(generation, paths=paths), Path("/var/cache/libvirt"))]
    if generation is not Generation.DEBIAN_12:
        found.append((_directory(generation, paths) / "venv", CHECKOUT / ".venv"))
    return found


def capabilities(generation: Generation, *, paths: LabPaths) -> Path:
    """Return the directory of what libvirt has learnt about this generation's QEMU."""
    if generation is Generation.DEBIAN_12:
        return paths.cache / "libvirt"
    return _directory(generation, paths) / "libvirt"


def _directory(generation: Generation, paths: LabPaths) -> Path:
    return paths.cache / generation
