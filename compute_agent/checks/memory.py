"""On the dest: what the host could really give now. How it is shared out among guests is the conductor's to count."""

from collections.abc import Iterator

from common.checks import MEMORY_SHORT, Finding
from compute_agent.checks.look import DestLook


def check_memory(look: DestLook) -> Iterator[Finding]:
    free_mib = look.hypervisor.memory_free_mib()
    if free_mib < look.guest.memory_mib:
        yield MEMORY_SHORT.finding(
            look.settings.host,
            instance=look.guest.name,
            needed_mib=look.guest.memory_mib,
            free_mib=free_mib,
            total_mib=look.dest.memory_total_mib,
            ratio="1.0",
            reserved_mib=0,
        )
