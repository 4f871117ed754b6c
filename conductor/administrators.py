"""Register those who may ask for something, and revoke them."""

from sqlalchemy.orm import Session

from common.errors import InvalidRequestError, LastAdministratorError
from common.identity import PublicKey, refuse_bad_name
from common.states import Role
from common.views import (
    AdministratorRequest,
    AdministratorView,
    AuditFilter,
    AuditView,
    KeyState,
)
from conductor.db import audit, clock, keys
from conductor.db.engine import Database
from conductor.db.models import Administrator
from conductor.lookup import refuse_bad_limit
from conductor.presentation import iso

VALID_DAYS_MAX = 36_500


class Administrators:
    """Who may ask, and who has asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, request: AdministratorRequest, *, by: str) -> AdministratorView:
        """Raises NameInvalidError, KeyFileError, InvalidRequestError, AdministratorExistsError."""
        validate(request)
        key = PublicKey.from_pem(request.public_key)

        def add(session: Session) -> AdministratorView:
            row = keys.add_administrator(
                session,
                request.name,
                role=request.role,
                public_key=key.to_pem(),
                by=by,
                valid_days=request.valid_days,
            )
            return _view(row, clock.read_ms(session))

        return self._database.transact(add)

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
    if request.valid_days is not None and not 0 < request.valid_days <= VALID_DAYS_MAX:
        raise InvalidRequestError(reason=f"A key may be valid for 1 to {VALID_DAYS_MAX} days.")


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
