"""On the source: the guest's devices that cannot be moved, each by name. What becomes of which is a table of its own."""

from collections.abc import Iterator

from common.checks import Finding
from common.device_checks import DEVICE_NOT_MOVABLE
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor import device_table


def check_devices(look: SourceLook) -> Iterator[Finding]:
    for device in device_table.immovable(look.definition.live_xml):
        yield DEVICE_NOT_MOVABLE.finding(
            look.settings.host,
            instance=look.guest.name,
            device=device.name,
            reason=device.kind.reason,
            advice=device.kind.hint,
        )
