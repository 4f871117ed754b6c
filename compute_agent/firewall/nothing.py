"""The driver none: a host that filters nobody, and therefore takes nobody who is to be filtered."""

from collections.abc import Iterable, Sequence

from common.facts import InterfaceFacts
from common.filtering import FilteringInForce
from common.transfer import Filtering, InterfaceChange
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guests import FilteredGuest

NO_DRIVER = "[firewall]driver is none, so nobody is filtered there"


class NoFirewall:
    """See `driver.FirewallDriver`."""

    name = "none"

    def refuse_unfit(self, guest: FilteredGuest) -> None:  # noqa: ARG002
        return

    def apply(self, guests: Sequence[FilteredGuest]) -> None:
        """Rules that were asked for and are not there must not be taken for rules."""
        if any(guest.ports for guest in guests):
            raise FirewallError(driver=self.name, reason=NO_DRIVER)

    def in_force(self, instance: str) -> FilteringInForce:  # noqa: ARG002
        return FilteringInForce(driver=self.name)

    def problems(self, filtering: Filtering) -> Iterable[str]:  # noqa: ARG002
        return (NO_DRIVER,)

    def changes(
        self,
        guest: FilteredGuest,  # noqa: ARG002
        interfaces: Iterable[InterfaceFacts],  # noqa: ARG002
    ) -> tuple[InterfaceChange, ...]:
        return ()
