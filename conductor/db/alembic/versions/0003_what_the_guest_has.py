"""What a guest has with it: room for its disks in a claim, managed networks, and the rules of its interfaces."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.String(255)
WORD = sa.String(64)


def upgrade() -> None:
    with op.batch_alter_table("claims") as claims:
        claims.add_column(sa.Column("disk_mib", sa.BigInteger(), nullable=False, server_default="0"))
    _create_networks()
    _firewall()
    _create_volumes()


def _firewall() -> None:
    name, uuid, mac = sa.String(255), sa.String(36), sa.String(17)
    op.create_table(
        "security_groups",
        sa.Column("name", name, primary_key=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", name, nullable=False),
        sa.Column("request_id", name, nullable=False),
    )
    op.create_table(
        "security_group_rules",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("security_group", name, sa.ForeignKey("security_groups.name"), nullable=False),
        sa.Column("direction", sa.String(64), nullable=False),
        sa.Column("family", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("port_min", sa.Integer()),
        sa.Column("port_max", sa.Integer()),
        sa.Column("remote", sa.String(64)),
        sa.Column("remote_group", name, sa.ForeignKey("security_groups.name")),
        sa.Column("request_id", name, nullable=False),
    )
    op.create_index("rules_by_group", "security_group_rules", ["security_group"])
    op.create_index("rules_by_remote_group", "security_group_rules", ["remote_group"])
    op.create_table(
        "ports",
        sa.Column("instance", uuid, sa.ForeignKey("instances.uuid"), primary_key=True),
        sa.Column("mac", mac, primary_key=True),
        sa.Column("addresses", sa.Text(), nullable=False),
    )
    op.create_table(
        "port_groups",
        sa.Column("instance", uuid, primary_key=True),
        sa.Column("mac", mac, primary_key=True),
        sa.Column("security_group", name, sa.ForeignKey("security_groups.name"), primary_key=True),
        sa.ForeignKeyConstraint(["instance", "mac"], ["ports.instance", "ports.mac"]),
    )
    op.create_index("port_groups_by_group", "port_groups", ["security_group"])
    op.create_table(
        "filterings",
        sa.Column("instance", uuid, sa.ForeignKey("instances.uuid"), primary_key=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    clock = op.create_table(
        "filtering_clock",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(clock, [{"id": 1, "revision": 0}])


def _create_networks() -> None:
    op.add_column("hosts", sa.Column("vtep_address", NAME, nullable=True))
    op.create_table(
        "networks",
        sa.Column("name", NAME, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("bridge", NAME, nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("physical", NAME, nullable=False),
        sa.Column("multicast_group", NAME, nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("peers", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("networks_by_bridge", "networks", ["bridge"], unique=True)
    op.create_index("networks_by_segment", "networks", ["kind", "physical", "segment"], unique=True)
    op.create_table(
        "network_attachments",
        sa.Column("network", NAME, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.ForeignKeyConstraint(["network"], ["networks.name"]),
        sa.PrimaryKeyConstraint("network", "host"),
    )


def _create_volumes() -> None:
    op.create_table(
        "volumes",
        sa.Column("instance", sa.String(36), sa.ForeignKey("instances.uuid"), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("set_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("set_by", NAME, nullable=False),
        sa.PrimaryKeyConstraint("instance", "target"),
    )
