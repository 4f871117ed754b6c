"""On the dest: what the host could really give now. How it is shared out among guests is the conductor's to count."""

from collections.abc import Iterator

from common.checks import MEMORY_SHORT, Finding
from compute_agent.checks.look import DestLook


def check_memory(look: DestLook) -> Iterator[Finding]:
    """A warning where the conductor's ratio lets guests have more than there is: then the host is meant to swap."""
    free_mib = look.hypervisor.memory_free_mib()
    if free_mib >= look.guest.memory_mib:
        return
    found = MEMORY_SHORT.warning if look.ram_allocation_ratio > 1.0 else MEMORY_SHORT.refusal
    yield found(
        look.settings.host,
        instance=look.guest.name,
        needed_mib=look.guest.memory_mib,
        free_mib=free_mib,
        total_mib=look.dest.memory_total_mib,
        ratio=look.ram_allocation_ratio,
        reserved_mib=0,
    )
