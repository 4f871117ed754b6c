"""What clients ask for: read the rows, show them. Nothing here changes anything."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from common.concurrency import sleep
from common.errors import HostNotFoundError, InvalidRequestError, MigrationNotFoundError
from common.migration import Progress
from common.states import Phase
from common.views import HistoryView, InstanceView, JournalView, MigrationFilter, MigrationView, ServiceView
from conductor import presentation
from conductor.capacity import Limits
from conductor.db import clock, hosts, instances, sagas
from conductor.db.batches import batches
from conductor.db.engine import Database
from conductor.db.models import Conductor, Instance, Journal, Migration, ProgressRow
from conductor.news import News

LIST_MAX = 10_000  # rows in one answer
WATCH_MAX_S = 30.0  # however long a client wants to wait: its next call may go to another conductor
POLL_S = 1.0  # for changes that other conductors make
CROWDED_S = 0.5

_NEWEST_FIRST = (Migration.created_at_ms.desc(), Migration.id)


class Lookup:
    """The reading half of the conductor's endpoint."""

    def __init__(self, database: Database, news: News, *, limits: Limits) -> None:
        self._database = database
        self._news = news
        self._limits = limits

    def list_instances(self) -> tuple[InstanceView, ...]:
        """All that are present, by name."""
        with self._database.reading() as session:
            query = select(Instance).where(Instance.is_present).order_by(Instance.name, Instance.uuid)
            rows = session.scalars(query).all()
            conflicts = instances.conflicts(session, rows)
        return tuple(presentation.instance_view(row, conflicts.get(row.uuid, ())) for row in rows)

    def show_instance(self, name_or_uuid: str) -> InstanceView:
        with self._database.reading() as session:
            row = instances.find(session, name_or_uuid)
            return presentation.instance_view(row, instances.conflicts(session, [row]).get(row.uuid, ()))

    def list_services(self) -> tuple[ServiceView, ...]:
        """Conductors first, then agents, each by host."""
        with self._database.reading() as session:
            now_ms = clock.read_ms(session)
            conductors = session.scalars(select(Conductor).order_by(Conductor.name)).all()
            known = hosts.read_hosts(session)
            guests = instances.count_by_host(session)
        return (
            *(
                presentation.conductor_view(
                    row.name, max(0, now_ms - row.heard_at_ms) / presentation.MS_PER_S, limits=self._limits
                )
                for row in conductors
            ),
            *(
                presentation.agent_view(host, guests=guests.get(host.name, 0), limits=self._limits)
                for host in known.values()
            ),
        )

    def show_service(self, host: str) -> ServiceView:
        """One agent; raises HostNotFoundError."""
        with self._database.reading() as session:
            found = hosts.read_hosts(session).get(host)
            guests = instances.count_by_host(session)
        if found is None:
            raise HostNotFoundError(host=host)
        return presentation.agent_view(found, guests=guests.get(host, 0), limits=self._limits)

    def list_migrations(self, which: MigrationFilter) -> tuple[MigrationView, ...]:
        """The newest first.

        Raises InvalidRequestError for a limit out of bounds, InstanceNotFoundError, InstanceAmbiguousError.
        """
        refuse_bad_limit(which.limit)
        query = select(Migration).order_by(*_NEWEST_FIRST).limit(which.limit)
        with self._database.reading() as session:
            if which.instance is not None:
                instance = instances.find_ever(session, which.instance)
                query = query.where(Migration.instance == instance.uuid)
            if which.host is not None:
                query = query.where(or_(Migration.source == which.host, Migration.dest == which.host))
            if which.is_open is not None:
                is_done = Migration.phase == Phase.DONE
                query = query.where(~is_done if which.is_open else is_done)
            return _migration_views(session, session.scalars(query).all())

    def instance_history(self, name_or_uuid: str, *, limit: int) -> tuple[HistoryView, ...]:
        """The migrations of one instance that have ended, newest first; of one that is gone, too."""
        refuse_bad_limit(limit)
        with self._database.reading() as session:
            query = (
                select(Migration)
                .where(
                    Migration.instance == instances.find_ever(session, name_or_uuid).uuid,
                    Migration.phase == Phase.DONE,
                )
                .order_by(*_NEWEST_FIRST)
                .limit(limit)
            )
            rows = session.scalars(query).all()
            progress = _progress(session, [row.id for row in rows])
        return tuple(presentation.history_view(row, progress.get(row.id)) for row in rows)

    def show_migration(self, migration: str) -> MigrationView:
        with self._database.reading() as session:
            return _migration_views(session, [_get(session, migration)])[0]

    def migration_log(self, migration: str) -> tuple[JournalView, ...]:
        with self._database.reading() as session:
            created_at_ms = _get(session, migration).created_at_ms
            lines = _journals(session, [migration])[migration]
        return tuple(presentation.journal_view(line, created_at_ms=created_at_ms) for line in lines)

    def watch_migration(
        self, migration: str, *, after_version: int, after_progress: int, timeout_s: float
    ) -> MigrationView:
        """The migration, once its version or its progress is another than given, or after `timeout_s`."""
        deadline = time.monotonic() + min(max(timeout_s, 0.0), WATCH_MAX_S)
        with self._news.waiting(migration) as changed:
            while (left_s := deadline - time.monotonic()) > 0:
                if changed is None:  # too many wait: this client asks again, a little later
                    sleep(min(left_s, CROWDED_S))
                    break
                changed.clear()
                if self._is_news(migration, after_version, after_progress):
                    break
                changed.wait(min(left_s, POLL_S))
        return self.show_migration(migration)

    def _is_news(self, migration: str, after_version: int, after_progress: int) -> bool:
        query = (
            select(Migration.version, ProgressRow.sequence)
            .outerjoin(ProgressRow, ProgressRow.migration == Migration.id)
            .where(Migration.id == migration)
        )
        with self._database.reading() as session:
            found = session.execute(query).first()
        if found is None:
            raise MigrationNotFoundError(migration=migration)
        version, sequence = found
        return version != after_version or sequence not in (None, after_progress)


def refuse_bad_limit(limit: int) -> None:
    """Raise InvalidRequestError for a number of rows that no answer may have."""
    if not 0 < limit <= LIST_MAX:
        raise InvalidRequestError(reason=f"The limit must be between 1 and {LIST_MAX}.")


def _get(session: Session, migration: str) -> Migration:
    row = session.get(Migration, migration)
    if row is None:
        raise MigrationNotFoundError(migration=migration)
    return row


def _migration_views(session: Session, rows: Sequence[Migration]) -> tuple[MigrationView, ...]:
    ids = [row.id for row in rows]
    now_ms = clock.read_ms(session)
    journals = _journals(session, ids)
    progress = _progress(session, ids)
    return tuple(
        presentation.migration_view(
            row, journal=journals[row.id], progress=progress.get(row.id), now_ms=now_ms
        )
        for row in rows
    )


def _progress(session: Session, migrations: Sequence[str]) -> Mapping[str, Progress]:
    return {
        row.migration: sagas.progress_of(row)
        for part in batches(migrations)
        for row in session.scalars(select(ProgressRow).where(ProgressRow.migration.in_(part)))
    }


def _journals(session: Session, migrations: Sequence[str]) -> Mapping[str, Sequence[Journal]]:
    lines: defaultdict[str, list[Journal]] = defaultdict(list)
    for part in batches(migrations):
        query = select(Journal).where(Journal.migration.in_(part)).order_by(Journal.id)
        for line in session.scalars(query):
            lines[line.migration].append(line)
    return lines
