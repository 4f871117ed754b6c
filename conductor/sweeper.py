"""Look at every open migration again and again: resend what is not answered, and say when time has passed (rule 4).

Every conductor does this for all of them. Times only say when to send or to ask again; they decide nothing (rule 9 of
the design). A conductor that starts has sent nothing yet, and therefore resends at once.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select

from common import log
from common.states import Phase
from conductor import live_migration
from conductor.db import clock, sagas
from conductor.db.engine import Database
from conductor.db.models import Migration, ProgressRow
from conductor.driver import Driver
from conductor.saga import Saga, TimePassed
from conductor.sender import Sender

SWEEP_MAX = 500  # migrations in one sweep; the next one goes on behind them
MS_PER_S = 1000.0

LOG = logging.getLogger(__name__)


class Due(StrEnum):
    """What an open migration needs now."""

    NOTHING = "nothing"
    RESEND = "resend"
    TIME_PASSED = "time-passed"


_MOVED_BY_TIME = (
    Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE, Phase.LIVE, Phase.WATCH, Phase.RESUME_SOURCE,
)  # fmt: skip
"""Here time leads on, to a rollback or a question. Elsewhere it only raises an alarm, and that once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The options that say how long to wait."""

    resend_interval_s: float
    check_timeout_s: float
    pre_timeout_s: float
    silence_timeout_s: float

    def of(self, phase: Phase) -> float:
        """How long the command of this phase may stay unanswered, or, with a job, unheard of."""
        if phase in (Phase.CHECK_DEST, Phase.CHECK_SOURCE):
            return self.check_timeout_s
        if phase is Phase.PRE:
            return self.pre_timeout_s
        return self.silence_timeout_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One open migration: how long its command has been current, sent and, if its job is told of, heard."""

    saga: Saga
    issued_s: float
    sent_s: float | None  # None: never by this conductor
    heard_s: float | None  # progress of the current command; None: none yet


def due(waiting: Waiting, patience: Patience) -> Due:
    """Pure: what to do about it now."""
    saga = waiting.saga
    if live_migration.command(saga) is None:
        return Due.NOTHING  # an alarm: an operator comes next
    has_job = saga.phase in (Phase.LIVE, Phase.WATCH)
    quiet_s = waiting.issued_s
    if has_job and waiting.heard_s is not None:
        quiet_s = min(quiet_s, waiting.heard_s)
    is_told = saga.needs_operator and saga.phase not in _MOVED_BY_TIME
    if quiet_s >= patience.of(saga.phase) and not is_told:
        return Due.TIME_PASSED
    if has_job and waiting.heard_s is not None and waiting.heard_s < patience.resend_interval_s:
        return Due.NOTHING  # its agent works on it: nothing was lost
    if waiting.sent_s is None or waiting.sent_s >= patience.resend_interval_s:
        return Due.RESEND
    return Due.NOTHING


class Sweeper:
    """Call `sweep` every sweep_interval."""

    def __init__(self, database: Database, driver: Driver, sender: Sender, *, patience: Patience) -> None:
        self._database = database
        self._driver = driver
        self._sender = sender
        self._patience = patience
        self._swept_to = ""  # id of the last migration of a sweep that had to stop at its bound

    def sweep(self) -> None:
        """One look; an error with one migration does not keep the others from theirs."""
        for waiting in self._read():
            with log.fields(migration=waiting.saga.migration, instance=waiting.saga.instance):
                try:
                    self._handle(waiting)
                except Exception:
                    LOG.exception("this migration could not be swept")

    def _handle(self, waiting: Waiting) -> None:
        saga = waiting.saga
        match due(waiting, self._patience):
            case Due.TIME_PASSED:
                seconds = self._patience.of(saga.phase)
                self._driver.drive(
                    saga.migration, TimePassed(seconds=seconds), only_if=lambda now: now.epoch == saga.epoch
                )
            case Due.RESEND:
                command = live_migration.command(saga)
                if command is not None:
                    self._sender.send(command)
            case Due.NOTHING:
                pass

    def _read(self) -> list[Waiting]:
        with self._database.reading() as session:
            now_ms = clock.read_ms(session)
            rows = session.execute(
                select(Migration, ProgressRow)
                .outerjoin(
                    ProgressRow,
                    (ProgressRow.migration == Migration.id) & (ProgressRow.epoch == Migration.epoch),
                )
                .where(Migration.phase != Phase.DONE, Migration.id > self._swept_to)
                .order_by(Migration.id)
                .limit(SWEEP_MAX)
            ).all()
        self._swept_to = rows[-1][0].id if len(rows) == SWEEP_MAX else ""
        return [self._waiting(row, progress, now_ms) for row, progress in rows]

    def _waiting(self, row: Migration, progress: ProgressRow | None, now_ms: int) -> Waiting:
        return Waiting(
            saga=sagas.saga_of(row),
            issued_s=(now_ms - row.epoch_at_ms) / MS_PER_S,
            sent_s=self._sender.seconds_since_sent(row.id, row.epoch),
            heard_s=None if progress is None else (now_ms - progress.heard_at_ms) / MS_PER_S,
        )
