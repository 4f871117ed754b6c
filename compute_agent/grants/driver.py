"""What is asked of whoever decides which hosts reach a volume."""

from dataclasses import dataclass
from typing import Protocol

from common.errors import LimosaError
from common.volumes import VolumeConnection


class GrantError(LimosaError):
    """Whoever decides which hosts reach a volume has not done what it was asked for."""

    message = "it was not possible to {action} access to {volume}: {reason}"
    hint = "Look at [volumes]grants of this host, and at the volume's server."


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is to reach what, or no more."""

    host: str
    instance: str  # uuid: for whose sake
    volume: VolumeConnection
    initiator: str = ""  # as the target sees who comes; empty: it sees the guest, or only an address

    @property
    def name(self) -> str:
        """The same for all guests of a host that come by one and the same grant."""
        return f"{self.volume.driver}:{','.join(self.volume.servers)}/{self.volume.export}"


class GrantDriver(Protocol):
    """Its methods are called from ordinary threads, are bounded, may be repeated, and raise GrantError."""

    def concerns(self, access: Access) -> bool:
        """Whether it has anything to say about this one."""

    def grant(self, access: Access) -> bool:
        """Let it in. False: it was so before, and nothing was done."""

    def withdraw(self, access: Access) -> None:
        """Keep it out, and end what it has open. Nothing happens where it has no access."""


class NoGrants:
    """Nobody is asked."""

    def concerns(self, access: Access) -> bool:  # noqa: ARG002
        return False

    def grant(self, access: Access) -> bool:  # noqa: ARG002
        return False

    def withdraw(self, access: Access) -> None:
        pass
