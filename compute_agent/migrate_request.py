"""The arguments of migrateToURI3, from the configuration, the dest's facts and changes, and the guest's definition. Pure."""

import ipaddress

from common.migration import DestinationFacts, LiveArguments
from common.transfer import TransferPlan
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import Definition, MigrateRequest
from compute_agent.hypervisor.flags import flags_value
from compute_agent.settings import LiveMigrationSettings

TUNNELLED = "VIR_MIGRATE_TUNNELLED"
TLS = "VIR_MIGRATE_TLS"
DEFAULT_SCHEME = "tcp"
# The dest has each disk's chain of images: only the uppermost is copied. Without a chain it is all there is.
BLOCK = "VIR_MIGRATE_NON_SHARED_INC"
# With a volume of a storage pool libvirt 9 refuses that (error 84): it looks for a file before it has asked the pool
# (qemuMigrationDstPrecreateStorage). Then all disks are copied whole: an overlay comes filled, and as right.
BLOCK_WITH_VOLUMES = "VIR_MIGRATE_NON_SHARED_DISK"


def migrate_request(
    definition: Definition,
    arguments: LiveArguments,
    settings: LiveMigrationSettings,
    *,
    migration: str,
    further_flags: tuple[str, ...] = (),
) -> MigrateRequest:
    """The call that moves the guest: the configured flags, and encrypted where the plan says that both hosts can.

    The inactive XML goes along by itself, so that changes pending for the guest's next start survive. Of a transient
    guest libvirt persists the live one, which post_live_migration_at_destination undefines again.
    """
    inactive = definition.inactive_xml
    plan = arguments.plan or TransferPlan()  # None: of a conductor before the first that copies anything
    copied, tls_flags = plan.copied, (TLS,) if plan.is_encrypted else ()
    has_volume = any(disk.type == "volume" for disk in copied)
    block_flags = (BLOCK_WITH_VOLUMES if has_volume else BLOCK,) if copied else ()
    return MigrateRequest(
        dconnuri=connection_uri(settings, arguments.dest_facts.connect_address),
        migrate_uri=memory_uri(settings, arguments.dest_facts),
        flags=flags_value((*settings.flags, *tls_flags, *block_flags, *further_flags)),
        bandwidth_mib_s=settings.bandwidth_mib_s,
        dest_xml=domain_xml.dest_xml(definition.live_xml, changes=arguments.changes, migration=migration),
        persist_xml=None if inactive is None else domain_xml.persist_xml(inactive, changes=arguments.changes),
        copied_disks=tuple(disk.target for disk in copied),
        disks_port=settings.disks_port,
        tls_name=plan.tls_name,
    )


def connection_uri(settings: LiveMigrationSettings, address: str) -> str:
    """Where the source's libvirtd finds the dest's: live_migration_uri, or one made with live_migration_scheme."""
    template = settings.uri or f"qemu+{settings.scheme or DEFAULT_SCHEME}://%s/system"
    return template % _bracketed(address)


def memory_uri(settings: LiveMigrationSettings, dest: DestinationFacts) -> str | None:
    """Where the memory goes; None leaves it to libvirt. Through a tunnel it goes the way of the connection."""
    if not dest.inbound_address or TUNNELLED in settings.flags:
        return None
    return f"tcp://{_bracketed(dest.inbound_address)}"


def _bracketed(address: str) -> str:
    try:
        is_ipv6 = ipaddress.ip_address(address).version == 6
    except ValueError:
        is_ipv6 = False  # a name
    return f"[{address}]" if is_ipv6 else address
