"""Hosts come, stay and go: what becomes of a join code, certificates that are renewed, and farewells.

To join is one deed in two places, database and RabbitMQ. The code is bound to the joiner's key first, so that of two who
have the same code one joins; the user of the broker comes next; the registration of the key is last, and is what counts.
"""

from collections.abc import Callable

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from common import broker_names, broker_passwords
from common.enrolment_api import (
    CodeUnknownError,
    CodeUsedError,
    JoinGrant,
    JoinRequest,
    KeyNotHeldError,
    proven_text,
)
from common.errors import InvalidRequestError, LimosaError
from common.identity import Kind, Principal, PublicKey
from common.membership_api import HostBusyError
from conductor.authority import Authority
from conductor.broker_users import BrokerUsers
from conductor.db import clock, enrolments, keys
from conductor.db.engine import Database
from conductor.db.enrolment_models import JoinCode
from conductor.db.models import HostKey, Migration
from conductor.host_names import names_for
from conductor.presentation import iso

FAREWELL_S = 30.0  # the answer goes through the queue of the user that is to be removed
CODE_FAREWELL_S = 600.0  # for a host that has not got its answer, and asks again
MIGRATIONS_SHOWN_MAX = 5


class NoBrokerUsersError(LimosaError):
    message = "This controller manages no users of RabbitMQ, and so can make none."
    hint = "`limosa-conductor broker-setup` on the broker's machine sets [broker]; until then hosts and administrators are "
    hint += "registered by their public keys alone (--public-key FILE)."
    exit_code = 2


class Membership:
    """Who belongs to us."""

    def __init__(
        self,
        database: Database,
        users: BrokerUsers | None,
        *,
        authority: Callable[[], Authority],
        own: PublicKey,
    ) -> None:
        """`users`: None where RabbitMQ's users are somebody else's. `authority` raises ConfigurationError."""
        self._database = database
        self._users = users
        self._authority = authority
        self._own = own

    def join(self, host: str, request: JoinRequest) -> JoinGrant:
        """Register the host whose code has proven it; asked again with the same key, it is the same.

        Raises CodeUnknownError, CodeUsedError, KeyNotHeldError, KeyFileError, KeyTakenError, CertificateError,
        ConfigurationError, InvalidRequestError, BrokerManagementError, and then nobody has joined.
        """
        if self._users is None:
            raise NoBrokerUsersError
        pem = self._validated(host, request)
        authority = self._authority()
        declared = self._database.transact(lambda session: _bind(session, host, pem))
        try:
            names = names_for(host, declared)
            certificate = authority.issue(request.certificate_request, names=names)
            user = self._users.admit_host(host, password_hash=request.password_hash)
            self._database.transact(lambda session: _register(session, host, pem))
        except LimosaError:
            self._database.transact(lambda session: _release(session, host, pem))
            raise
        return JoinGrant(broker_user=user, certificate=certificate, authority=authority.certificate_pem)

    def renew_certificate(self, host: str, request: str) -> str:
        """Raises CertificateError, ConfigurationError."""
        with self._database.reading() as session:
            row = session.get(HostKey, host)
            declared = () if row is None else keys.names_of(row)
        return self._authority().issue(request, names=names_for(host, declared))

    def leave(self, host: str) -> bool:
        """Raises HostBusyError, and then the host stays."""

        def leave(session: Session) -> None:
            _refuse_if_busy(session, host)
            forget(session, host, after_s=FAREWELL_S)

        self._database.transact(leave)
        return self._users is not None

    def _validated(self, host: str, request: JoinRequest) -> str:
        """The key. That it is held is proven for all that it asks for: else a used code would work for whoever has it."""
        if not broker_passwords.is_hash(request.password_hash):
            raise InvalidRequestError(reason="What is to be a password's hash is none.")
        key = PublicKey.from_pem(request.public_key)
        pem = key.to_pem()
        if pem == self._own.to_pem():
            raise InvalidRequestError(reason="That is the conductors' own key; a host makes one of its own.")
        proven = proven_text(
            host, certificate_request=request.certificate_request, password_hash=request.password_hash
        )
        if not key.has_signed(proven, request.proof):
            raise KeyNotHeldError(host=host)
        return pem


def forget(session: Session, host: str, *, after_s: float) -> bool:
    """Take back key and code; the users of the broker go later. Whether there was anything."""
    has_key = keys.remove_host(session, host)
    has_code = enrolments.withdraw_code(session, host)
    if has_key or has_code:  # who has only a code may have got as far as the user
        enrolments.part_host(session, host, after_s=after_s)
    return has_key or has_code


def _bind(session: Session, host: str, pem: str) -> tuple[str, ...]:
    """From now on the code is this key's; the names that were declared."""
    row = session.get(JoinCode, host)
    if row is None:
        raise CodeUnknownError(host=host)
    if row.used_by not in (None, pem):
        at_ms = row.used_at_ms if row.used_at_ms is not None else clock.read_ms(session)
        raise CodeUsedError(host=host, at=iso(at_ms))
    keys.refuse_if_taken(session, pem, name=host)  # before its user, who may be at work, has another password
    row.used_by = pem
    return enrolments.names_of(row)


def _register(session: Session, host: str, pem: str) -> None:
    row = session.get(JoinCode, host)
    if row is None or row.used_by != pem:  # withdrawn at this moment
        raise CodeUnknownError(host=host)
    keys.add_host(session, host, pem, names=enrolments.names_of(row))
    row.used_at_ms = clock.read_ms(session)
    enrolments.keep(session, broker_names.user_of(Principal(kind=Kind.HOST, name=host)))
    enrolments.part(session, broker_names.joining_user(host), after_s=CODE_FAREWELL_S)


def _release(session: Session, host: str, pem: str) -> None:
    """It was not used after all: its holder may try again, with another key, too."""
    row = session.get(JoinCode, host)
    if row is not None and row.used_by == pem and row.used_at_ms is None:
        row.used_by = None
    if session.get(HostKey, host) is None:  # its user may be there already
        enrolments.part_host(session, host, after_s=0)


def _refuse_if_busy(session: Session, host: str) -> None:
    query = select(Migration.id).where(
        Migration.finished_at_ms.is_(None), or_(Migration.source == host, Migration.dest == host)
    )
    found = session.scalars(query.limit(MIGRATIONS_SHOWN_MAX)).all()
    if found:
        raise HostBusyError(host=host, migrations=", ".join(found))
