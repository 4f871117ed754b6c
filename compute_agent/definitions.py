"""What verbs read from a guest's definition. Pure."""

from common.migration import GuestTraits
from common.states import PowerState
from compute_agent.hypervisor import guest_xml
from compute_agent.hypervisor.driver import Definition
from compute_agent.storage.driver import Disk


def traits_of(definition: Definition) -> GuestTraits:
    """What the dest must complete."""
    return GuestTraits(
        is_persistent=definition.is_persistent,
        has_autostart=definition.has_autostart,
        is_paused=definition.is_paused,
    )


def disks_of(definition: Definition) -> tuple[Disk, ...]:
    """The disks that the guest has now, drives without a medium included."""
    facts = guest_xml.guest_facts(
        definition.live_xml,
        power_state=PowerState.UNKNOWN,
        is_persistent=definition.is_persistent,
        has_autostart=definition.has_autostart,
    )
    return tuple(
        Disk(target=disk.target, type=disk.type, path=disk.source, device=disk.device) for disk in facts.disks
    )
