"""Who may call which method of the conductor's endpoint, once it is proven who he is.

Hosts tell about themselves, and about nobody else. Administrators may what the policy allows; what changes something is
done once for each request id, and is audited, as is all that is refused.
"""

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from sqlalchemy.orm import Session

from common.concurrency import sleep
from common.dispatch import Answer, Request
from common.envelope import Envelope
from common.errors import (
    LimosaError,
    NotPermittedError,
    RequestAtWorkError,
    RequestReusedError,
)
from common.identity import Kind, Principal
from common.states import AuditResult, Role
from conductor.db import audit, keys, requests
from conductor.db.engine import Database
from conductor.policy import BY_METHOD, Policy, Rule

ANSWER_WAIT_S = (
    50.0  # for whoever carries out the same request: longer than any takes, shorter than a client waits
)
ANSWER_POLL_S = 0.1
KEPT_AGES = 3  # first answers are kept for this many times the age that a message may have, either way
# Refusals that are audited in one period: more would be somebody's way to fill the disk. One who sends many must not hide
# the others', nor may strangers hide what is refused to those who are known.
REJECTIONS_MAX = 60
REJECTIONS_OF_ONE_MAX = 10
REJECTIONS_PERIOD_S = 60.0
# Of a request; no key, no secret.
_TARGET_FIELDS = (
    "instance", "dest", "name", "role", "host", "valid_days", "group", "mac", "addresses", "groups", "direction", "family",
    "protocol", "port_min", "port_max", "icmp_type", "icmp_code", "remote", "remote_group", "kind", "segment",
    "bridge", "target", "driver", "servers",
)  # fmt: skip

LOG = logging.getLogger(__name__)

OF_HOSTS: Final[Mapping[str, Callable[[tuple[Any, ...]], str | None]]] = {
    "outcome": lambda arguments: arguments[0].host,
    "progress": lambda arguments: arguments[0].host,
    "report": lambda arguments: arguments[0].host,
    "heartbeat": lambda arguments: arguments[0].host,
    "ledger_floor": lambda arguments: arguments[0],
    "greet": lambda arguments: arguments[0],
    "renew_certificate": lambda arguments: arguments[0],
    "leave": lambda arguments: arguments[0],
    "networks_of_host": lambda arguments: arguments[0],
    "relay_connections": lambda arguments: arguments[0].host,
    "filtering_of_host": lambda arguments: arguments[0],
    "confirm_live_migration": lambda _arguments: (
        None
    ),  # its migration says whom it concerns: the endpoint looks
}
"""What agents tell, and the host that each message speaks for."""

AUDITED_OF_HOSTS: Final = frozenset({"leave", "renew_certificate"})  # what changes who belongs to us


