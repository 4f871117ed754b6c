"""What of a guest stands in the way of its moving, asked of libvirt. All of it runs in native threads and only reads."""

from typing import Any

import libvirt

from common.states import PowerState
from compute_agent.hypervisor import guest, guest_xml
from compute_agent.hypervisor.looks import BlockJob, BlockJobKind, Obstacles

# By libvirt's numbers, virDomainBlockJobType (libvirt-domain.h of 9.0).
_BLOCK_JOB_KINDS = (
    BlockJobKind.UNKNOWN, BlockJobKind.PULL, BlockJobKind.COPY, BlockJobKind.COMMIT, BlockJobKind.ACTIVE_COMMIT,
    BlockJobKind.BACKUP,
)  # fmt: skip


def obstacles(domain: Any) -> Obstacles | None:
    """None while somebody else's call bars the way to its QEMU: asking for block jobs would wait for libvirt's 30 s."""
    if guest.is_occupied(domain):
        return None
    return Obstacles(
        has_managed_save=bool(domain.hasManagedSaveImage()),
        snapshots=tuple(snapshot.getName() for snapshot in domain.listAllSnapshots()),
        checkpoints=tuple(checkpoint.getName() for checkpoint in domain.listAllCheckpoints()),
        block_jobs=_block_jobs(domain),
    )


def _block_jobs(domain: Any) -> tuple[BlockJob, ...]:
    """QEMU is asked only about disks that have one; libvirt itself knows which."""
    if not domain.isActive():
        return ()
    facts = guest_xml.guest_facts(
        domain.XMLDesc(0), power_state=PowerState.UNKNOWN, is_persistent=False, has_autostart=False
    )
    jobs = [(disk.target, _block_job_type(domain, disk.target)) for disk in facts.disks]
    return tuple(BlockJob(disk=disk, kind=_kind(number)) for disk, number in jobs if number is not None)


def _block_job_type(domain: Any, target: str) -> int | None:
    try:
        found = domain.blockJobInfo(target)
    except libvirt.libvirtError as error:
        # A disk that is unplugged or a guest that ends while we look has no job any more.
        if error.get_error_code() in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_OPERATION_INVALID):
            return None
        raise
    return int(found["type"]) if found else None


def _kind(number: int) -> BlockJobKind:
    return _BLOCK_JOB_KINDS[number] if 0 <= number < len(_BLOCK_JOB_KINDS) else BlockJobKind.UNKNOWN
