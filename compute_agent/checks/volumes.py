"""On the dest: whether the servers of the guest's volumes are reached from here.

Whether they let this host in is found out when access is granted, or by libvirt, before anything moves.
"""

from collections.abc import Iterator
from pathlib import Path

from common import concurrency
from common.checks import Finding
from common.volume_checks import VOLUME_UNREACHABLE
from common.volumes import UNIX_PREFIX, VolumeConnection, joined
from compute_agent.checks.look import DestLook
from compute_agent.errors import NetworkError

SERVERS_MAX = 16  # of one volume; more are not tried
LOOK_TIMEOUT_S = 5.0
TRY_TIMEOUT_S = 30.0  # of all; each is bounded by the network


def check_volumes(look: DestLook) -> Iterator[Finding]:
    """Beside each other: a server that drops packets takes seconds. Of several one is enough, as for QEMU itself."""
    volumes = joined(look.guest.volumes, look.declared.volumes)
    tries = [(volume, concurrency.spawn(_unreachable, look, volume)) for volume in volumes if volume.servers]
    for volume, task in tries:
        reason = task.wait(TRY_TIMEOUT_S)
        if reason:
            yield VOLUME_UNREACHABLE.finding(
                look.settings.host,
                disk=volume.target,
                volume=f"{volume.driver}:{volume.name}",
                servers=", ".join(volume.servers),
                reason=reason,
            )


def _unreachable(look: DestLook, volume: VolumeConnection) -> str:
    """Why none of its servers is reached; empty if one is."""
    reasons = []
    for server in volume.servers[:SERVERS_MAX]:
        try:
            _reach(look, server)
        except NetworkError as error:
            reasons.append(str(error).rstrip("."))
        else:
            return ""
    return "; ".join(dict.fromkeys(reasons))


def _reach(look: DestLook, server: str) -> None:
    if server.startswith(UNIX_PREFIX):
        path = Path(server.removeprefix(UNIX_PREFIX))
        if not concurrency.call_blocking(path.is_socket, timeout_s=LOOK_TIMEOUT_S):
            raise NetworkError(reason="there is no such socket on this host")
        return
    host, _, port = server.rpartition(":")
    look.network.connect(host.strip("[]"), int(port))
