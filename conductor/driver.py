"""Drive a migration by one event: read its row, ask the pure engine, commit, and only then send (rule 2).

Any conductor may do this at any time. Should it die before the commit, nothing has happened; after the commit and
before the cast, the sweeper of any conductor sends the command that the row makes current.
"""

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy.orm import Session

from common import log
from common.errors import MigrationNotFoundError
from common.migration import Outcome, Progress
from conductor import announcements, claiming, live_migration, refreshing
from conductor import saga as engine
from conductor.announcements import Announcer
from conductor.capacity import Limits
from conductor.db import sagas
from conductor.db.engine import Database
from conductor.db.sagas import Chapter, Written
from conductor.news import News
from conductor.saga import Answered, Event, Saga, Transition
from conductor.sender import Sender

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What an event has led to, committed, and not yet told to anybody. `written` is None where nothing changed."""

    before: Saga
    transition: Transition
    written: Written | None = None
    progress: Progress | None = None  # of one that has ended: the last figures of its job
    to_refresh: AbstractSet[str] = frozenset()  # hosts that are to ask for the rules of their guests


class Driver:
    """Advances migrations; the only writer of their rows, once they are accepted."""

    def __init__(
        self, database: Database, sender: Sender, news: News, announcer: Announcer, *, limits: Limits
    ) -> None:
        self._database = database
        self._sender = sender
        self._news = news
        self._announcer = announcer
        self._limits = limits

    def drive(self, migration: str, event: Event, *, only_if: Callable[[Saga], bool] | None = None) -> Driven:
        """Commit what follows from the event, and send what it brings.

        `only_if` sees the row in the same transaction: False leaves it as it is, and so does raising. Raises
        MigrationNotFoundError, and TransitionError for an event that no rule knows.
        """
        driven = self._database.transact(lambda session: self._advance(session, migration, event, only_if))
        self.tell(driven)
        return driven

    def answer(self, outcome: Outcome) -> None:
        """Take an agent's outcome; one that is not the current command's is dropped, and acknowledged (rule 3)."""
        with log.fields(migration=outcome.migration, instance=outcome.instance, host=outcome.host):
            self._answer(outcome)

    def _answer(self, outcome: Outcome) -> None:
        try:
            driven = self.drive(
                outcome.migration, Answered(outcome=outcome), only_if=lambda saga: _was_asked(saga, outcome)
            )
        except MigrationNotFoundError:
            LOG.warning("%s answers %s of a migration that no row knows", outcome.host, outcome.verb)
        else:
            if engine.is_current(driven.before, outcome) and _was_asked(driven.before, outcome):
                return
            LOG.info("a late %s of %s is dropped, epoch %d", outcome.verb, outcome.host, outcome.epoch)
        self._sender.acknowledge(outcome.host, instance=outcome.instance, epoch=outcome.epoch)

    def tell(self, driven: Driven) -> None:
        """Send and show what is committed. All of it may be lost: the sweeper, and whoever polls, make up for it."""
        before, transition = driven.before, driven.transition
        saga = transition.saga
        if not transition.changes(before):
            return
        with log.fields(migration=saga.migration, instance=saga.instance):
            self._tell(driven)

    def _tell(self, driven: Driven) -> None:
        before, transition = driven.before, driven.transition
        saga = transition.saga
        command = live_migration.command(saga)
        if command is not None and transition.has_command(before):
            self._sender.send(command)
        for host in dict.fromkeys(transition.acknowledge):
            self._sender.acknowledge(host, instance=saga.instance, epoch=saga.epoch)
        if not saga.is_open:
            self._sender.forget(saga.migration)
        self._sender.refresh_filtering(driven.to_refresh)
        self._news.publish(saga.migration)
        if driven.written is not None:
            self._announcer.announce(
                announcements.of_migration(before, transition, driven.written, progress=driven.progress)
            )
        for sentence in transition.story:
            LOG.log(logging.WARNING if saga.needs_operator else logging.INFO, "%s", sentence)

    def _advance(
        self, session: Session, migration: str, event: Event, only_if: Callable[[Saga], bool] | None
    ) -> Driven:
        loaded = sagas.load(session, migration)
        before = loaded.saga
        if only_if is not None and not only_if(before):
            return Driven(before=before, transition=Transition(saga=before))
        transition = engine.advance(before, event, plan=live_migration.PLAN)
        if not transition.changes(before):
            return Driven(before=before, transition=transition)
        transition = claiming.follow(session, before, transition, limits=self._limits)
        saga = transition.saga
        written = sagas.save(session, loaded, saga, chapter=chapter(before, transition, event))
        if isinstance(event, Answered):
            sagas.close_progress(session, event.outcome)
        progress = None if saga.is_open else sagas.last_progress(session, saga.migration)
        to_refresh = refreshing.hosts_by_migration(session, before, saga)
        return Driven(
            before=before, transition=transition, written=written, progress=progress, to_refresh=to_refresh
        )


def _was_asked(saga: Saga, outcome: Outcome) -> bool:
    """Whether the current command is for the host that answers: no other host has a say in it."""
    command = live_migration.command(saga)
    return command is None or command.host == outcome.host


def chapter(before: Saga, transition: Transition, event: Event | None = None) -> Chapter:
    """The lines that a change adds to the story of its migration."""
    saga = transition.saga
    outcome = event.outcome if isinstance(event, Answered) else None
    is_answered = outcome is not None and (not saga.is_open or saga.epoch > before.epoch)
    command = live_migration.command(saga)
    last_host = outcome.host if outcome is not None else saga.home
    return Chapter(
        sentences=transition.story,
        host=command.host if command is not None else last_host,
        seconds_on_host=outcome.seconds if outcome is not None and is_answered else None,
    )
