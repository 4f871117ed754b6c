"""Migrations as rows: the saga is read, compared and swapped, and its story is told here and nowhere else."""

import json
from dataclasses import dataclass, replace

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from common.errors import MigrationNotFoundError
from common.migration import Outcome, Progress
from common.states import MigrationStatus, Phase
from common.wire import from_primitive, to_primitive
from conductor.db import clock, instances
from conductor.db.models import Instance, Journal, Migration, ProgressRow
from conductor.db.swap import swap
from conductor.saga import Saga

OVERTAKEN_MAX_MS = 5_000  # by how much one progress message may overtake another


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A saga as it was read, and the version to compare when it is written."""

    saga: Saga
    version: int
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the database adds to a saga that is written: the row's new version, and its times."""

    version: int
    at_ms: int
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What one change adds to the story: `host` is whom the now current command is for."""

    sentences: tuple[str, ...]
    host: str
    seconds_on_host: float | None = None  # of the command that was answered


def load(session: Session, migration: str) -> Loaded:
    """Read the row together with its instance's counter and host; raises MigrationNotFoundError."""
    found = session.execute(
        select(Migration, Instance)
        .join(Instance, Instance.uuid == Migration.instance)
        .where(Migration.id == migration)
    ).first()
    if found is None:
        raise MigrationNotFoundError(migration=migration)
    row, instance = found
    saga = saga_of(row)
    if saga.is_open:
        saga = replace(saga, instance_epoch=instance.epoch, home=instance.host)
    return Loaded(saga=saga, version=row.version, created_at_ms=row.created_at_ms)


def saga_of(row: Migration) -> Saga:
    return from_primitive(Saga, json.loads(row.saga))


def begun_by(session: Session, request_id: str) -> str | None:
    """The migration that this request has begun."""
    return session.scalars(select(Migration.id).where(Migration.request_id == request_id)).first()


def create(
    session: Session,
    saga: Saga,
    *,
    requested_dest: str | None,
    request_id: str | None = None,
    epoch_before: int,
    chapter: Chapter,
) -> Written:
    """Write a migration that begins; its instance has been taken for it."""
    now_ms = clock.read_ms(session)
    session.execute(
        insert(Migration).values(
            id=saga.migration,
            instance=saga.instance,
            version=1,
            source=saga.source,
            requested_dest=requested_dest,
            request_id=request_id,
            created_at_ms=now_ms,
            epoch_at_ms=now_ms,
            **_columns(saga, now_ms),
        )
    )
    _move_instance(session, saga, epoch_before)
    _tell(session, saga, chapter, now_ms)
    return Written(version=1, at_ms=now_ms, created_at_ms=now_ms)


def save(session: Session, before: Loaded, saga: Saga, *, chapter: Chapter) -> Written:
    """Compare and swap (rule 2); raises ConflictError if somebody else has advanced the row or the instance."""
    now_ms = clock.read_ms(session)
    values = _columns(saga, now_ms)
    if saga.epoch != before.saga.epoch:
        values["epoch_at_ms"] = now_ms
    if not saga.is_open:
        values["finished_at_ms"] = now_ms
    statement = (
        update(Migration)
        .where(Migration.id == saga.migration, Migration.version == before.version)
        .values(version=before.version + 1, **values)
    )
    swap(session, statement, what=f"migration {saga.migration}")
    _move_instance(session, saga, before.saga.instance_epoch)
    _tell(session, saga, chapter, now_ms)
    if not saga.is_open:
        clean_host = saga.source if saga.status is MigrationStatus.COMPLETED else None
        instances.free(session, saga.instance, clean_host=clean_host, now_ms=now_ms)
    return Written(version=before.version + 1, at_ms=now_ms, created_at_ms=before.created_at_ms)


def _columns(saga: Saga, now_ms: int) -> dict[str, object]:
    return {
        "phase": saga.phase,
        "status": saga.status,
        "epoch": saga.epoch,
        "dest": saga.dest,
        "saga": json.dumps(to_primitive(saga)),
        "updated_at_ms": now_ms,
    }


def _move_instance(session: Session, saga: Saga, epoch_before: int) -> None:
    instances.move(
        session,
        saga.instance,
        migration=saga.migration,
        epoch_before=epoch_before,
        epoch=saga.instance_epoch,
        host=saga.home,
    )


def _tell(session: Session, saga: Saga, chapter: Chapter, now_ms: int) -> None:
    seconds = [chapter.seconds_on_host, *[None] * (len(chapter.sentences) - 1)]  # told once
    lines = [
        {
            "migration": saga.migration,
            "at_ms": now_ms,
            "phase": saga.phase,
            "status": saga.status,
            "epoch": saga.epoch,
            "host": chapter.host,
            "seconds_on_host": on_host,
            "sentence": sentence,
        }
        for sentence, on_host in zip(chapter.sentences, seconds, strict=False)
    ]
    if lines:
        session.execute(insert(Journal), lines)


# ---- progress


def save_progress(session: Session, progress: Progress) -> bool:
    """Keep what a source tells of its job; False if it is not of the current command, or older than what is known.

    Only the source's own word counts: another host's would keep a lost command from being sent again.
    """
    current = session.execute(
        select(Migration.epoch).where(
            Migration.id == progress.migration,
            Migration.phase != Phase.DONE,
            Migration.source == progress.host,
        )
    ).scalar_one_or_none()
    if current != progress.epoch:
        return False
    now_ms = clock.read_ms(session)
    known = session.get(ProgressRow, progress.migration)
    is_overtaken = (
        known is not None
        and (known.epoch, known.sequence) >= (progress.epoch, progress.sequence)
        # An agent that was restarted counts anew.
        and now_ms - known.heard_at_ms < OVERTAKEN_MAX_MS
    )
    if is_overtaken:
        return False
    _keep_progress(session, progress, now_ms)
    return True


def close_progress(session: Session, outcome: Outcome) -> None:
    """The job has ended: its own last figures are what remains to be shown of it."""
    if outcome.statistics is None:
        return
    known = session.get(ProgressRow, outcome.migration)
    last = Progress(
        instance=outcome.instance,
        migration=outcome.migration,
        epoch=outcome.epoch,
        host=outcome.host,
        sequence=known.sequence + 1 if known is not None else 1,
        statistics=outcome.statistics,
    )
    _keep_progress(session, last, clock.read_ms(session))


def _keep_progress(session: Session, progress: Progress, now_ms: int) -> None:
    session.merge(
        ProgressRow(
            migration=progress.migration,
            epoch=progress.epoch,
            sequence=progress.sequence,
            heard_at_ms=now_ms,
            progress=json.dumps(to_primitive(progress)),
        )
    )


def last_progress(session: Session, migration: str) -> Progress | None:
    """What was told last of its job; of one that has ended, its own last figures."""
    row = session.get(ProgressRow, migration)
    return None if row is None else progress_of(row)


def progress_of(row: ProgressRow) -> Progress:
    return from_primitive(Progress, json.loads(row.progress))
