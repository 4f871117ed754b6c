"""Pid 1 of a lab host: makes the namespaces and the mounts, then reaps until it is killed or its owner dies.

A script on its own (it imports nothing of ours), started as `init.py SPEC.json`. It prints one JSON line,
{"pid": N}, when the host stands, N being pid 1's number outside. When pid 1 ends, for whatever reason, the
kernel ends everything else in the host's pid namespace and drops its mounts and links.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x20000000,
    0x40000000,
)
# Over these lies a tmpfs by way of an overlay: mount points can be made and files be written in them, and
# nothing of it reaches the machine.
OVERLAID = ("/etc", "/var", "/srv")
SCRATCH = Path("/run/limosa-lab-init")
MACHINE = Path("/")


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    owner_pidfd = os.pidfd_open(spec["owner_pid"]) if spec["owner_pid"] else None
    unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready_read)
        become_init(spec, owner_pidfd, ready_write)
    os.close(ready_write)
    if os.read(ready_read, 1) != b"1":
        sys.exit(f"{spec['hostname']}: the namespaces' init did not come up")
    print(json.dumps({"pid": pid}), flush=True)


def unshare(flags: int) -> None:
    """Call unshare(2): Python has it from 3.12 on only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def become_init(spec: dict[str, Any], owner_pidfd: int | None, ready: int) -> None:
    """Set up the host and reap its orphans; never returns."""
    status = 1
    try:
        os.setsid()
        os.chdir("/")
        set_up(spec)
        child_died = watch_for_children()
        silence_standard_streams()
        os.write(ready, b"1")
        os.close(ready)
        reap_until_orphaned(owner_pidfd, child_died)
        status = 0
    except Exception:  # noqa: BLE001  # whatever it was, the parent must hear of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def set_up(spec: dict[str, Any]) -> None:
    run("mount", "--make-rprivate", "/")
    Path("/proc/sys/kernel/hostname").write_text(spec["hostname"])
    if spec["has_own_mounts"]:
        make_mounts(spec)
    for command in spec["commands"]:
        run(*command)


def make_mounts(spec: dict[str, Any]) -> None:
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    checkout = Path(spec["checkout"])
    root = lay_tree(Path(spec["tree"]), checkout) if spec["tree"] else MACHINE
    mount_proc_and_sys(root)
    if root == MACHINE:
        lay_overlays(checkout)
    for source, target in spec["binds"]:
        bind(Path(source), root / Path(target).relative_to("/"))
    if root != MACHINE:
        pivot(root)
    run("ip", "link", "set", "lo", "up")
    for setting, value in spec["sysctl"].items():
        path = Path("/proc/sys") / setting
        if path.exists():
            path.write_text(value)


def mount_proc_and_sys(root: Path) -> None:
    run("mount", "-t", "proc", "proc", str(root / "proc"))
    # A network namespace's devices are seen only in a sysfs mounted from within it. The cgroups below the
    # machine's go with that one: libvirt does without them.
    if root == MACHINE:
        run("umount", "--recursive", "--lazy", "/sys")
    run("mount", "-t", "sysfs", "sysfs", str(root / "sys"))


def lay_overlays(checkout: Path) -> None:
    aside = SCRATCH / "checkout"
    aside.mkdir(parents=True)
    run("mount", "--rbind", str(checkout), str(aside))
    for top in OVERLAID:
        layers = SCRATCH / top.lstrip("/")
        (layers / "upper").mkdir(parents=True)
        (layers / "work").mkdir()
        options = f"lowerdir={top},upperdir={layers}/upper,workdir={layers}/work"
        run("mount", "-t", "overlay", "-o", options, "overlay", top)
        if checkout.is_relative_to(top):
            # Otherwise the lab's own files would be written to the tmpfs.
            run("mount", "--rbind", str(aside), str(checkout))
    run("umount", "--recursive", "--lazy", str(aside))


def lay_tree(tree: Path, checkout: Path) -> Path:
    """Return a root made of the tree, this machine's devices and the checkout; the tree itself is only read."""
    layers = SCRATCH / "tree"
    root = layers / "root"
    for directory in ("upper", "work", "root"):
        (layers / directory).mkdir(parents=True)
    options = f"lowerdir={tree},upperdir={layers}/upper,workdir={layers}/work"
    run("mount", "-t", "overlay", "-o", options, "overlay", str(root))
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root / "run"))
    for source in (Path("/dev"), checkout):
        target = root / source.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        run("mount", "--rbind", str(source), str(target))
    return root


def pivot(root: Path) -> None:
    """Make it the root of all that lives here, and let go of the machine's.

    The interpreter's own files go too: what this process still imports, it has imported before.
    """
    machine = root / "run/machine"
    machine.mkdir()
    run("pivot_root", str(root), str(machine))
    os.chdir("/")
    run("umount", "--recursive", "--lazy", "/run/machine")
    Path("/run/machine").rmdir()


def bind(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.touch()
    run("mount", "--bind", str(source), str(target))


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def watch_for_children() -> int:
    """Return a descriptor that becomes readable when a child has died."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return readable


def silence_standard_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def reap_until_orphaned(owner_pidfd: int | None, child_died: int) -> None:
    poll = select.poll()
    poll.register(child_died, select.POLLIN)
    if owner_pidfd is not None:
        poll.register(owner_pidfd, select.POLLIN)
    while True:  # until the owner has died, or a signal ends us
        ready = {descriptor for descriptor, _ in poll.poll()}
        if owner_pidfd in ready:
            return
        os.read(child_died, 4096)
        reap()


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
