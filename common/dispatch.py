"""From a message to a method and back: what both ends of a call agree on, without a bus.

A payload is JSON: {"arguments": [...]} there, {"result": ...} or {"error": {code, fields, findings}} back.
"""

import inspect
import json
import logging
import time
import typing
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from common import log
from common.checks import Finding
from common.context import Context
from common.envelope import Envelope, Interface, check_fit, open_envelope, seal, unseal
from common.errors import LimosaError, NotPermittedError, OutcomeUnknownError
from common.identity import Identity, Keyring, Kind, NotProvenError
from common.wire import WireError, from_primitive, to_primitive

TEXT_MAX_CHARS = 300  # of what a reply repeats of its message
CALL_KEY = "is_call"  # beside the message: whether anybody waits for a reply
_EXPOSED = "_limosa_exposed"
_BUG = "%s from %s failed (%s)"

LOG = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class InternalError(OutcomeUnknownError):
    """A bug at the other end; its log has the traceback."""

    message = "Internal error in {service}: its log has the reason, under {request_id}."
    hint = "Please report it, with that part of the log."


class MethodUnknownError(LimosaError):
    """The peer is older than we are."""

    message = "{service} {version} has no method {method}."
    hint = "Run the same version of Limosa on all hosts."


class MessageExpiredError(NotProvenError):
    """Held up on its way, or kept by somebody who sends it again: what still matters has been sent anew since."""

    message = "{method} from {signer} was {age} when {service} read it, and was dropped."
    hint = "Either nobody read the queue for so long, or the clocks of the hosts disagree."
    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFailure:
    """A LimosaError on its way to the caller."""

    code: str
    fields: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


Answer = dict[str, Any]
"""What goes back: {"result": ...} or {"error": ...}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message whose sender is proven, on its way to a method that exists."""

    context: Context
    method: str
    arguments: tuple[Any, ...]
    payload: str  # the arguments as they were signed


class Guard(Protocol):
    """Stands before the methods of an endpoint, and says who may call them."""

    def answer(self, request: Request, carry_out: Callable[[], Answer]) -> Answer:
        """Carry it out and return what comes of it, or raise NotPermittedError."""

    def rejected(self, envelope: Envelope, error: LimosaError) -> None:
        """Take note of a message that was dropped because its sender is not proven."""


class ObeyConductors:
    """The guard of a compute agent."""

    def answer(self, request: Request, carry_out: Callable[[], Answer]) -> Answer:
        if request.context.signer.kind is not Kind.CONDUCTOR:
            raise NotPermittedError(signer=request.context.signer, what="command a compute agent")
        return carry_out()

    def rejected(self, envelope: Envelope, error: LimosaError) -> None:
        """The log has it."""


def exposed(method: F) -> F:
    """Mark a method of an endpoint as callable over the bus."""
    setattr(method, _EXPOSED, True)
    return method


def refuse_if_old(envelope: Envelope, max_age_s: float, *, reader: str) -> None:
    """Raise MessageExpiredError. Nor is a message from the future taken: it could be sent again for too long."""
    age_s = time.time() - envelope.sent_at
    if abs(age_s) > max_age_s:
        raise MessageExpiredError(
            method=f"{envelope.method:.80}",
            signer=envelope.signer,
            age=f"{age_s:.0f} s old" if age_s > 0 else f"dated {-age_s:.3g} s into the future",
            service=reader,
        )


def encode_arguments(arguments: tuple[object, ...]) -> str:
    return json.dumps({"arguments": [to_primitive(argument) for argument in arguments]})


