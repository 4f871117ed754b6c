"""Where a file that another host names may be put on this one. Blocks: for a native thread.

A kernel that appears in /boot would be started one day; and a source that was taken over must not have root of the next host
write what that host then runs. So nothing is put where the system, its services and its people keep their own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SYSTEM: Final = tuple(
    Path(top)
    for top in (
        *(
            "/bin",
            "/boot",
            "/dev",
            "/etc",
            "/home",
            "/lib",
            "/lib32",
            "/lib64",
            "/libx32",
            "/opt",
            "/proc",
            "/root",
        ),
        *("/run", "/sbin", "/sys", "/usr", "/var"),
    )
)
_OF_IMAGES: Final = tuple(Path(top) for top in ("/var/lib/libvirt", "/var/lib/nova", "/run/media"))


def is_for_images(directory: Path, *, also: Sequence[Path] = ()) -> bool:
    """Whether it is there, wherever its name leads to, and none of the system's own; `also`: what an operator permits."""
    if not directory.is_absolute() or not directory.is_dir():
        return False
    real = directory.resolve()
    if any(real.is_relative_to(top) for top in (*_OF_IMAGES, *also)):
        return True
    return real != Path("/") and not any(real.is_relative_to(top) for top in _SYSTEM)
