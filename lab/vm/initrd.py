"""The machines' initramfs: the few modules that find the disk, and lab/vm/init. ext4 is built into Debian's cloud kernel."""

from pathlib import Path

from lab import initramfs

_INIT = Path(__file__).resolve().parent / "init"


def build(target: Path, *, kernel: Path) -> None:
    """Write the initramfs for this unpacked kernel; half a second."""
    initramfs.build(target, kernel=kernel, init=_INIT, modules=initramfs.VIRTIO_DISK)
