"""What verbs read from a guest's definition. Pure."""

from common.facts import GuestFacts
from common.migration import GuestTraits
from common.states import PowerState
from compute_agent.hypervisor import guest_xml
from compute_agent.hypervisor.driver import Definition


def traits_of(definition: Definition) -> GuestTraits:
    """What the dest must complete."""
    return GuestTraits(
        is_persistent=definition.is_persistent,
        has_autostart=definition.has_autostart,
        is_paused=definition.is_paused,
    )


def facts_of(definition: Definition) -> GuestFacts:
    """What the definition says of the guest; its power state is not in it."""
    return guest_xml.guest_facts(
        definition.live_xml,
        power_state=PowerState.UNKNOWN,
        is_persistent=definition.is_persistent,
        has_autostart=definition.has_autostart,
    )
