"""On the source: whether what is sent to the guest from here goes to the dest, and is answered there.

An answer alone proves nothing: a bridge that does not know where a MAC is floods, and the guest answers all the same.
That the dest's own bridge sends to the guest's tap is the third condition; the dest proves it when it announces the guest.
"""

from collections.abc import Callable, Mapping, Sequence

from compute_agent.errors import CommandError, LinkError
from compute_agent.frames import Frames
from compute_agent.handover.ports import Port, Switches
from compute_agent.links import TAP, VXLAN

ASK_S = 0.3
PAUSES_S = (0.0, 0.1, 0.2, 0.4, 0.8)  # before each try: the announcement may be on its way, or was lost


def unverified(
    switches: Switches,
    frames: Frames,
    ports: Sequence[Port],
    *,
    addresses: Mapping[str, tuple[str, ...]],
    sleep: Callable[[float], None],
) -> tuple[str, ...]:
    """In sentences, which of the interfaces are not seen to be reached on the dest."""
    reasons: dict[Port, str] = {}
    waiting = tuple(ports)
    for pause_s in PAUSES_S:
        sleep(pause_s)
        for port in waiting:
            reasons[port] = _why_not(switches, frames, port, addresses.get(port.mac, ()))
        # A guest that nobody can ask is not waited for.
        waiting = tuple(port for port in waiting if reasons[port] and addresses.get(port.mac))
        if not waiting:
            break
    return tuple(reason for reason in reasons.values() if reason)


def _why_not(switches: Switches, frames: Frames, port: Port, addresses: tuple[str, ...]) -> str:
    """Empty: it is."""
    if not addresses:
        return f"{port.mac} was not asked: no IPv4 address of it is declared, and it sent none"
    try:
        if not frames.ask(port.mac, addresses, device=port.bridge, timeout_s=ASK_S):
            return f"{port.mac} does not answer from there"
        return _where_from_here(switches, port)
    except (LinkError, CommandError) as error:
        return f"{port.mac} could not be asked: {error}"


def _where_from_here(switches: Switches, port: Port) -> str:
    """Why this host's bridge does not send to the dest; empty: it does."""
    through = switches.sends_through(port)
    if not through:
        return f"{port.bridge} here does not know where {port.mac} is"
    link = switches.links.find(through)  # tunnels of Open vSwitch are none of the kernel's
    if through == port.tap or (link is not None and link.kind == TAP):
        return f"{port.bridge} here sends what is for {port.mac} to the tap {through}"
    if link is not None and link.kind == VXLAN:
        remote = switches.links.remote(port.mac, vxlan=through)
        if remote is None or not remote.remote:
            return f"{through} here does not know behind which host {port.mac} is"
    return ""
