"""Access of a host to a volume: given before a guest comes, withdrawn when it has left. One driver a file.

A new one is a new file, a line in `driver_of` and a choice of [volumes]grants.
"""

from compute_agent.grants.command import CommandGrants
from compute_agent.grants.driver import Access, GrantDriver, NoGrants
from compute_agent.grants.tgtd import TgtdGrants
from compute_agent.volume_settings import VolumeSettings

__all__ = ["Access", "GrantDriver", "driver_of"]


def driver_of(settings: VolumeSettings) -> GrantDriver:
    """The one that [volumes]grants names."""
    match settings.grants:
        case "tgtd":
            return TgtdGrants(settings.tgtadm, timeout_s=settings.grants_timeout_s)
        case "exec":
            return CommandGrants(settings.grants_command, timeout_s=settings.grants_timeout_s)
        case _:
            return NoGrants()
