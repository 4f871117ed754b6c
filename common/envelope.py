"""The envelope of every message: the one door through which all of them leave and enter.

`seal` and `unseal` are the only places that know how a message is made tamper-proof: the signature is made there and
checked there, over everything that the envelope says. `audience` is for whom it is, a topic or the one who gets a reply,
so that no message can be carried to somebody else who would obey it, too.
"""

import json
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from common.identity import Identity, Keyring, Kind, NotProvenError, Principal, SignatureWrongError
from common.wire import WireError, from_primitive, to_primitive

PAYLOAD_MAX_CHARS = 8 * 1024 * 1024  # a full report of some thousand guests is far below
REQUEST_ID_MAX_CHARS = 64
MINOR_MAX_DIGITS = 6


class MisdirectedError(NotProvenError):
    """Somebody has taken a message out of one queue and put it into another."""

    message = "{method} of {signer} was meant for {audience}, not for us."


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Something that serves methods, and the topic where it is found.

    Majors must be equal. Within one major, methods and fields with defaults may be added: then the minor grows, and a
    peer with a smaller one ignores the fields that it does not know. `server` is who may answer there: a kind, and
    where each host has a topic of its own, that host.
    """

    name: str
    topic: str
    server: Kind = Kind.CONDUCTOR
    server_name: str | None = None
    major: int = 1
    minor: int = 0

    @property
    def version(self) -> str:
        return f"{self.major}.{self.minor}"

    def is_served_by(self, principal: Principal) -> bool:
        return principal.kind is self.server and self.server_name in (None, principal.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message, or one reply (it repeats method and request id of what it answers)."""

    signer: str
    audience: str
    request_id: str
    sent_at: float
    interface: str
    version: str
    method: str
    payload: str  # JSON; text, because a signature is made over bytes and not over a structure
    in_reply_to: str = ""  # of a reply: the signature of what it answers, so that it answers nothing else
    signature: str = ""

    def is_newer_than(self, interface: Interface) -> bool:
        """Whether the sender may know fields that we do not."""
        return _minor(self.version) > interface.minor

    def signed_text(self) -> bytes:
        """What the signature is made over: all that is said, in one unambiguous order."""
        fields = (
            self.signer, self.audience, self.request_id, self.sent_at, self.interface, self.version, self.method,
            self.payload, self.in_reply_to,
        )  # fmt: skip
        return json.dumps(fields).encode()


def new_request_id() -> str:
    return "req-" + secrets.token_hex(16)


def seal(
    payload: str,
    *,
    identity: Identity,
    audience: str,
    interface: Interface,
    method: str,
    request_id: str | None = None,
    in_reply_to: str = "",
) -> dict[str, Any]:
    """Make a message ready for the bus, signed now: each resend is sealed anew."""
    envelope = Envelope(
        signer=str(identity.principal),
        audience=audience,
        request_id=request_id or new_request_id(),
        sent_at=time.time(),
        interface=interface.name,
        version=interface.version,
        method=method,
        payload=payload,
        in_reply_to=in_reply_to,
    )
    sealed: dict[str, Any] = to_primitive(
        replace(envelope, signature=identity.key.sign(envelope.signed_text()))
    )
    return sealed


def open_envelope(sealed: object) -> Envelope:
    """What the message says, proven or not; raises WireError for rubbish."""
    # Tolerant of added fields: which version the rest has stands in the envelope itself.
    envelope = from_primitive(Envelope, sealed, ignore_unknown=True)
    if len(envelope.payload) > PAYLOAD_MAX_CHARS:
        raise WireError(path="payload", reason=f"more than {PAYLOAD_MAX_CHARS} characters")
    if not (0 < len(envelope.request_id) <= REQUEST_ID_MAX_CHARS and envelope.request_id.isprintable()):
        raise WireError(path="request_id", reason=f"not 1 to {REQUEST_ID_MAX_CHARS} printable characters")
    return envelope


def prove(envelope: Envelope, keyring: Keyring) -> Principal:
    """Who has signed it; raises NotProvenError."""
    principal = Principal.parse(envelope.signer)
    if not keyring.key_of(principal).has_signed(envelope.signed_text(), envelope.signature):
        raise SignatureWrongError(signer=principal)
    return principal


def unseal(sealed: object, *, keyring: Keyring, audience: str) -> tuple[Envelope, Principal]:
    """Open a message that is for `audience`, and say who has signed it; raises WireError or NotProvenError."""
    envelope = open_envelope(sealed)
    principal = prove(envelope, keyring)
    if envelope.audience != audience:
        raise MisdirectedError(
            signer=principal, method=f"{envelope.method:.80}", audience=f"{envelope.audience:.80}"
        )
    return envelope, principal


def check_fit(envelope: Envelope, interface: Interface) -> None:
    """Raise WireError unless the message is meant for this interface."""
    if envelope.interface != interface.name:
        raise WireError(path="interface", reason=f"{envelope.interface:.80} is not {interface.name}")
    if envelope.version.partition(".")[0] != str(interface.major):
        raise WireError(path="version", reason=f"{envelope.version:.20} cannot talk to {interface.version}")


def _minor(version: str) -> int:
    minor = version.partition(".")[2]
    return int(minor) if minor.isascii() and minor.isdigit() and len(minor) <= MINOR_MAX_DIGITS else 0
