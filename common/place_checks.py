"""Findings about places on a host: room for disks that are copied, storage pools, and what the agent must write."""

from common.checks import Check

DISK_ROOM_SHORT = Check(
    code="disk_room_short",
    sentence="{instance} would copy {needed_mib} MiB to {place} on {host}, which has {free_mib} MiB free.",
    hint="Free space there, or choose another host. What guests that are on their way have still to write is taken off.",
    meaning="The virtual sizes of the disks that are copied, and images below them that are missing, do not fit where they "
    "would be made. With disk_allocation_ratio above 1 it only warns where what they take now fits.",
)
VOLUME_NOT_LOCATED = Check(
    code="volume_not_located",
    sentence="Volume {volume} of storage pool {pool}, which is disk {disk}, cannot be found for {host}: {reason}.",
    hint="`virsh pool-list --all` shows the pools of a host; each host needs an active one of that name.",
    meaning="A disk of type volume is found by a storage pool of the same name on both hosts, of type dir, fs, netfs, "
    "logical or zfs; a volume of another type of pool cannot be told from another.",
)
STATE_NOT_WRITABLE = Check(
    code="state_not_writable",
    sentence="The compute agent of {host} cannot write in {path}: {reason}.",
    hint="Give it back to the agent's user, make room, or mount it for writing: `ls -ld {path}; df -h {path}`",
    meaning="The ledger, permits and records of arrivals stand below state_path; a guest is not moved without them.",
)
