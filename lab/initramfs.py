"""An initramfs: busybox, an init, and modules of an unpacked Debian kernel in the order in which they are loaded."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError, last_lines

# What finds a disk, virtio_ring before virtio.
VIRTIO_DISK = (
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
)
_TIMEOUT_S = 60.0


def build(
    target: Path,
    *,
    kernel: Path,
    init: Path,
    modules: Sequence[str],
    further_modules: Sequence[str] = (),
    programs: Sequence[Path] = (),
) -> None:
    """Write it, in half a second. `init` loads what stands in /modules/order; `further_modules` are there besides.

    `programs` are put into its root. Raises LabError.
    """
    root = target.with_suffix(".root")
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    shutil.copy(init, root / "init")
    (root / "init").chmod(0o755)
    for program in programs:
        shutil.copy(program, root)
    tree = next((kernel / "lib/modules").iterdir()) / "kernel"
    for module in (*modules, *further_modules):
        shutil.copy(tree / module, root / "modules")
    (root / "modules/order").write_text("".join(f"{Path(module).name}\n" for module in modules))
    pack = 'cd "$1" && find . | cpio --quiet -o -H newc | gzip -1 >"$2"'
    done = subprocess.run(
        ["sh", "-c", pack, "sh", str(root), str(target)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S,
    )  # fmt: skip
    shutil.rmtree(root)
    if done.returncode != 0:
        raise LabError(f"{target.name} could not be packed", hint=last_lines(done.stderr))
