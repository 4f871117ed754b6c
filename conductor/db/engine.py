"""Open the database, and the two ways to use it: `reading` and `transact`.

SQLite serves one conductor process: write-ahead log, every commit on disk before it returns (a cast may follow it: rule
27), and writers that take their turn before they begin. The statements themselves know no dialect.
"""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from common import log
from common.concurrency import sleep
from common.errors import ConfigurationError, ConflictError, LimosaError, describe_os_error
from conductor.db import schema

BUSY_TIMEOUT_MS = 5_000  # for a backup, or somebody's sqlite3 shell; our own writers queue on a lock
POOL_MAX_CONNECTIONS = 80
RETRY_S = 0.02  # before a transaction that collided is tried again

LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Database:
    """The conductor's database; one object for the process.

    `transactions` counts committed writing transactions, for tests and the bench.
    """

    def __init__(
        self,
        connection: str,
        *,
        max_retries: int = 10,
        beside_conductor: bool = False,
        must_exist: bool = False,
    ) -> None:
        """Open it and bring its schema up to date; raises ConfigurationError.

        `connection` is SQLAlchemy's URL, e.g. sqlite:////var/lib/limosa/limosa.sqlite. `beside_conductor`: for a short
        look or change while a conductor may be at work on it; the schema must be there, and stays as it is.
        """
        self.transactions = 0
        self._max_retries = max_retries
        url = _parsed(connection)
        self._engine = _engine(url)  # connects to nothing yet
        self._lock_fd: int | None = None
        # SQLite has one writer. Who waits for it here lets other threads of work run; inside SQLite, under
        # eventlet, nobody would.
        self._turn: AbstractContextManager[object] = nullcontext()
        if beside_conductor or must_exist:
            _refuse_if_missing(url)
        if url.get_backend_name() == "sqlite" and not beside_conductor:
            self._lock_fd = _lock_against_others(url)
            self._turn = threading.Lock()
        self._writing_engine = self._engine.execution_options(is_writing=True)
        _try_to_write(self._writing_engine)
        if not beside_conductor:
            schema.upgrade(self._writing_engine)
        elif not schema.is_current(self._engine):
            raise _unusable("its schema is not this version's; a conductor's start brings it up to date")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for looking: what it changed would not be kept."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    def transact(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction and commit; an exception undoes it. Keep it short, and send nothing inside.

        Done again, a bounded number of times, when somebody else was faster (ConflictError) or the database has
        undone it; `work` therefore changes nothing but the session.
        """
        for tries_left in range(self._max_retries, -1, -1):
            try:
                return self._transact(work)
            except (ConflictError, OperationalError, IntegrityError) as error:
                if not tries_left:
                    raise
                LOG.info("a transaction is tried again: %s", error)
            sleep(RETRY_S)
        raise AssertionError("unreachable: the last try returns or raises")

    def _transact(self, work: Callable[[Session], T]) -> T:
        with self._turn:
            with Session(self._writing_engine, expire_on_commit=False) as session, session.begin():
                result = work(session)
            self.transactions += 1
            return result

    def close(self) -> None:
        """Give back the connections and, for SQLite, the lock."""
        self._engine.dispose()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


class DatabaseError(LimosaError):
    message = "The database does not work as it should: {reason}."
    hint = "If a conductor was at work on it for long, try again."


@contextmanager
def told_as_errors() -> Iterator[None]:
    """For whoever is not a service: what the database's driver raises, as a sentence."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseError(reason=log.mask(str(error.orig))) from error


def _parsed(connection: str) -> URL:
    try:
        url = make_url(connection)
    except ArgumentError as error:
        raise _unusable(str(error)) from error
    except ValueError as error:
        raise _unusable("its port is no number") from error
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise _unusable("SQLite needs a file: what is decided must outlive us")
    return url


def _refuse_if_missing(url: URL) -> None:
    """SQLite would make an empty database of a path that is mistyped."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise _unusable(f"there is no {url.database}; `limosa-conductor bootstrap` makes it")


def _lock_against_others(url: URL) -> int:
    """Hold an exclusive lock beside the file for as long as the process lives.

    The directory must be there: one that is mistyped, or not mounted, would give an empty database.
    """
    path = Path(f"{url.database}.lock")
    try:
        lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        raise _unusable(f"the directory {path.parent} does not exist") from error
    except OSError as error:
        raise _unusable(describe_os_error(error)) from error
    file = Path(str(url.database))
    if os.geteuid() == 0 and file.exists() and file.stat().st_uid != 0:
        # By hand, on the conductor's database: it must be able to take the lock afterwards.
        os.fchown(lock_fd, file.stat().st_uid, file.stat().st_gid)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock_fd)
        reason = f"another conductor uses {url.database}; SQLite serves only one"
        raise _unusable(reason) from error
    return lock_fd


def _engine(url: URL) -> Engine:
    try:
        return (
            _sqlite_engine(url)
            if url.get_backend_name() == "sqlite"
            else create_engine(url, pool_pre_ping=True)
        )
    except ArgumentError as error:  # of a dialect that SQLAlchemy has not
        raise _unusable(str(error)) from error
    except ImportError as error:
        reason = f"the driver {error.name} is not installed; limosa[mysql] or limosa[postgresql] brings one"
        raise _unusable(reason) from error


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        pool_size=POOL_MAX_CONNECTIONS,
        max_overflow=0,
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _try_to_write(engine: Engine) -> None:
    """Raise ConfigurationError where no transaction can begin: no database, no permission, nobody there."""
    try:
        with engine.begin():
            pass
    except DBAPIError as error:
        raise _unusable(str(error.orig)) from error
    except sqlite3.Error as error:  # of _prepare_connection, which speaks to the driver itself
        raise _unusable(str(error)) from error


def _unusable(reason: str) -> ConfigurationError:
    return ConfigurationError(group="database", option="connection", reason=log.mask(reason))


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: see _begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """A writer takes SQLite's lock at once: a reader that turns writer later would fail with `database is locked`."""
    is_writing = connection.get_execution_options().get("is_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
