"""Hosts join with a code, and everybody has a user of the broker, which goes with its owner."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.String(255)
BROKER_NAME = sa.String(300)


def upgrade() -> None:
    op.create_table(
        "join_codes",
        sa.Column("host", NAME, primary_key=True),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_at_ms", sa.BigInteger()),
        sa.Column("used_by", sa.Text()),
    )
    op.create_table(
        "broker_farewells",
        sa.Column("broker_user", BROKER_NAME, primary_key=True),
        sa.Column("queue", BROKER_NAME),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
    )
    with op.batch_alter_table("host_keys") as host_keys:
        host_keys.add_column(sa.Column("names", sa.Text()))
