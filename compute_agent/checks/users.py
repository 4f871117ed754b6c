"""On the dest: whether files that both hosts open belong to the same numbers on both. A conductor touches none of them."""

from collections.abc import Iterator

from common.checks import Finding
from common.pair_checks import QEMU_USER_DIFFERS, SERVICE_USER_DIFFERS
from compute_agent.checks.look import DestLook


def check_users(look: DestLook) -> Iterator[Finding]:
    """What is not known, of an older agent for example, is no finding."""
    source, dest = look.source, look.dest
    if source is None or not any(disk.type == "file" and disk.source for disk in look.guest.disks):
        return
    host, name = look.settings.host, look.guest.name
    ours = _user(dest.qemu_uid, dest.qemu_gid), _user(dest.service_uid, dest.service_gid)
    theirs = _user(source.qemu_uid, source.qemu_gid), _user(source.service_uid, source.service_gid)
    if _differ(theirs[0], ours[0]) and not look.guest.dac_label:  # else its QEMU runs as that, on both
        yield QEMU_USER_DIFFERS.finding(
            host, instance=name, source=look.source_host, source_user=theirs[0], dest_user=ours[0]
        )
    if _differ(theirs[1], ours[1]):
        yield SERVICE_USER_DIFFERS.finding(
            host, source=look.source_host, source_user=theirs[1], dest_user=ours[1]
        )


def _user(uid: int | None, gid: int | None) -> str:
    return "" if uid is None or gid is None else f"{uid}:{gid}"


def _differ(theirs: str, ours: str) -> bool:
    return "" not in (theirs, ours) and theirs != ours
