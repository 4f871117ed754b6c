"""Who may speak, who asked for what, which hosts take no new guests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(255)
WORD = sa.String(64)
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("hosts", sa.Column("disabled_reason", sa.Text(), nullable=True))
    op.add_column("migrations", sa.Column("request_id", NAME, nullable=True))
    op.create_index("migrations_by_request", "migrations", ["request_id"], unique=True)
    _create_host_keys()
    _create_administrators()
    _create_requests()
    _create_audit()


def _create_host_keys() -> None:
    op.create_table(
        "host_keys",
        sa.Column("host", NAME, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("added_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )


def _create_administrators() -> None:
    op.create_table(
        "administrators",
        sa.Column("name", NAME, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", NAME, nullable=False),
        sa.Column("signer", NAME, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("requests_by_age", "requests", ["at_ms"], unique=False)


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("signer", NAME, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("result", WORD, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("request_id", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
