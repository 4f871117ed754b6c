"""Bring the schema up to date at service start: alembic's revisions, in conductor/db/alembic/versions."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

ALEMBIC_DIR = Path(__file__).parent / "alembic"


def upgrade(engine: Engine) -> None:
    """Apply all revisions that this database lacks; all or none (both SQLite and PostgreSQL undo DDL)."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(engine: Engine) -> bool:
    """Whether this database has the schema of this version, no older and no newer one."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        found: str | None = MigrationContext.configure(connection).get_current_revision()
    return bool(found == newest)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ALEMBIC_DIR).replace("%", "%%"))
    return config
