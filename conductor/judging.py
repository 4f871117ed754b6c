"""An operator has a migration judged again, or says that one of its hosts is off (rules 18 and 24)."""

from common.errors import HostIsHeardError, InvalidRequestError
from conductor.capacity import Limits, is_up
from conductor.db import hosts
from conductor.db.engine import Database
from conductor.driver import Driver
from conductor.saga import DeclaredDown, JudgeAgain, Saga


class Judging:
    """The way out of an alarm, and of waiting for a host that does not come back."""

    def __init__(self, database: Database, driver: Driver, *, limits: Limits) -> None:
        self._database = database
        self._driver = driver
        self._limits = limits

    def judge_again(self, migration: str) -> None:
        """After an alarm, ask both hosts anew. Changes nothing where there is no alarm."""
        self._driver.drive(migration, JudgeAgain())

    def declare_down(self, migration: str, host: str) -> None:
        """Take this host's silence for good: nothing of the guest runs there.

        Raises HostIsHeardError for a host whose agent is up, and InvalidRequestError for one that the migration does
        not concern. Whether the host is really off, nobody but the operator knows.
        """
        self._refuse_if_heard(host)

        def concerns(saga: Saga) -> bool:
            if host not in (saga.source, saga.dest):
                raise InvalidRequestError(
                    reason=f"Migration {migration} goes from {saga.source} to {saga.dest}; {host} has no part in it."
                )
            return True

        self._driver.drive(migration, DeclaredDown(host=host), only_if=concerns)

    def _refuse_if_heard(self, host: str) -> None:
        with self._database.reading() as session:
            status = hosts.read_hosts(session).get(host)
        if status is not None and is_up(status, self._limits):
            raise HostIsHeardError(host=host)
