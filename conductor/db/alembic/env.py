"""Alembic runs this: `conductor.db.schema` hands it the connection, inside a transaction that is already begun."""

from alembic import context

from conductor.db import (
    enrolment_models,  # noqa: F401 (its tables are to be known)
    firewall_models,  # noqa: F401 (its tables are to be known)
    network_models,  # noqa: F401 (its tables are to be known)
    volume_models,  # noqa: F401 (its tables are to be known)
)
from conductor.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
context.run_migrations()
