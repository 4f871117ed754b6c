"""What is done once after an older copy of the database was put in place (rule 27), while no conductor runs.

The copy does not know what was commanded since. Hosts do: they obey nothing older than their ledgers. So every counter of
epochs jumps beyond whatever was issued meanwhile, and every open migration is judged anew, from both its hosts.
"""

from dataclasses import dataclass

from oslo_config import cfg
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import LimosaError
from common.states import Phase
from conductor import live_migration, saga
from conductor.app import connection
from conductor.db import audit, clock, instances, sagas
from conductor.db.engine import Database
from conductor.db.models import Conductor, Migration
from conductor.driver import chapter

MS_PER_S = 1000.0


class ConductorAtWorkError(LimosaError):
    message = (
        "Conductor {conductor} was heard {seconds} s ago: it would send commands that the copy takes for new."
    )
    hint = "Stop every conductor, wait {wait_s} s, and run this again before one is started."
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What was found in the copy, and changed."""

    instances: int
    migrations: tuple[str, ...]  # open ones


def restored(conf: cfg.ConfigOpts) -> Restoration:
    """One transaction. Raises ConductorAtWorkError, and ConfigurationError where SQLite's file is in use.

    To run it twice does no harm: the counters jump once more.
    """
    database = Database(connection(conf), max_retries=conf.database.max_retries, must_exist=True)
    try:
        return database.transact(lambda session: _restore(session, alone_s=conf.service_down_time))
    finally:
        database.close()


def _restore(session: Session, *, alone_s: float) -> Restoration:
    _refuse_beside_conductors(session, alone_s)
    count = instances.raise_epochs(session)
    open_ones = select(Migration.id).where(Migration.phase != Phase.DONE).order_by(Migration.id)
    migrations = tuple(session.scalars(open_ones))
    for migration in migrations:
        _judge_anew(session, migration)
    audit.note_by_hand(session, "restored", f"{count} instances, {len(migrations)} open migrations")
    return Restoration(instances=count, migrations=migrations)


def _refuse_beside_conductors(session: Session, alone_s: float) -> None:
    now_ms = clock.read_ms(session)
    for row in session.scalars(select(Conductor).order_by(Conductor.heard_at_ms.desc()).limit(1)):
        silent_s = (now_ms - row.heard_at_ms) / MS_PER_S
        if silent_s < alone_s:
            raise ConductorAtWorkError(
                conductor=row.name, seconds=round(max(0.0, silent_s)), wait_s=round(alone_s)
            )


def _judge_anew(session: Session, migration: str) -> None:
    """Its command is sent by the first conductor that starts, as every command that none has sent yet."""
    loaded = sagas.load(session, migration)
    event = saga.Restored()
    transition = saga.advance(loaded.saga, event, plan=live_migration.PLAN)
    sagas.save(session, loaded, transition.saga, chapter=chapter(loaded.saga, transition, event))
