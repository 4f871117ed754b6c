"""What a conductor answers those who join: an interface of its own, where nothing counts but a join code."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from common.context import Context
from common.dispatch import Answer, Request, exposed
from common.enrolment_api import CodeExpiredError, CodeUnknownError, JoinGrant, JoinRequest
from common.envelope import Envelope
from common.errors import LimosaError
from common.identity import KeyUnknownError, Kind, Principal, PublicKey
from common.states import AuditResult
from conductor.db import audit, clock
from conductor.db.engine import Database
from conductor.db.enrolment_models import JoinCode
from conductor.membership import Membership
from conductor.presentation import iso


class CodesKeys:
    """The keyring of this interface: a host is known by its code, whatever key it may have besides."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def key_of(self, principal: Principal) -> PublicKey:
        """Raises CodeUnknownError, CodeExpiredError. One that is used is judged by who has used it: `Membership.join`."""
        if principal.kind is not Kind.HOST:
            raise KeyUnknownError(signer=principal)
        with self._database.reading() as session:
            row = session.get(JoinCode, principal.name)
            if row is None:
                raise CodeUnknownError(host=principal.name)
            if row.expires_at_ms <= clock.read_ms(session):
                raise CodeExpiredError(host=principal.name, at=iso(row.expires_at_ms))
        return PublicKey.from_pem(row.public_key, path=f"the join code of {principal.name}")


class JoiningGate:
    """The guard: whoever has proven a code may join, and all of it is audited.

    A code is not guessed: its secret has 128 bits, and whoever tries must first have a user of RabbitMQ. What is refused
    is audited up to the bound that holds for all strangers.
    """

    def __init__(self, database: Database, *, rejected: Callable[[Envelope, LimosaError], None]) -> None:
        self._database = database
        self._rejected = rejected

    def answer(self, request: Request, carry_out: Callable[[], Answer]) -> Answer:
        answer = carry_out()
        self._database.transact(lambda session: _note(session, request, answer.get("error")))
        return answer

    def rejected(self, envelope: Envelope, error: LimosaError) -> None:
        self._rejected(envelope, error)


class EnrolmentEndpoint:
    """Exactly the names of `common.enrolment_api.EnrolmentAPI`."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    @exposed
    def join(self, context: Context, request: JoinRequest) -> JoinGrant:
        return self._membership.join(context.signer.name, request)


def _note(session: Session, request: Request, failure: dict[str, Any] | None) -> None:
    text = ""
    if failure is not None:
        text = str(LimosaError.by_code(failure["code"], fields=failure["fields"]))
    audit.note(
        session,
        signer=str(request.context.signer),
        method=request.method,
        target=request.context.signer.name,
        result=AuditResult.DONE if failure is None else AuditResult.FAILED,
        detail=text,
        request_id=request.context.request_id,
    )
