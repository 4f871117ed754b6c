"""Build the guest's disk image once: FAT with syslinux, Debian's cloud kernel, an initramfs. No mounts.

The guest boots from its disk rather than from <kernel>, because an incoming QEMU would open the kernel's file too. One that
is to be started from <kernel> has the same files, taken out of the image.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import initramfs
from lab.errors import LabError, last_lines
from lab.paths import SOURCES, LabPaths

IMAGE_MIB = 24
BOOT_FILES = ("vmlinuz", "initrd.gz")
COMMAND_LINE = (
    "console=ttyS0 quiet loglevel=4 mitigations=off nokaslr audit=0 panic=0 rdinit=/init"  # of its kernel
)
# The file system is smaller than the disk: the last block of the disk holds guestd's marker.
_FILE_SYSTEM_MIB = 23
_BUILD_TIMEOUT_S = 120.0
_GUEST = SOURCES / "guest"

# In the order they are loaded.
_MODULES = (
    *initramfs.VIRTIO_DISK,
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
    "drivers/scsi/scsi_common.ko",
    "drivers/scsi/scsi_mod.ko",
    "drivers/scsi/virtio_scsi.ko",
    "drivers/cdrom/cdrom.ko",
    "drivers/scsi/sr_mod.ko",
)
# Loaded where there is firmware with variables.
_EFI_MODULES = ("fs/efivarfs/efivarfs.ko",)

_SYSLINUX_CONF = f"""\
DEFAULT limosa
PROMPT 0
LABEL limosa
  LINUX vmlinuz
  APPEND initrd=initrd.gz {COMMAND_LINE}
"""


def ensure(paths: LabPaths) -> Path:
    """Return the image, built anew if a source of it has changed."""
    image = paths.cache / f"guest-{_digest(paths)}.img"
    if not image.exists():
        paths.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=paths.cache, prefix="image-") as directory:
            built = _build(Path(directory), kernel=_kernel(paths))
            built.rename(image)
    return image


def take_boot_files(paths: LabPaths, directory: Path) -> None:
    """Put the image's `vmlinuz` and `initrd.gz` into this directory."""
    for name in BOOT_FILES:
        _run("mcopy", "-o", "-i", str(ensure(paths)), f"::{name}", str(directory / name))


def _kernel(paths: LabPaths) -> Path:
    kernel = paths.cache / "kernel"
    if not (kernel / "stamp").exists():
        raise LabError(
            "the guest's kernel is missing", hint="run lab/bootstrap.sh: it unpacks it into .lab/cache"
        )
    return kernel


def _digest(paths: LabPaths) -> str:
    digest = hashlib.sha256()
    sources = (_GUEST / "init", _GUEST / "guestd.c", Path(__file__), Path(initramfs.__file__))
    for source in (*sources, _kernel(paths) / "stamp"):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _build(directory: Path, *, kernel: Path) -> Path:
    initrd = _build_initramfs(directory, kernel=kernel)
    image = directory / "guest.img"
    conf = directory / "syslinux.cfg"
    conf.write_text(_SYSLINUX_CONF)
    _run(
        "mkfs.vfat", "-C", "-F", "16", "-g", "64/32", "-n", "LIMOSA", str(image), str(_FILE_SYSTEM_MIB * 1024)
    )
    _run("mcopy", "-i", str(image), str(conf), str(initrd), "::")
    _run("mcopy", "-i", str(image), str(kernel / "vmlinuz"), "::vmlinuz")
    _run("syslinux", "--install", str(image))
    os.truncate(image, IMAGE_MIB * 1024 * 1024)
    return image


def _build_initramfs(directory: Path, *, kernel: Path) -> Path:
    guestd = directory / "guestd"
    _run("gcc", "-static", "-O2", "-Wall", "-Werror", "-s", "-o", str(guestd), str(_GUEST / "guestd.c"))
    initrd = directory / "initrd.gz"
    initramfs.build(
        initrd,
        kernel=kernel,
        init=_GUEST / "init",
        modules=_MODULES,
        further_modules=_EFI_MODULES,
        programs=[guestd],
    )
    return initrd


def _run(*argv: str) -> None:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as e:
        raise LabError(f"{argv[0]} is not installed", hint="run lab/bootstrap.sh") from e
    if done.returncode != 0:
        raise LabError(f"the guest's image: {_words(argv)} failed", hint=last_lines(done.stderr))


def _words(argv: Sequence[str]) -> str:
    return " ".join(argv)
