"""What a driver of the firewall does for its host. One file a driver; `registry` finds it by [firewall]driver."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from common.errors import LimosaError
from common.facts import InterfaceFacts
from common.filtering import FilteringInForce
from common.transfer import Filtering, InterfaceChange
from compute_agent.firewall.guests import FilteredGuest


class FirewallError(LimosaError):
    """The rules could not be put in force, or not be read; `reason` is the tool's."""

    message = "The firewall ({driver}) could not be changed: {reason}"
    hint = "See that the driver named in [firewall]driver works on that host."


class FirewallDriver(Protocol):
    """Every method is bounded in time and may be repeated; none touches what is filtered by somebody else."""

    name: str

    def refuse_unfit(self, guest: FilteredGuest) -> None:
        """Raise RuleUnfitError for a guest with something that cannot be made a rule."""

    def apply(self, guests: Sequence[FilteredGuest]) -> None:
        """Make these the filtered guests of this host, all others being free. In one step for each guest at least.

        Raises FirewallError; then what stood before stands.
        """

    def in_force(self, instance: str) -> FilteringInForce:
        """What is filtered of this guest, read where it is done. Raises FirewallError."""

    def problems(self, filtering: Filtering) -> Iterable[str]:
        """Why this host cannot filter such a guest at present, as sentences."""

    def changes(
        self, guest: FilteredGuest, interfaces: Iterable[InterfaceFacts]
    ) -> tuple[InterfaceChange, ...]:
        """What the XML of a guest that comes here must say so that its rules meet it from the first packet on."""
