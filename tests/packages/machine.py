"""A Debian to install packages on: the tree that they are built in, with a layer on top that goes with the test."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.paths import CHECKOUT

TREE = CHECKOUT / ".lab" / "cache" / "packaging" / "tree"
RUN_TIMEOUT_S = 300.0
_ENVIRONMENT = (
    "env",
    "-i",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
)
_MOUNT = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o lowerdir="$2",upperdir="$1/upper",workdir="$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mkdir "$1/root/debs"
mount --bind "$3" "$1/root/debs"
echo ready
exec cat
"""


class Machine:
    """Namespaces that live as long as the `with` block; the packages lie in /debs. No systemd runs in it."""

    def __init__(self, place: Path, packages: Path) -> None:
        self._place, self._packages = place, packages

    def __enter__(self) -> Self:
        place = self._place
        place.mkdir()
        namespaces = ["unshare", "--mount", "--net", "--propagation", "private"]
        mounts = ["sh", "-euc", _MOUNT, "sh", str(place), str(TREE), str(self._packages)]
        self._keeper = subprocess.Popen(
            [*namespaces, *mounts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.communicate()  # its stdin ends, and so does it

    def run(self, script: str) -> str:
        """What it printed; fails with what it complained of."""
        return self._nsenter(
            'exec chroot "$1/root" "${@:3}" -euc "$2"', str(self._place), script, *_ENVIRONMENT, "/bin/sh"
        )

    def _nsenter(self, script: str, *arguments: str) -> str:
        own = f"/proc/{self._keeper.pid}/ns"
        enter = ["nsenter", f"--mount={own}/mnt", f"--net={own}/net"]
        done = subprocess.run(
            [*enter, "bash", "-euc", script, "bash", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
        )
        assert done.returncode == 0, f"{script}\n{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    def install(self) -> None:
        """Without what the packages depend on: this tree has what the programs need to start, and no libvirtd."""
        self.run("DEBIAN_FRONTEND=noninteractive dpkg --force-depends -i /debs/*.deb")

    def copy_in(self, package: Path) -> None:
        """To /newer."""
        self._nsenter('mkdir -p "$1/root/newer"; cp "$2" "$1/root/newer/"', str(self._place), str(package))

    def files(self) -> set[str]:
        """Every path but dpkg's own and what other packages' triggers keep."""
        kept = r"/(proc|debs|dev|var/lib/dpkg|var/cache|var/log)(/.*)?"
        return set(
            self.run(f"find / -xdev -regextype posix-extended -regex '{kept}' -prune -o -print").splitlines()
        )