class Gate:
    """The guard of the conductor's endpoint; see `common.dispatch.Guard`."""

    def __init__(self, database: Database, policy: Policy, *, message_max_age_s: float) -> None:
        self._database = database
        self._policy = policy
        self._keep_s = KEPT_AGES * message_max_age_s
        self._strangers = _Bound(REJECTIONS_MAX, of_one=REJECTIONS_OF_ONE_MAX, period_s=REJECTIONS_PERIOD_S)
        self._known = _Bound(REJECTIONS_MAX, of_one=REJECTIONS_OF_ONE_MAX, period_s=REJECTIONS_PERIOD_S)

    def answer(self, request: Request, carry_out: Callable[[], Answer]) -> Answer:
        signer = request.context.signer
        if signer.kind is Kind.HOST and request.method in OF_HOSTS:
            self._refuse_others_affairs(request)
            answer = carry_out()
            if request.method in AUDITED_OF_HOSTS:
                self._note_done(request, answer)
            return answer
        rule = BY_METHOD.get(request.method)
        if signer.kind is not Kind.ADMINISTRATOR or rule is None:
            raise self._not_permitted(request, f"call {request.method}")
        self._refuse_unless_permitted(request, rule)
        return self._once(request, carry_out) if rule.is_change else carry_out()

    def lacks(self, signer: Principal, method: str) -> Role | None:
        """The role of an administrator that does not let him call this method; None: he may."""
        with self._database.reading() as session:
            role = keys.get_administrator(session, signer.name).role
        return None if self._policy.permits(signer.name, role, BY_METHOD[method]) else role

    def rejected(self, envelope: Envelope, error: LimosaError) -> None:
        """Audit it, up to a bound: anybody who reaches the message bus can make these."""
        if not self._strangers.has_room(envelope.signer):
            return
        self._database.transact(
            lambda session: audit.note(
                session,
                signer=envelope.signer,
                method=envelope.method,
                target="",
                result=AuditResult.REJECTED,
                detail=str(error),
                request_id=envelope.request_id,
            )
        )

    def _refuse_others_affairs(self, request: Request) -> None:
        host = OF_HOSTS[request.method](request.arguments)
        if host not in (None, request.context.signer.name):
            raise self._not_permitted(request, f"speak for {host:.80}")

    def _refuse_unless_permitted(self, request: Request, rule: Rule) -> None:
        role = self.lacks(request.context.signer, rule.method)
        if role is not None:
            raise self._not_permitted(request, rule.what, why=f"the role is {role}")

    def _note_done(self, request: Request, answer: Answer) -> None:
        """That it was done, or has failed, about the host alone: a certificate's request is nothing for the audit."""
        about_host = replace(request, arguments=request.arguments[:1])
        result, detail = _outcome_of(answer)
        self._database.transact(lambda session: _note(session, about_host, result, detail=detail))

    def _not_permitted(self, request: Request, what: str, *, why: str = "") -> NotPermittedError:
        error = NotPermittedError(signer=request.context.signer, what=what, why=why)
        self._note_refusal(request, AuditResult.NOT_PERMITTED, str(error))
        return error

    def _note_refusal(self, request: Request, result: AuditResult, detail: str) -> None:
        if self._known.has_room(str(request.context.signer)):
            self._database.transact(lambda session: _note(session, request, result, detail=detail))

    def _once(self, request: Request, carry_out: Callable[[], Answer]) -> Answer:
        """Its first answer, given before, by somebody else at this moment, or now.

        The id is committed before the deed, and the answer with its line in the audit behind it. Should we die in
        between, whoever asks again waits, and then carries it out again: all of them may be, and `live_migrate` finds
        its own migration by the request's id.
        """
        deadline = time.monotonic() + ANSWER_WAIT_S
        while True:  # until there is an answer, or the request is ours
            known = self._begin(request)
            if known.answer is not None:
                LOG.info("%s is answered again (%s)", request.method, request.context.request_id)
                return _loads(known.answer)
            if known.is_ours:
                break
            if time.monotonic() >= deadline:
                raise RequestAtWorkError(request_id=request.context.request_id)
            sleep(ANSWER_POLL_S)
        answer = carry_out()
        return _loads(self._database.transact(lambda session: _keep(session, request, answer)))

    def _begin(self, request: Request) -> requests.Known:
        signer, request_id = str(request.context.signer), request.context.request_id
        digest = hashlib.sha256(f"{request.method}\n{request.payload}".encode()).hexdigest()
        try:
            return self._database.transact(
                lambda session: requests.begin(
                    session,
                    request_id,
                    signer=signer,
                    digest=digest,
                    keep_s=self._keep_s,
                    abandoned_s=ANSWER_WAIT_S,
                )
            )
        except RequestReusedError as error:
            self._note_refusal(request, AuditResult.REJECTED, str(error))
            raise


def _keep(session: Session, request: Request, answer: Answer) -> str:
    result, detail = _outcome_of(answer)
    _note(session, request, result, detail=detail)
    return requests.keep(session, request.context.request_id, json.dumps(answer))


def _outcome_of(answer: Answer) -> tuple[AuditResult, str]:
    error = answer.get("error")
    return (AuditResult.DONE, "") if error is None else (AuditResult.FAILED, _sentence(error))


def _note(session: Session, request: Request, result: AuditResult, *, detail: str) -> None:
    audit.note(
        session,
        signer=str(request.context.signer),
        method=request.method,
        target=_target(request.arguments),
        result=result,
        detail=detail,
        request_id=request.context.request_id,
    )


def _target(arguments: tuple[Any, ...]) -> str:
    """What a request is about, in a few words."""
    words = []
    for argument in arguments:
        if is_dataclass(argument):
            names = [field.name for field in fields(argument) if field.name in _TARGET_FIELDS]
            values = {name: getattr(argument, name) for name in names}
            words += [f"{name}={_word(value)}" for name, value in values.items() if value is not None]
        elif isinstance(argument, str | int | float):
            words.append(str(argument))
    return " ".join(words)


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _sentence(failure: Mapping[str, Any]) -> str:
    error = LimosaError.by_code(failure["code"], fields=failure["fields"])
    return str(error)


def _loads(answer: str) -> Answer:
    loaded: Answer = json.loads(answer)
    return loaded


class _Bound:
    """At most so many in each period, and at most so many of one."""

    def __init__(self, most: int, *, of_one: int, period_s: float) -> None:
        self._most = most
        self._of_one = of_one
        self._period_s = period_s
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._counts: Counter[str] = Counter()  # no more names than `most`

    def has_room(self, name: str) -> bool:
        """Whether one more of this name may be; counted then."""
        with self._lock:
            now = time.monotonic()
            if now - self._since > self._period_s:
                self._since = now
                self._counts.clear()
            if self._counts.total() >= self._most or self._counts[name] >= self._of_one:
                return False
            self._counts[name] += 1
            return True