def decode_reply(envelope: Envelope, interface: Interface, kind: type[T]) -> T:
    """The result that a reply carries; raises the LimosaError that it carries instead."""
    reply = _loads(envelope)
    is_newer = envelope.is_newer_than(interface)
    if "error" in reply:
        failure = from_primitive(RemoteFailure, reply["error"], ignore_unknown=True)
        raise LimosaError.by_code(failure.code, fields=failure.fields, findings=failure.findings)
    return from_primitive(kind, reply.get("result"), ignore_unknown=is_newer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Method:
    """An exposed method, with the types of its arguments and of what it returns."""

    function: Callable[..., Any]
    kinds: tuple[Any, ...]
    required: int  # how many of the arguments have no default
    reply: Any


class Dispatcher:
    """Receives sealed messages for one endpoint. The bus sees its single method `receive`."""

    def __init__(
        self,
        interface: Interface,
        endpoint: object,
        *,
        identity: Identity,
        keyring: Keyring,
        guard: Guard,
        message_max_age_s: float,
        sent: Counter[str],
    ) -> None:
        self._interface = interface
        self._identity = identity
        self._name = str(identity.principal)
        self._keyring = keyring
        self._guard = guard
        self._message_max_age_s = message_max_age_s
        self._sent = sent
        self._methods = _methods_of(endpoint)

    def receive(self, bus_context: dict[str, Any], sealed: object) -> dict[str, Any]:
        """Run the method; the sealed reply, which the bus drops after a cast.

        Never raises: the bus would send its own rendering of our exceptions, outside of the envelope.
        """
        envelope: Envelope | None = None
        try:
            envelope = open_envelope(sealed)
            answer = self._answer(envelope, self._proven(envelope, sealed))
        except LimosaError as error:
            what = f"{envelope.method:.80}" if envelope is not None else "a message"
            LOG.warning("%s was dropped: %s %s", what, error, error.advice)
            answer = _failure(error)
        except Exception:
            LOG.exception("a message could not be judged, and was dropped")
            answer = _failure(InternalError(service=self._name, request_id="no request id"))
        return self._reply(envelope, answer, is_call=bool(bus_context.get(CALL_KEY)))

    def _reply(self, envelope: Envelope | None, answer: Answer, *, is_call: bool) -> dict[str, Any]:
        """The answer, sealed so that it answers nothing but this message: of a stranger's, nobody else believes it."""
        if envelope is None:
            return seal(
                json.dumps(answer), identity=self._identity, audience="", interface=self._interface, method=""
            )
        if is_call and envelope.method in self._methods:
            self._sent[f"{envelope.method} reply"] += 1
        return seal(
            json.dumps(answer),
            identity=self._identity,
            audience=envelope.signer[:TEXT_MAX_CHARS],
            interface=self._interface,
            method=envelope.method[:TEXT_MAX_CHARS],
            request_id=envelope.request_id,
            in_reply_to=envelope.signature[:TEXT_MAX_CHARS],
        )

    def _proven(self, envelope: Envelope, sealed: object) -> Context:
        """Who sent it, now and to us; raises NotProvenError, or WireError for who speaks another language."""
        try:
            _, signer = unseal(sealed, keyring=self._keyring, audience=self._interface.topic)
            refuse_if_old(envelope, self._message_max_age_s, reader=self._name)
        except NotProvenError as error:
            self._guard.rejected(envelope, error)
            raise
        check_fit(envelope, self._interface)
        return Context(signer=signer, request_id=envelope.request_id, sent_at=envelope.sent_at)

    def _answer(self, envelope: Envelope, context: Context) -> Answer:
        try:
            with log.fields(request=envelope.request_id):
                request, method = self._request(envelope, context)
                return self._guard.answer(request, lambda: self._carry_out(request, method))
        except LimosaError as error:
            LOG.info("%s from %s: %s", envelope.method, envelope.signer, error)
            return _failure(error)
        except Exception:
            LOG.exception(_BUG, envelope.method, envelope.signer, envelope.request_id)
            return self._internal_error(envelope.request_id)

    def _carry_out(self, request: Request, method: "_Method") -> Answer:
        """The method's result or failure: what a guard may keep and give again."""
        try:
            result = method.function(request.context, *request.arguments)
            return {"result": to_primitive(result, method.reply)}
        except LimosaError as error:
            LOG.info("%s from %s: %s", request.method, request.context.signer, error)
            return _failure(error)
        except Exception:
            LOG.exception(_BUG, request.method, request.context.signer, request.context.request_id)
            return self._internal_error(request.context.request_id)

    def _internal_error(self, request_id: str) -> Answer:
        return _failure(InternalError(service=self._name, request_id=request_id))

    def _request(self, envelope: Envelope, context: Context) -> "tuple[Request, _Method]":
        """The arguments as the method's types; raises MethodUnknownError, WireError."""
        method = self._methods.get(envelope.method)
        if method is None:
            raise MethodUnknownError(
                service=self._name, version=self._interface.version, method=f"{envelope.method:.80}"
            )
        given = _loads(envelope).get("arguments")
        is_newer = envelope.is_newer_than(self._interface)
        if not isinstance(given, list) or len(given) < method.required:
            raise WireError(path=envelope.method, reason=f"needs {method.required} arguments")
        if len(given) > len(method.kinds) and not is_newer:
            raise WireError(
                path=envelope.method, reason=f"takes {len(method.kinds)} arguments, got {len(given)}"
            )
        arguments = tuple(
            from_primitive(kind, data, ignore_unknown=is_newer)
            for kind, data in zip(method.kinds, given, strict=False)
        )
        request = Request(
            context=context, method=envelope.method, arguments=arguments, payload=envelope.payload
        )
        return request, method


def _failure(error: LimosaError) -> Answer:
    failure = RemoteFailure(code=type(error).__name__, fields=error.fields, findings=error.findings)
    return {"error": to_primitive(failure)}


def _loads(envelope: Envelope) -> dict[str, Any]:
    try:
        payload = json.loads(envelope.payload)
    except (ValueError, RecursionError) as error:
        raise WireError(path=f"{envelope.method:.80}", reason=f"not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise WireError(path=envelope.method, reason="not an object")
    return payload


def _methods_of(endpoint: object) -> dict[str, _Method]:
    return {
        name: _method(member)
        for name, member in inspect.getmembers(endpoint, inspect.ismethod)
        if hasattr(member, _EXPOSED)
    }


def _method(function: Callable[..., Any]) -> _Method:
    """Read the annotations, at start: a wrong one must not wait for its first message."""
    hints = typing.get_type_hints(function)
    context, *parameters = inspect.signature(function).parameters.values()
    if hints.get(context.name) is not Context:
        raise TypeError(f"{function.__qualname__}: the first argument must be a Context")
    return _Method(
        function=function,
        kinds=tuple(hints[parameter.name] for parameter in parameters),
        required=sum(parameter.default is inspect.Parameter.empty for parameter in parameters),
        reply=hints["return"],
    )
