"""On the source: disks that the guest would have after its next start only, which a migration does not bring."""

from collections.abc import Iterator

from common.checks import Finding
from common.states import PowerState
from common.storage_checks import PENDING_DISK
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor import guest_xml
from compute_agent.storage import parts


def check_pending_disks(look: SourceLook) -> Iterator[Finding]:
    """Its definition goes along, and the source keeps their files: nothing is lost, but the guest does not start there."""
    if look.definition.inactive_xml is None:
        return
    pending = guest_xml.guest_facts(
        look.definition.inactive_xml, power_state=PowerState.UNKNOWN, is_persistent=True, has_autostart=False
    )
    present = {disk.source for disk in look.guest.disks}
    for disk in pending.disks:
        is_local = disk.source.startswith("/") and not parts.is_only_read(disk)
        if is_local and disk.source not in present:
            yield PENDING_DISK.finding(
                look.settings.host, instance=look.guest.name, disk=disk.target, path=disk.source
            )
