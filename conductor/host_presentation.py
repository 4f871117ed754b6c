"""From a host's rows to what a client is shown of it (`common.views`); pure."""

from collections.abc import Iterable, Mapping, Sequence

from common.facts import HostFacts
from common.states import HostState, ResourceKind, ServiceStatus
from common.views import HostView, ResourceView
from conductor.capacity import MIB_PER_GIB, HostStatus, Limits, free_mib, is_up
from conductor.db.shares import Share
from conductor.presentation import version


def host_view(host: HostStatus, shares: Sequence[Share], *, limits: Limits) -> HostView:
    """`shares` are all of this host."""
    facts = host.facts
    guests = [share for share in shares if not share.is_claim_only]
    return HostView(
        name=host.name,
        status=ServiceStatus.ENABLED if host.disabled_reason is None else ServiceStatus.DISABLED,
        disabled_reason=host.disabled_reason,
        state=HostState.UP if is_up(host, limits) else HostState.DOWN,
        last_seen_s=host.heard_s,
        hypervisor_age_s=host.hypervisor_age_s,
        agent_version=host.version,
        hypervisor_type=None if facts is None else facts.hypervisor_type,
        hypervisor_version=None if facts is None else version(facts.hypervisor_version),
        libvirt_version=None if facts is None else version(facts.libvirt_version),
        cpu_model=None if facts is None else facts.cpu_model,
        cpu_arch=None if facts is None else facts.cpu_arch,
        vcpus_total=None if facts is None else facts.vcpus_total,
        vcpus_used=sum(share.vcpus for share in shares if share.is_taken),
        memory_total_mib=None if facts is None else facts.memory_total_mib,
        memory_used_mib=_memory_mib(share for share in guests if share.is_taken),
        memory_claimed_mib=_memory_mib(share for share in shares if share.is_claim_only),
        memory_free_mib=free_mib(host, limits),
        disk_total_gib=None if facts is None else _known(facts.disk_total_gib, facts),
        disk_free_gib=None if facts is None else _known(facts.disk_free_gib, facts),
        disk_claimed_gib=_gib(share.claimed_disk_mib for share in shares),
        instances=len(guests),
        guests=tuple(share.name for share in guests),
    )


def resource_views(
    host: HostStatus, shares: Sequence[Share], disks_gib: Mapping[str, int]
) -> tuple[ResourceView, ...]:
    """Three sums, named as Nova names them, and a row a guest. Claims count as taken, and are shown.

    `disks_gib` are the virtual sizes of each guest's disks: what they may come to take. What they take now, only the
    host's file system knows; of a claim, what it holds for disks that are copied is shown.
    """
    facts = host.facts
    taken = [share for share in shares if share.is_taken]
    disks = {share.instance: _disk_gib(share, disks_gib) for share in shares}
    claimed_gib = _gib(share.claimed_disk_mib for share in shares)
    return (
        _sum(
            host.name,
            ResourceKind.TOTAL,
            cpu=None if facts is None else facts.vcpus_total,
            memory_mib=None if facts is None else facts.memory_total_mib,
            disk_gib=None if facts is None else _known(facts.disk_total_gib, facts),
        ),
        _sum(
            host.name,
            ResourceKind.USED_NOW,
            cpu=_vcpus(taken),
            memory_mib=_memory_mib(taken),
            disk_gib=None
            if facts is None
            else _known(facts.disk_total_gib - facts.disk_free_gib + claimed_gib, facts),
        ),
        _sum(
            host.name,
            ResourceKind.USED_MAX,
            cpu=_vcpus(shares),
            memory_mib=_memory_mib(shares),
            disk_gib=sum(disk_gib or 0 for disk_gib in disks.values()),
        ),
        *(_row(host.name, share, disks[share.instance]) for share in shares),
    )


def _sum(
    host: str, kind: ResourceKind, *, cpu: int | None, memory_mib: int | None, disk_gib: int | None
) -> ResourceView:
    return ResourceView(
        host=host,
        instance=f"({kind.value.replace('-', '_')})",
        kind=kind,
        instance_uuid=None,
        power_state=None,
        migration=None,
        cpu=cpu,
        memory_mib=memory_mib,
        disk_gib=disk_gib,
    )


def _row(host: str, share: Share, disk_gib: int | None) -> ResourceView:
    return ResourceView(
        host=host,
        instance=share.name,
        kind=ResourceKind.CLAIM if share.is_claim_only else ResourceKind.INSTANCE,
        instance_uuid=share.instance,
        power_state=share.power_state,
        migration=share.migration,
        cpu=share.vcpus,
        memory_mib=share.memory_mib,
        disk_gib=disk_gib,
    )


def _known(disk_gib: int, facts: HostFacts) -> int | None:
    """None where the agent could not look at its file system: its zeros say nothing then."""
    return disk_gib if facts.disk_total_gib else None


def _disk_gib(share: Share, disks_gib: Mapping[str, int]) -> int | None:
    """None: not known. Of a guest that is to come, only what is copied."""
    return _gib((share.claimed_disk_mib,)) if share.is_claim_only else disks_gib.get(share.instance)


def _gib(sizes_mib: Iterable[int]) -> int:
    """Rounded up: what is shown never promises room that is taken."""
    return -(-sum(sizes_mib) // MIB_PER_GIB)


def _vcpus(shares: Iterable[Share]) -> int:
    return sum(share.vcpus for share in shares)


def _memory_mib(shares: Iterable[Share]) -> int:
    return sum(share.memory_mib for share in shares)
