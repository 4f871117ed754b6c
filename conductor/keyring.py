"""Whose word counts at a conductor: the keys that are registered in its database, looked up at each message."""

from sqlalchemy.orm import Session

from common.identity import (
    KeyExpiredError,
    KeyRevokedError,
    KeyUnknownError,
    Kind,
    Principal,
    PublicKey,
)
from conductor.db import clock
from conductor.db.engine import Database
from conductor.db.models import Administrator, HostKey
from conductor.presentation import iso


class RegisteredKeys:
    """See `common.identity.Keyring`. A key that is revoked proves nothing from the commit on."""

    def __init__(self, database: Database, own: PublicKey) -> None:
        self._database = database
        self._own = own

    def key_of(self, principal: Principal) -> PublicKey:
        if principal.kind is Kind.CONDUCTOR:
            return self._own
        with self._database.reading() as session:
            pem = (
                _host_key(session, principal)
                if principal.kind is Kind.HOST
                else _administrator_key(session, principal)
            )
        return PublicKey.from_pem(pem, path=f"the key of {principal}")


def _host_key(session: Session, principal: Principal) -> str:
    row = session.get(HostKey, principal.name)
    if row is None:
        raise KeyUnknownError(signer=principal)
    return row.public_key


def _administrator_key(session: Session, principal: Principal) -> str:
    row = session.get(Administrator, principal.name)
    if row is None:
        raise KeyUnknownError(signer=principal)
    if row.revoked_at_ms is not None:
        raise KeyRevokedError(signer=principal, at=iso(row.revoked_at_ms))
    if row.expires_at_ms is not None and row.expires_at_ms <= clock.read_ms(session):
        raise KeyExpiredError(signer=principal, at=iso(row.expires_at_ms))
    return row.public_key
