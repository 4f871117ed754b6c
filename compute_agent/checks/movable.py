"""On the source: whether the guest is in a state in which it can be moved."""

from collections.abc import Iterator

from common import concurrency
from common.checks import CHECK_FAILED, INSTANCE_NOT_RUNNING, PAUSED_SINCE_ARRIVAL, Finding
from common.states import SourceSeen
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor.driver import JobKind
from compute_agent.qemu_process import was_begun_for_incoming

PROCESS_TIMEOUT_S = 5.0
_MOVABLE = (SourceSeen.RUNNING, SourceSeen.PAUSED_OTHER)


def check_movable(look: SourceLook) -> Iterator[Finding]:
    host, name, observed = look.settings.host, look.guest.name or look.instance, look.observed
    if observed.snapshot.job is not JobKind.NONE:
        return  # `jobs` tells of it, and while it lasts the state is the job's
    if observed.is_call_in_flight:
        # Of a call whose end nobody saw, and of every guest after the ledger was lost.
        drain = f"libvirt has answered for {look.settings.call_drain_s:.0f} s without a break"
        reason = f"an earlier migration of {name} may still begin, until {drain}"
        yield CHECK_FAILED.finding(host, reason=reason)
    elif observed.found not in _MOVABLE:
        yield INSTANCE_NOT_RUNNING.finding(host, instance=name, power_state=observed.found)
    elif observed.found is SourceSeen.PAUSED_OTHER and not _has_active_disks(look):
        # QEMU 7.2 dies on an assertion (block.c, bdrv_inactivate_recurse).
        yield PAUSED_SINCE_ARRIVAL.finding(host, instance=name)


def _has_active_disks(look: SourceLook) -> bool:
    """A QEMU that takes over a guest's state activates its disks when the guest runs; one that boots it, at once.

    libvirt says `paused (user)` of both. Where QEMU's process cannot be seen, nothing is staked on the guest.
    """
    if look.hypervisor.has_run(look.instance):
        return True
    begun_for = concurrency.call_blocking(was_begun_for_incoming, look.instance, timeout_s=PROCESS_TIMEOUT_S)
    return begun_for is False
