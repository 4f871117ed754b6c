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
    return _facts(definition, definition.live_xml)


def inactive_facts_of(definition: Definition) -> GuestFacts | None:
    """The same of what it will be from its next start on; None for a transient guest."""
    return None if definition.inactive_xml is None else _facts(definition, definition.inactive_xml)


def _facts(definition: Definition, xml: str) -> GuestFacts:
    return guest_xml.guest_facts(
        xml,
        power_state=PowerState.UNKNOWN,
        is_persistent=definition.is_persistent,
        has_autostart=definition.has_autostart,
    )
