"""On the dest: whether QEMU, as the user that it will run as, can open each disk. What root can do says nothing."""

from collections.abc import Iterator, Sequence

from common import concurrency
from common.checks import Finding
from common.facts import DiskFacts
from common.pair_checks import DISK_NOT_ACCESSIBLE
from compute_agent.checks.look import DestLook
from compute_agent.subprocesses import Done, FileAction, User, do_here, run_as, user_of

OPEN_TIMEOUT_S = 20.0


def check_disk_access(look: DestLook) -> Iterator[Finding]:
    """Images of media are left out: libvirt gives them to QEMU's user when it prepares the guest."""
    user = user_of(look.dest)
    opened = [pair for disk in look.guest.disks if _is_opened(disk) for pair in _opens(disk)]
    if user is None or not opened:
        return
    for (target, action), done in zip(opened, _open(user, [action for _, action in opened]), strict=True):
        if done.error and not done.is_missing:  # that it is missing, the storage's own check tells
            yield DISK_NOT_ACCESSIBLE.finding(
                look.settings.host, disk=target, path=action.path, user=user, reason=done.error
            )


def _is_opened(disk: DiskFacts) -> bool:
    return disk.type == "file" and disk.device in ("disk", "lun") and disk.source.startswith("/")


def _opens(disk: DiskFacts) -> Iterator[tuple[str, FileAction]]:
    """With its target; the images below a disk are only read."""
    yield disk.target, FileAction(do="open", path=disk.source, is_writing=not disk.is_readonly)
    for kind, path in disk.layers:
        if kind == "file" and path.startswith("/"):
            yield disk.target, FileAction(do="open", path=path)


def _open(user: User, actions: Sequence[FileAction]) -> tuple[Done, ...]:
    if user.is_this_process:
        return concurrency.call_blocking(do_here, actions, timeout_s=OPEN_TIMEOUT_S)
    return run_as(user, actions, timeout_s=OPEN_TIMEOUT_S)
