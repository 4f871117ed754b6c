"""How a host asks to join: on a topic of its own, signed with its join code, since nobody knows its key yet."""

from dataclasses import dataclass

from common.broker_names import ENROLMENT_TOPIC
from common.envelope import Interface
from common.identity import NotProvenError
from common.rpc import Bus

INTERFACE = Interface(name="enrolment", topic=ENROLMENT_TOPIC)
JOIN_TIMEOUT_S = 15.0  # the conductor speaks with RabbitMQ's management meanwhile
JOIN_TRIES = 4  # the same host with the same key joins once, however often it asks


class CodeUnknownError(NotProvenError):
    message = "No join code was made for {host}, or it was withdrawn."
    hint = "`limosa-conductor host add {host}` makes one."


class CodeExpiredError(NotProvenError):
    message = "The join code of {host} has expired, at {at}."
    hint = "`limosa-conductor host add {host}` makes another one."


class CodeUsedError(NotProvenError):
    message = "The join code of {host} was used already, with another key, at {at}."
    hint = "If that was not you, remove the host at once: `limosa-conductor host remove {host}`; it makes another code "
    hint += "with `limosa-conductor host add {host} --replace`."


class KeyNotHeldError(NotProvenError):
    """Who knows a join code and a host's public key, which is no secret, is not that host."""

    message = "Who asks to join as {host} has not proven to hold the key that is to be registered."
    hint = "The compute agent there is of another version than the conductors, or somebody else has the code: if it was "
    hint += "not you, make another one with `limosa-conductor host add {host} --replace`."


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """Nothing in it is secret: keys and passwords stay on the host."""

    public_key: str  # PEM, of the host's agent
    certificate_request: str  # PEM
    password_hash: str  # of the host's own user of RabbitMQ
    proof: str  # `proven_text`, signed with the private half of `public_key`


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinGrant:
    broker_user: str
    certificate: str  # PEM
    authority: str  # PEM, the CA that has issued it


def proven_text(host: str, *, certificate_request: str, password_hash: str) -> bytes:
    """What the holder of the key asks for with it."""
    return f"limosa join\n{host}\n{certificate_request}\n{password_hash}".encode()


class EnrolmentAPI:
    """Speaks to a conductor, whichever has time."""

    def __init__(self, bus: Bus) -> None:
        self._client = bus.client(INTERFACE)

    def join(self, request: JoinRequest) -> JoinGrant:
        """Raises CodeUnknownError, CodeExpiredError, CodeUsedError, KeyNotHeldError, SignatureWrongError."""
        return self._client.call("join", request, kind=JoinGrant, timeout_s=JOIN_TIMEOUT_S, tries=JOIN_TRIES)
