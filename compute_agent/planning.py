"""On the source: what of the guest must be copied, connected or made on the dest. Made of what the checks have found.

A plan names every disk, whatever its way: before the call the guest is compared with it again, so that no disk that was
attached meanwhile is left behind.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from common.facts import GuestFacts
from common.transfer import DiskImage, DiskTransfer, TransferPlan
from common.volumes import joined
from compute_agent import encryption
from compute_agent.checks.look import SourceLook
from compute_agent.checks.storage import Ways
from compute_agent.checksums import Checksums


def plan_of(
    look: SourceLook, ways: Ways, checksums: Checksums, *, is_stopped: Callable[[], bool] = lambda: False
) -> TransferPlan:
    """The plan for a guest that all checks let go. Reads the images that the dest must have: of those it is long work.

    Raises OSError, WorkStoppedError, StorageSilentError.
    """
    is_encrypted = encryption.is_agreed(look.source, look.dest, settings=look.settings.live_migration)
    return TransferPlan(
        disks=tuple(_with_checksums(disk, checksums, is_stopped) for disk in ways.disks),
        volumes=joined(look.guest.volumes, look.declared.volumes),
        interfaces=look.guest.interfaces,
        secrets=look.guest.secrets,
        is_encrypted=is_encrypted,
        tls_name=encryption.tls_name(look.reach) if is_encrypted else "",
    )


def _with_checksums(disk: DiskTransfer, checksums: Checksums, is_stopped: Callable[[], bool]) -> DiskTransfer:
    own, below = disk.images[:1], disk.images[1:]
    return replace(disk, images=(*own, *(_with_checksum(image, checksums, is_stopped) for image in below)))


def _with_checksum(image: DiskImage, checksums: Checksums, is_stopped: Callable[[], bool]) -> DiskImage:
    if image.is_shared:
        return image
    content = checksums.of(image.path, is_stopped=is_stopped)
    return replace(image, size_bytes=content.size_bytes, sha256=content.sha256)


def differences(guest: GuestFacts, plan: TransferPlan) -> Iterator[str]:
    """What has changed since the plan was made, as sentences."""
    planned = {(disk.target, disk.type, disk.source) for disk in plan.disks}
    found = {(disk.target, disk.type, disk.source) for disk in guest.disks}
    for target, _, source in sorted(found - planned):
        yield f"the guest has disk {target} ({source or 'empty'}), which was not there when it was checked"
    for target, _, source in sorted(planned - found):
        yield f"disk {target} ({source or 'empty'}), which was checked, is not there any more"
