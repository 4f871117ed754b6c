"""Register those who may ask for something, and revoke them."""

from sqlalchemy.orm import Session

from common import broker_passwords
from common.errors import InvalidRequestError, LastAdministratorError, LimosaError
from common.identity import PublicKey, refuse_bad_name
from common.states import Role
from common.views import (
    AdministratorRequest,
    AdministratorView,
    AuditFilter,
    AuditView,
    KeyState,
)
from conductor.broker_users import BrokerUsers
from conductor.db import audit, clock, enrolments, keys
from conductor.db.engine import Database
from conductor.db.models import Administrator
from conductor.lookup import refuse_bad_limit
from conductor.membership import NoBrokerUsersError
from conductor.presentation import iso

VALID_DAYS_MAX = 36_500
FAREWELL_S = 5.0  # for the answer to one who revokes his own key


class Administrators:
    """Who may ask, and who has asked."""

    def __init__(self, database: Database, users: BrokerUsers | None = None) -> None:
        """`users`: None where RabbitMQ's users are somebody else's."""
        self._database = database
        self._users = users

    def create(self, request: AdministratorRequest, *, by: str) -> AdministratorView:
        """Raises NameInvalidError, KeyFileError, InvalidRequestError, AdministratorExistsError, NoBrokerUsersError.

        And BrokerManagementError: nobody is registered then.
        """
        validate(request)
        if request.password_hash is not None and self._users is None:
            raise NoBrokerUsersError
        key = PublicKey.from_pem(request.public_key)

        def add(session: Session) -> tuple[AdministratorView, bool, int | None]:
            is_new = session.get(Administrator, request.name) is None
            row = keys.add_administrator(
                session,
                request.name,
                role=request.role,
                public_key=key.to_pem(),
                by=by,
                valid_days=request.valid_days,
            )
            return _view(row, clock.read_ms(session)), is_new, row.expires_at_ms

        view, is_new, until_ms = self._database.transact(add)
        if request.password_hash is not None and self._users is not None:
            try:
                self._users.admit_administrator(
                    request.name, password_hash=request.password_hash, until_ms=until_ms
                )
            except LimosaError:
                if is_new:
                    self._database.transact(lambda session: _forget(session, request.name))
                raise
        return view

    def list(self) -> tuple[AdministratorView, ...]:
        with self._database.reading() as session:
            now_ms = clock.read_ms(session)
            return tuple(_view(row, now_ms) for row in keys.list_administrators(session))

    def revoke(self, name: str) -> AdministratorView:
        """Raises AdministratorNotFoundError, LastAdministratorError. Revoked twice is revoked once."""

        def revoke(session: Session) -> AdministratorView:
            row = keys.get_administrator(session, name)
            now_ms = clock.read_ms(session)
            state = _state(row, now_ms)
            if state is KeyState.VALID and row.role is Role.ADMIN and keys.count_admins(session) == 1:
                raise LastAdministratorError(name=name)
            if row.revoked_at_ms is None:
                row.revoked_at_ms = now_ms
            enrolments.part_administrator(session, name, after_s=FAREWELL_S)
            return _view(row, now_ms)

        return self._database.transact(revoke)

    def audit(self, which: AuditFilter) -> tuple[AuditView, ...]:
        """Raises InvalidRequestError for a limit out of bounds."""
        refuse_bad_limit(which.limit)
        with self._database.reading() as session:
            return tuple(
                AuditView(
                    id=row.id,
                    at=iso(row.at_ms),
                    signer=row.signer,
                    method=row.method,
                    target=row.target,
                    result=row.result,
                    detail=row.detail,
                    request_id=row.request_id,
                )
                for row in audit.read(session, which)
            )


def validate(request: AdministratorRequest) -> None:
    refuse_bad_name(request.name)
    if request.password_hash is not None and not broker_passwords.is_hash(request.password_hash):
        raise InvalidRequestError(reason="What is to be a password's hash is none.")
    if request.valid_days is not None and not 0 < request.valid_days <= VALID_DAYS_MAX:
        raise InvalidRequestError(reason=f"A key may be valid for 1 to {VALID_DAYS_MAX} days.")


def _forget(session: Session, name: str) -> None:
    """One whom nobody has seen yet: the name is free again."""
    row = session.get(Administrator, name)
    if row is not None:
        session.delete(row)


def _state(row: Administrator, now_ms: int) -> KeyState:
    if row.revoked_at_ms is not None:
        return KeyState.REVOKED
    if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
        return KeyState.EXPIRED
    return KeyState.VALID


def _view(row: Administrator, now_ms: int) -> AdministratorView:
    return AdministratorView(
        name=row.name,
        role=row.role,
        state=_state(row, now_ms),
        created_at=iso(row.created_at_ms),
        created_by=row.created_by,
        expires_at=None if row.expires_at_ms is None else iso(row.expires_at_ms),
        revoked_at=None if row.revoked_at_ms is None else iso(row.revoked_at_ms),
    )
