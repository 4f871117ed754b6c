"""What the agent's endpoint and the conductors' casts want of the firewall, whatever filters."""

from typing import Protocol

from common.connections import ConnectionBatch
from common.filtering import FilteringInForce


class Firewall(Protocol):
    """The rules of this host's guests. Who has them declared is the conductor (`ConductorAPI.filtering_of_host`)."""

    def refresh(self) -> None:
        """Ask the conductor for the rules of this host's guests soon, and apply what is newer; returns at once."""

    def show(self, instance: str) -> FilteringInForce:
        """What is in force of this guest, read where it is filtered; a guest that is unknown has nothing."""

    def take_connections(self, batch: ConnectionBatch) -> None:
        """Know the connections of a guest that is to come here, or has just come; others are not taken."""
