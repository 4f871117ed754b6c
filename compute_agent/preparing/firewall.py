"""The rules of a guest with security groups: on the dest before it can receive anything there, off the source afterwards.

A guest that was given no group is never met by this: nothing is made, changed or looked at for it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from common.firewall_checks import FIREWALL_UNFIT
from common.migration import DomainChanges
from common.transfer import Filtering
from compute_agent.firewall.guest_connections import PART
from compute_agent.firewall.host_firewall import HostFirewall
from compute_agent.firewall.nwfilter_xml import name_of
from compute_agent.preparing.arrivals import Item
from compute_agent.preparing.preparation import (
    Arrival,
    Departure,
    Preparation,
    Prepared,
    Released,
    Undoing,
)

RULES = "rules"

LOG = logging.getLogger(__name__)


class FirewallPreparation(Preparation):
    """See `preparation.Preparation`."""

    name: ClassVar[str] = PART

    def __init__(self, firewall: HostFirewall, *, host: str) -> None:
        self._firewall = firewall
        self._host = host

    def prepare(self, arrival: Arrival) -> Prepared:
        filtering = self._firewall.filtering_of(arrival.instance, arrival.declared.filtering)
        if not filtering.ports:
            return Prepared()
        problems = (
            *self._firewall.driver.problems(filtering),
            *_mixed(arrival, filtering, self._firewall.driver.name),
        )
        if problems:
            findings = tuple(
                FIREWALL_UNFIT.finding(self._host, instance=arrival.name, reason=problem)
                for problem in problems
            )
            return Prepared(findings=findings)
        arrival.record.write(Item(part=self.name, kind=RULES, name=arrival.instance))
        interfaces = self._firewall.expect(arrival.instance, filtering, arrival.plan.interfaces)
        return Prepared(changes=DomainChanges(interfaces=interfaces))

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        items = undoing.record.items(self.name)
        for item in items:
            with self._firewall.connections.undone(instance=item.name, migration=undoing.migration):
                self._firewall.forget(item.name)
                undoing.record.forget(item)
        return ("its firewall rules were removed",) if items else ()

    @contextmanager
    def accompany(self, departure: Departure) -> Iterator[None]:
        """Tell the dest of its connections: before the call, when the guest is paused, and after it."""
        with self._firewall.connections.told(
            instance=departure.instance,
            migration=departure.migration,
            declared=departure.declared.filtering,
        ):
            yield

    def complete(self, arrival: Arrival) -> tuple[str, ...]:
        """Meet it by the interfaces that it has now: a name that was kept, a bridge that is called otherwise here."""
        self._firewall.settle(arrival.instance)
        self._firewall.connections.has_come(instance=arrival.instance, migration=arrival.migration)
        return ()

    def release(self, departure: Departure) -> Released:
        self._firewall.connections.forget_departed(departure.instance, departure.declared.filtering)
        if not self._firewall.forget(departure.instance):
            return Released()
        return Released(sentences=("its firewall rules were released",))


def _mixed(arrival: Arrival, filtering: Filtering, driver: str) -> Iterator[str]:
    """Why what filters it on its source does not fit what filters here. By the source's last look: a report may be older."""
    macs = {port.mac.lower() for port in filtering.ports}
    for interface in arrival.plan.interfaces:
        has_filter = interface.nwfilter == name_of(interface.mac)
        if interface.mac.lower() in macs and has_filter != (driver == "nwfilter"):
            yield f"[firewall]driver there is {driver}, and its source's {'nwfilter' if has_filter else 'another'}"
            return
