"""The revisions of the schema, and what alembic needs to apply them."""
