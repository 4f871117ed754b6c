"""On the dest: whether QEMU, as the user that it will run as, can open each disk. What root can do says nothing.

But for a read-only disk that stands on other images: libvirt gives that to QEMU's user when it prepares the guest, so that
it must be there and be opened by either of the two. All else that is only read is copied where it is missing: `media`.
"""

from collections.abc import Iterator, Sequence

from common.checks import Finding
from common.facts import DiskFacts
from common.pair_checks import DISK_NOT_ACCESSIBLE
from compute_agent.checks.look import DestLook
from compute_agent.storage import parts
from compute_agent.storage.gate import GATE
from compute_agent.subprocesses import Done, FileAction, User, do_here, run_as, user_of

OPEN_TIMEOUT_S = 20.0

Opening = tuple[str, FileAction]
"""With the target of the disk."""


def check_disk_access(look: DestLook) -> Iterator[Finding]:
    user = user_of(look.dest, label=look.guest.dac_label)
    yield from _of_own(look, user)
    yield from _of_only_read(look, user)


def _of_own(look: DestLook, user: User | None) -> Iterator[Finding]:
    openings = [opening for disk in look.guest.disks if _is_own(disk) for opening in _openings(disk)]
    if user is None or not openings:
        return
    for opening, done in zip(openings, _open(user, _actions(openings)), strict=True):
        if done.error and not done.is_missing:  # that it is missing, the storage's own check tells
            yield _finding(look, opening, user=user, reason=done.error)


def _of_only_read(look: DestLook, user: User | None) -> Iterator[Finding]:
    """Here the storage has no check of its own. Only what the agent is denied is left to QEMU's user."""
    disks = [disk for disk in look.guest.disks if disk.layers and parts.is_only_read(disk)]
    openings = [(disk.target, FileAction(do="open", path=disk.source)) for disk in disks]
    if not openings:
        return
    denied: list[Opening] = []
    for opening, done in zip(openings, _open_here(_actions(openings)), strict=True):
        if done.is_denied and user is not None and not user.is_this_process:
            denied.append(opening)
        elif done.error:
            yield _finding(look, opening, user=user or "the agent", reason=done.error)
    if user is not None and denied:
        for opening, done in zip(
            denied, run_as(user, _actions(denied), timeout_s=OPEN_TIMEOUT_S), strict=True
        ):
            if done.error:
                yield _finding(look, opening, user=user, reason=done.error)


def _finding(look: DestLook, opening: Opening, *, user: object, reason: str) -> Finding:
    target, action = opening
    return DISK_NOT_ACCESSIBLE.finding(
        look.settings.host, disk=target, path=action.path, user=user, reason=reason
    )


def _is_own(disk: DiskFacts) -> bool:
    return disk.type == "file" and disk.source.startswith("/") and not parts.is_only_read(disk)


def _openings(disk: DiskFacts) -> Iterator[Opening]:
    """The images below a disk are only read."""
    yield disk.target, FileAction(do="open", path=disk.source, is_writing=True)
    for kind, path in disk.layers:
        if kind == "file" and path.startswith("/"):
            yield disk.target, FileAction(do="open", path=path)


def _actions(openings: Sequence[Opening]) -> list[FileAction]:
    return [action for _, action in openings]


def _open(user: User, actions: Sequence[FileAction]) -> tuple[Done, ...]:
    return _open_here(actions) if user.is_this_process else run_as(user, actions, timeout_s=OPEN_TIMEOUT_S)


def _open_here(actions: Sequence[FileAction]) -> tuple[Done, ...]:
    paths = ", ".join(action.path for action in actions)
    return GATE.look(do_here, actions, timeout_s=OPEN_TIMEOUT_S, what=paths)
