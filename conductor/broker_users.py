"""Who has a user of RabbitMQ: hosts, those that join, administrators. The database says who is to go."""

import logging

from sqlalchemy.orm import Session

from common import broker_names, broker_rights
from common.identity import Kind, Principal
from conductor.broker_management import BrokerManagementError, Management
from conductor.db import enrolments
from conductor.db.engine import Database
from conductor.db.enrolment_models import Farewell

LOG = logging.getLogger(__name__)


class BrokerUsers:
    """Every method may be repeated; raises BrokerManagementError."""

    def __init__(self, database: Database, management: Management, *, control_exchange: str) -> None:
        self._database = database
        self._management = management
        self._control_exchange = control_exchange

    def admit_joining(self, host: str, *, password_hash: str) -> None:
        """Let it ask to join, and nothing else."""
        rights = broker_rights.of_joining(host, control_exchange=self._control_exchange)
        user = broker_names.joining_user(host)
        self._management.create_user(user, password_hash=password_hash, rights=rights)

    def admit_host(self, host: str, *, password_hash: str) -> str:
        """Its user's name."""
        rights = broker_rights.of_host(host, control_exchange=self._control_exchange)
        return self._admit(Principal(kind=Kind.HOST, name=host), password_hash, rights)

    def admit_administrator(self, name: str, *, password_hash: str, until_ms: int | None = None) -> str:
        """His user's name; it is to go when his key expires."""
        rights = broker_rights.of_administrator(name, control_exchange=self._control_exchange)
        principal = Principal(kind=Kind.ADMINISTRATOR, name=name)
        return self._admit(principal, password_hash, rights, until_ms=until_ms)

    def tidy(self) -> None:
        """Remove those whose time has come; one whom RabbitMQ keeps is tried again at the next time."""
        with self._database.reading() as session:
            due = enrolments.due(session)
        failures = []
        for row in due:
            try:
                self._remove(row)
            except BrokerManagementError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _admit(
        self,
        principal: Principal,
        password_hash: str,
        rights: broker_rights.Rights,
        *,
        until_ms: int | None = None,
    ) -> str:
        """When it is to go is known before it is there."""
        user = broker_names.user_of(principal)
        self._database.transact(lambda session: enrolments.keep(session, user, until_ms=until_ms))
        self._management.create_user(user, password_hash=password_hash, rights=rights)
        return user

    def _remove(self, row: Farewell) -> None:
        with self._database.reading() as session:
            if not _is_still_due(session, row):
                return
        self._management.delete_user(row.broker_user)
        self._management.close_connections(row.broker_user)
        if row.queue is not None:
            self._management.delete_queue(row.queue)
        self._database.transact(lambda session: _forget(session, row))
        LOG.info("the broker's user %s is removed", row.broker_user)


def _is_still_due(session: Session, row: Farewell) -> bool:
    """Unless somebody of that name has come back, or come and gone, while others were removed."""
    found = session.get(Farewell, row.broker_user)
    return found is not None and found.due_at_ms == row.due_at_ms


def _forget(session: Session, row: Farewell) -> None:
    if _is_still_due(session, row):
        session.delete(session.get_one(Farewell, row.broker_user))
