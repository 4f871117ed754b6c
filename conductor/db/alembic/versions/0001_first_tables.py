"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(255)
UUID = sa.String(36)
WORD = sa.String(64)
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_conductors()
    _create_hosts()
    _create_instances()
    _create_sightings()
    _create_migrations()
    _create_claims()
    _create_journal()
    _create_progress()


def _create_conductors() -> None:
    op.create_table(
        "conductors",
        sa.Column("name", NAME, nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("name", NAME, nullable=False),
        sa.Column("start_id", NAME, nullable=False),
        sa.Column("heartbeat_sequence", sa.BigInteger(), nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("hypervisor_age_s", sa.Float(), nullable=True),
        sa.Column("version", NAME, nullable=False),
        sa.Column("report_start_id", NAME, nullable=True),
        sa.Column("report_sequence", sa.BigInteger(), nullable=False),
        sa.Column("past_start_id", NAME, nullable=True),
        sa.Column("facts", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("is_present", sa.Boolean(), nullable=False),
        sa.Column("power_state", WORD, nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("task_state", WORD, nullable=True),
        sa.Column("migration", UUID, nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index("instances_by_host", "instances", ["host"], unique=False)
    op.create_index("instances_by_name", "instances", ["name"], unique=False)


def _create_sightings() -> None:
    op.create_table(
        "sightings",
        sa.Column("instance", UUID, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("power_state", WORD, nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "host"),
    )
    op.create_index("sightings_by_host", "sightings", ["host"], unique=False)


def _create_migrations() -> None:
    op.create_table(
        "migrations",
        sa.Column("id", UUID, nullable=False),
        sa.Column("instance", UUID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("phase", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("dest", NAME, nullable=False),
        sa.Column("requested_dest", NAME, nullable=True),
        sa.Column("saga", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["instance"], ["instances.uuid"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("migrations_by_age", "migrations", ["created_at_ms"], unique=False)
    op.create_index("migrations_by_instance", "migrations", ["instance", "created_at_ms"], unique=False)
    op.create_index("migrations_by_phase", "migrations", ["phase"], unique=False)


def _create_claims() -> None:
    op.create_table(
        "claims",
        sa.Column("migration", UUID, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("instance", UUID, nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["migration"], ["migrations.id"]),
        sa.PrimaryKeyConstraint("migration", "host"),
    )
    op.create_index("claims_by_host", "claims", ["host"], unique=False)


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("migration", UUID, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("phase", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("seconds_on_host", sa.Float(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["migration"], ["migrations.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("journal_by_migration", "journal", ["migration", "id"], unique=False)


def _create_progress() -> None:
    op.create_table(
        "progress",
        sa.Column("migration", UUID, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["migration"], ["migrations.id"]),
        sa.PrimaryKeyConstraint("migration"),
    )
