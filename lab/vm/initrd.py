"""The machines' initramfs: the few modules that find the disk, and lab/vm/init."""

import shutil
import subprocess
from pathlib import Path

from lab.errors import LabError, last_lines

_INIT = Path(__file__).resolve().parent / "init"
# In the order in which they are loaded. ext4 is built into Debian's cloud kernel.
_MODULES = (
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
)
_TIMEOUT_S = 60.0


def build(target: Path, *, kernel: Path) -> None:
    """Write the initramfs for this unpacked kernel; half a second."""
    root = target.with_suffix(".root")
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    shutil.copy(_INIT, root / "init")
    (root / "init").chmod(0o755)
    tree = next((kernel / "lib/modules").iterdir()) / "kernel"
    for module in _MODULES:
        shutil.copy(tree / module, root / "modules")
    (root / "modules/order").write_text("".join(f"{Path(module).name}\n" for module in _MODULES))
    pack = 'cd "$1" && find . | cpio --quiet -o -H newc | gzip -1 >"$2"'
    done = subprocess.run(
        ["sh", "-c", pack, "sh", str(root), str(target)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S,
    )  # fmt: skip
    shutil.rmtree(root)
    if done.returncode != 0:
        raise LabError("the machines' initramfs could not be packed", hint=last_lines(done.stderr))
