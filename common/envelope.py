"""The envelope of every message: the one door through which all of them leave and enter.

`seal` and `unseal` are the only places that know how a message is made tamper-proof: the signature is made there and
checked there. In this version there is none yet, and `signer` is only a claim.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from common.context import Context
from common.wire import WireError, from_primitive, to_primitive


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Something that serves methods, and the topic where it is found.

    Majors must be equal. Within one major, methods and fields with defaults may be added: then the minor grows, and a
    peer with a smaller one ignores the fields that it does not know.
    """

    name: str
    topic: str
    major: int = 1
    minor: int = 0

    @property
    def version(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message, or one reply (it repeats method and request id of what it answers)."""

    signer: str
    request_id: str
    sent_at: float
    interface: str
    version: str
    method: str
    payload: str  # JSON; text, because a signature is made over bytes and not over a structure
    signature: str | None = None

    @property
    def context(self) -> Context:
        return Context(signer=self.signer, request_id=self.request_id, sent_at=self.sent_at)

    def is_newer_than(self, interface: Interface) -> bool:
        """Whether the sender may know fields that we do not."""
        return _minor(self.version) > interface.minor


def new_request_id() -> str:
    return "req-" + secrets.token_hex(16)


def seal(
    payload: str, *, signer: str, interface: Interface, method: str, request_id: str | None = None
) -> dict[str, Any]:
    """Make a message ready for the bus."""
    envelope = Envelope(
        signer=signer,
        request_id=request_id or new_request_id(),
        sent_at=time.time(),
        interface=interface.name,
        version=interface.version,
        method=method,
        payload=payload,
    )
    sealed: dict[str, Any] = to_primitive(envelope)
    return sealed


def unseal(sealed: object, *, interface: Interface) -> Envelope:
    """Open a message; raises WireError unless it is whole and meant for this interface."""
    # Tolerant of added fields: which version the rest has stands in the envelope itself.
    envelope = from_primitive(Envelope, sealed, ignore_unknown=True)
    if envelope.interface != interface.name:
        raise WireError(path="interface", reason=f"{envelope.interface} is not {interface.name}")
    if envelope.version.partition(".")[0] != str(interface.major):
        raise WireError(path="version", reason=f"{envelope.version} cannot talk to {interface.version}")
    return envelope


def _minor(version: str) -> int:
    minor = version.partition(".")[2]
    return int(minor) if minor.isascii() and minor.isdigit() else 0
