"""Bring the schema up to date at service start: alembic's revisions, in conductor/db/alembic/versions.

Alembic is read only where there is something to do: it would stay in a conductor's memory (11 MiB) for nothing.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect, text

from common.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

ALEMBIC_DIR: Final = Path(__file__).parent / "alembic"
_VERSION_TABLE: Final = "alembic_version"


def upgrade(engine: Engine) -> None:
    """Apply all revisions that this database lacks; all or none (both SQLite and PostgreSQL undo DDL).

    Raises ConfigurationError for a schema of a newer version.
    """
    if is_current(engine):
        return
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:  # of a revision that is not among ours: a newer version has been here
        reason = f"its schema cannot be brought up to date: {error}"
        raise ConfigurationError(group="database", option="connection", reason=reason) from error


def is_current(engine: Engine) -> bool:
    """Whether this database has the schema of this version, no older and no newer one."""
    with engine.connect() as connection:
        return _revision(connection) == newest_revision()


def newest_revision() -> str:
    """What alembic calls the head: revisions follow each other in the order of their files' names, 0002_what.py."""
    *_, newest = sorted((ALEMBIC_DIR / "versions").glob("[0-9]*_*.py"))
    return newest.name.partition("_")[0]


def _revision(connection: Connection) -> str | None:
    """The last revision that was applied; None: not even the first."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()
    return found


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ALEMBIC_DIR).replace("%", "%%"))
    return config
