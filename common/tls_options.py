"""Options of the group [libvirt]: whether what a guest takes with it crosses the network encrypted."""

from oslo_config import cfg

from common.states import MemoryTls

TLS_OPTIONS = [
    cfg.StrOpt(
        "live_migration_tls",
        default=MemoryTls.AUTO.value,
        choices=[
            (
                MemoryTls.AUTO.value,
                "where both hosts have certificates; where one lacks them, a warning says so",
            ),
            (MemoryTls.REQUIRED.value, "always: no guest leaves this host where it cannot be"),
            (MemoryTls.OFF.value, "never, unless live_migration_flag has VIR_MIGRATE_TLS"),
        ],
        help="Whether the memory and the disks of a guest that leaves this host are encrypted (VIR_MIGRATE_TLS). "
        "Certificates that are there and do not work refuse the migration: it never falls back. Without effect "
        "on flag lists with VIR_MIGRATE_TUNNELLED, which go the way of the connection, and with VIR_MIGRATE_ZEROCOPY, which "
        "cannot be encrypted.",
    ),
]
