"""On the source: what of the guest must be copied, connected or made on the dest. Made of what the checks have found.

A plan names every disk, whatever its way: before the call the guest is compared with it again, so that no disk that was
attached meanwhile is left behind.
"""

from collections.abc import Iterator

from common.facts import GuestFacts
from common.transfer import TransferPlan
from common.volumes import joined
from compute_agent.checks.look import SourceLook
from compute_agent.checks.storage import Ways


def plan_of(look: SourceLook, ways: Ways) -> TransferPlan:
    """The plan for a guest that all checks let go."""
    return TransferPlan(
        disks=ways.disks,
        volumes=joined(look.guest.volumes, look.declared.volumes),
        interfaces=look.guest.interfaces,
    )


def differences(guest: GuestFacts, plan: TransferPlan) -> Iterator[str]:
    """What has changed since the plan was made, as sentences."""
    planned = {(disk.target, disk.type, disk.source) for disk in plan.disks}
    found = {(disk.target, disk.type, disk.source) for disk in guest.disks}
    for target, _, source in sorted(found - planned):
        yield f"the guest has disk {target} ({source or 'empty'}), which was not there when it was checked"
    for target, _, source in sorted(planned - found):
        yield f"disk {target} ({source or 'empty'}), which was checked, is not there any more"
