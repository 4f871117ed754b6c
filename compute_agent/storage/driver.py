"""What the checks ask of a kind of storage."""

from dataclasses import dataclass
from typing import Protocol

from common.checks import Finding
from common.migration import DiskProbe


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk of the guest, or an image below it, as its source has it."""

    target: str  # vda
    type: str
    path: str  # empty: a drive without a medium
    device: str  # disk, cdrom, floppy, lun; or `parts.LAYER`
    place: str = ""  # of a volume of a storage pool: its path on this host
    place_type: str = ""  # and what it is there: file, block
    obstacle: str = ""  # or why it is nowhere, in a half-sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What the dest finds about one disk: reasons against it, and a probe to be written if it needs one.

    `absence`: it has nothing of that name, in a half-sentence. Then it is not shared, and may be copied.
    """

    findings: tuple[Finding, ...] = ()
    probe: DiskProbe | None = None
    absence: str = ""


class StorageDriver(Protocol):
    """Its methods run in native threads: they may block, and use nothing of ours that could wait."""

    def examine(self, disk: Disk, *, host: str, probe_id: str) -> Examined:
        """On the dest: whether it has this disk, and how the source can tell that it is the same one."""

    def write(self, probe: DiskProbe, *, host: str) -> tuple[Finding, ...]:
        """On the dest: write the probe that `examine` has named. Written twice is written once.

        Raises PermissionError: the agent may not, and perhaps QEMU's user may.
        """

    def compare(self, probe: DiskProbe, *, dest: str) -> tuple[Finding, ...]:
        """On the source: read the probe back; raises PermissionError likewise."""

    def unproven(self, disk: Disk, *, dest: str) -> tuple[Finding, ...]:
        """On the source: what speaks against a disk for which the dest has sent no probe."""
