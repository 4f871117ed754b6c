"""On the dest: whether QEMU, as the user that it will run as, can open each disk. What root can do says nothing."""

from collections.abc import Iterator

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
    disks = [disk for disk in look.guest.disks if _is_opened(disk)]
    if user is None or not disks:
        return
    for disk, done in zip(disks, _open(user, disks), strict=True):
        if done.error and not done.is_missing:  # that it is missing, the storage's own check tells
            yield DISK_NOT_ACCESSIBLE.finding(
                look.settings.host, disk=disk.target, path=disk.source, user=user, reason=done.error
            )


def _is_opened(disk: DiskFacts) -> bool:
    return disk.type == "file" and disk.device in ("disk", "lun") and disk.source.startswith("/")


def _open(user: User, disks: list[DiskFacts]) -> tuple[Done, ...]:
    actions = [FileAction(do="open", path=disk.source, is_writing=not disk.is_readonly) for disk in disks]
    if user.is_this_process:
        return concurrency.call_blocking(do_here, actions, timeout_s=OPEN_TIMEOUT_S)
    return run_as(user, actions, timeout_s=OPEN_TIMEOUT_S)
