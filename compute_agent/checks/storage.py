"""On the source: how each disk of the guest gets to the dest, by what the dest has written, found and not found there.

Beside the other checks (`compute_agent.examiner`), since the plan is made of just what is found here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from common.checks import STORAGE_NOT_SHARED, TUNNELLED_BLOCK, Finding
from common.facts import DiskFacts
from common.states import DiskWay, StorageMode
from common.storage_checks import DISK_NOT_COPYABLE
from common.transfer import DiskImage, DiskTransfer
from common.volumes import joined
from compute_agent import probes, storage
from compute_agent.checks import disk_locks
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor import guest_xml
from compute_agent.migrate_request import TUNNELLED
from compute_agent.qemu_process import open_files
from compute_agent.storage import parts, ways
from compute_agent.storage.driver import Disk
from compute_agent.storage.gate import GATE
from compute_agent.storage.making import ImageMaker, ImageNotCopyableError
from compute_agent.storage.volume import located_here
from compute_agent.storage.ways import Seen, Sight
from compute_agent.subprocesses import user_of

# What other hosts may well see: a dest that does not has most often not mounted it.
NETWORKED: Final = frozenset(
    (*disk_locks.FILE_SYSTEMS, "nfs", "cifs", "smb3", "9p", "virtiofs", "afs", "beegfs")
)

LOOK_TIMEOUT_S = 20.0

Makers = Mapping[str, ImageMaker]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """All disks of the guest, and what speaks against them. Images that the dest must have are without checksums."""

    disks: tuple[DiskTransfer, ...] = ()
    findings: tuple[Finding, ...] = ()


def find_ways(look: SourceLook, makers: Makers) -> Ways:
    """Raises StorageSilentError."""
    if look.dest is None and look.reach.host:
        return Ways()  # the conductor's word for a dest that could not be asked, which it tells itself
    sights = _Sights(look)
    disks: list[DiskTransfer] = []
    findings = [*sights.unproven(), *sights.findings]
    for disk in look.guest.disks:
        transfer, against = _way(look, disk, sights, makers)
        disks.append(transfer)
        findings += against
    if any(disk.way is DiskWay.COPIED for disk in disks) and TUNNELLED in look.settings.live_migration.flags:
        findings.append(TUNNELLED_BLOCK.finding(look.settings.host))
    return Ways(disks=tuple(disks), findings=tuple(findings))


def _way(
    look: SourceLook, disk: DiskFacts, sights: "_Sights", makers: Makers
) -> tuple[DiskTransfer, Sequence[Finding]]:
    transfer = DiskTransfer(target=disk.target, type=disk.type, source=disk.source, way=DiskWay.SHARED)
    if not disk.source:
        return replace(transfer, way=DiskWay.EMPTY), ()
    if parts.is_only_read(disk):
        return replace(transfer, way=DiskWay.MEDIUM), ()
    if disk.type == "network":
        return replace(transfer, way=DiskWay.VOLUME), ()
    own, *below = [sights.of(part) for part in parts.shared_parts(disk)]
    if own.seen is Seen.ABSENT and disk.target in _attached(look):
        return replace(transfer, way=DiskWay.VOLUME), ()
    decision = ways.decide(disk, own, below, mode=look.declared.storage, dest=look.dest_host)
    if decision.way is not DiskWay.COPIED:
        return transfer, decision.findings
    copied = replace(transfer, way=DiskWay.COPIED)
    against = [*decision.findings, *_not_mounted(look, disk, own)]
    if against:
        return copied, against
    try:
        _require_whole(disk, look)
        images = _images(disk, below, makers, guest_xml.layer_formats(look.definition.live_xml))
        _require_open(images[0], look.instance)
        return replace(copied, images=images), ()
    except ImageNotCopyableError as error:
        return copied, [_not_copyable(look, disk, error)]


def _require_whole(disk: DiskFacts, look: SourceLook) -> None:
    reason = guest_xml.not_as_in_file(look.definition.live_xml).get(disk.target)
    if reason:
        raise ImageNotCopyableError(path=disk.source, reason=reason)


def _require_open(image: DiskImage, instance: str) -> None:
    """What QEMU copies is the file that it has open; what is removed on the source afterwards is the one of that name."""
    if not {"device", "inode"} <= image.identity.keys():
        return
    opened = GATE.look(open_files, instance, timeout_s=LOOK_TIMEOUT_S, what=f"the QEMU of {instance}")
    named = int(image.identity["device"]), int(image.identity["inode"])
    if opened is not None and named not in opened:
        reason = "its QEMU has another file open than the one that is there by now"
        raise ImageNotCopyableError(path=image.path, reason=reason)


def _attached(look: SourceLook) -> frozenset[str]:
    """The disks that a host attaches: the dest does so before the guest comes, and nothing of them is copied."""
    volumes = joined(look.guest.volumes, look.declared.volumes)
    return frozenset(volume.target for volume in volumes if volume.is_host_attached)


def _images(
    disk: DiskFacts, below: Sequence[Sight], makers: Makers, formats: Mapping[tuple[str, str], str]
) -> tuple[DiskImage, ...]:
    """The disk's own and those below it, each in the format in which its QEMU reads it (`formats`).

    The one above it need not name that format; one that is made anew must, and a wrong one shows the guest another disk.
    """
    images = [_maker(makers, disk.type, disk.source).describe(disk)]
    for (kind, path), sight in zip(disk.layers, below, strict=True):
        if not images[-1].backing:
            reason = f"it stands on {path}, which its header does not name"
            raise ImageNotCopyableError(path=images[-1].path, reason=reason)
        format = formats.get((disk.target, path)) or images[-1].backing_format
        if not format:
            raise ImageNotCopyableError(path=path, reason="nobody names its format")
        images[-1] = replace(images[-1], backing_format=format)
        layer = DiskFacts(target=disk.target, type=kind, source=path, format=format)
        is_shared = sight.seen not in (Seen.ABSENT, Seen.OTHER)
        if not is_shared and kind != "file":
            reason = f"only files below a disk can be compared and copied, and it is of type {kind}"
            raise ImageNotCopyableError(path=path, reason=reason)
        images.append(replace(_maker(makers, kind, path).describe(layer), is_shared=is_shared))
    if images[-1].backing:
        reason = f"its header names {images[-1].backing} below it, which libvirt does not"
        raise ImageNotCopyableError(path=images[-1].path, reason=reason)
    return tuple(images)


def _maker(makers: Makers, kind: str, path: str) -> ImageMaker:
    maker = makers.get(kind)
    if maker is None:
        raise ImageNotCopyableError(path=path, reason=f"an image of type {kind} cannot be made anew")
    return maker


def _not_copyable(look: SourceLook, disk: DiskFacts, error: ImageNotCopyableError) -> Finding:
    dest, reason = look.dest_host, error.fields["reason"]
    if error.fields["path"] != disk.source:
        reason = f"of {error.fields['path']} below it: {reason}"
    return DISK_NOT_COPYABLE.finding(
        look.settings.host, disk=disk.target, path=disk.source, dest=dest, reason=reason
    )


def _not_mounted(look: SourceLook, disk: DiskFacts, own: Sight) -> Iterator[Finding]:
    """Whoever wants it copied off such storage all the same says so with --block-migrate."""
    if look.declared.storage is not StorageMode.AUTO or disk.type != "file":
        return
    file_system = disk_locks.file_system_of_path(disk.source)
    if file_system in NETWORKED:
        reason = f"{own.reason}, and on the source it is on {file_system}, which is made to be shared"
        yield STORAGE_NOT_SHARED.finding(
            look.dest_host,
            disk=disk.target,
            path=disk.source,
            directory=str(Path(disk.source).parent),
            reason=reason,
        )


class _Sights:
    """What is known of each image: by the dest's probes, read back here, and by what it says that it lacks."""

    def __init__(self, look: SourceLook) -> None:
        user = user_of(look.source, label=look.guest.dac_label)
        here = located_here(look.reach.probes, look.hypervisor)
        compared = probes.compare(here, dest=look.dest_host, user=user)
        self._look = look
        self._probed = {(probe.disk, probe.path) for probe in look.reach.probes}
        self._examined = {(target, path) for target, _, path, _ in look.reach.examined}
        self._absent = {(one.disk, one.path): one.reason for one in look.reach.absent}
        self._other = {
            (finding.evidence["disk"], finding.evidence["path"]): finding.evidence["reason"]
            for finding in compared
            if finding.code == STORAGE_NOT_SHARED.code
        }
        self.findings = tuple(finding for finding in compared if finding.code != STORAGE_NOT_SHARED.code)
        self._undecided = {
            (finding.evidence.get("disk"), finding.evidence.get("path")) for finding in self.findings
        }

    def of(self, part: Disk) -> Sight:
        key = part.target, part.path
        if key in self._other:
            return Sight(path=part.path, seen=Seen.OTHER, reason=self._other[key])
        if key in self._absent:
            return Sight(path=part.path, seen=Seen.ABSENT, reason=self._absent[key])
        is_shared = key in self._probed and key not in self._undecided
        return Sight(path=part.path, seen=Seen.SHARED if is_shared else Seen.UNKNOWN)

    def unproven(self) -> Iterator[Finding]:
        """The guest may have been given disks since the dest was asked: of those nothing is shown yet.

        Nor of the images below a disk, where the dest or a conductor is of a version that does not know them.
        """
        asked = self._probed | self._examined | self._absent.keys()
        for facts in self._look.guest.disks:
            for part in parts.shared_parts(facts):
                if (part.target, part.path) not in asked:
                    yield from storage.driver_for(part.type).unproven(part, dest=self._look.dest_host)
