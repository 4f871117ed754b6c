"""On the source: what would be lost by moving the guest, or makes libvirt refuse it. What libvirt 9.0 does was tried.

Snapshots and block jobs make it refuse at once. Checkpoints and a managed-save image do not: the one's record is lost with
the guest's definition, the other stays behind and waits for the guest to come back.
"""

from collections.abc import Iterator

from common.checks import Finding
from common.obstacle_checks import BLOCK_JOB_RUNS, CHECKPOINTS_LOST, MANAGED_SAVE_EXISTS, SNAPSHOTS_EXIST
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor.looks import BlockJobKind

NAMES_SHOWN = 5


def check_obstacles(look: SourceLook) -> Iterator[Finding]:
    host, name = look.settings.host, look.guest.name
    found = look.hypervisor.obstacles(look.instance)
    if found.has_managed_save:
        yield MANAGED_SAVE_EXISTS.finding(host, instance=name)
    if found.snapshots:
        yield SNAPSHOTS_EXIST.finding(host, instance=name, snapshots=_shown(found.snapshots))
    if found.checkpoints:
        yield CHECKPOINTS_LOST.finding(host, instance=name, checkpoints=_shown(found.checkpoints))
    for job in found.block_jobs:
        if job.kind is not BlockJobKind.BACKUP:  # seen as the domain's job: `movable` tells of it
            yield BLOCK_JOB_RUNS.finding(host, instance=name, disk=job.disk, kind=job.kind)


def _shown(names: tuple[str, ...]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
