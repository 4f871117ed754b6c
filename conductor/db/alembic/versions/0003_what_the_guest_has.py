"""What a guest has with it: room for its disks in a claim."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("claims") as claims:
        claims.add_column(sa.Column("disk_mib", sa.BigInteger(), nullable=False, server_default="0"))
