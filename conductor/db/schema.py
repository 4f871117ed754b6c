"""Bring the schema up to date at service start: alembic's revisions, in conductor/db/alembic/versions."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

ALEMBIC_DIR = Path(__file__).parent / "alembic"


def upgrade(engine: Engine) -> None:
    """Apply all revisions that this database lacks; all or none (both SQLite and PostgreSQL undo DDL)."""
    config = Config()
    config.set_main_option("script_location", str(ALEMBIC_DIR).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
