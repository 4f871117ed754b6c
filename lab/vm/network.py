"""The machines' two networks: management 10.87.0.0/24 and data 10.78.0.0/24, two bridges that only the lab sees.

    compute1 [mgmt] ---- [compute1-m] br-mgmt [10.87.0.1: the packages]
    compute1 [br-data [data]] ---- [compute1-d] br-data [10.78.0.1: the prober]

Each tap is a QEMU's. The guests take addresses of 10.78.0.0/24. Tagged frames (VLANs) pass through the bridges as they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.namespaces import Namespaces

CONTROLLER = "controller"
COMPUTE = ("compute1", "compute2")
NAMES = (CONTROLLER, *COMPUTE)

REPOSITORY_NAME = "packages"
REPOSITORY_PORT = 8080
SWITCH_MANAGEMENT = "10.87.0.1"
SWITCH_DATA = "10.78.0.1"
PREFIX = 24

_NUMBERS = {CONTROLLER: 2, "compute1": 11, "compute2": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """A machine's place in both networks."""

    management: str
    data: str


def addresses(name: str) -> Addresses:
    number = _NUMBERS[name]
    return Addresses(management=f"10.87.0.{number}", data=f"10.78.0.{number}")


def macs(name: str) -> tuple[str, str]:
    """Return the MACs of a machine's management and data interfaces, in this order."""
    number = _NUMBERS[name]
    return f"52:54:00:87:00:{number:02x}", f"52:54:00:88:00:{number:02x}"


def taps(name: str) -> tuple[str, str]:
    return f"{name}-m", f"{name}-d"


def hosts_file() -> str:
    """Return /etc/hosts of every machine."""
    lines = ["127.0.0.1 localhost", f"{SWITCH_MANAGEMENT} {REPOSITORY_NAME}"]
    lines += [f"{addresses(name).management} {name}" for name in NAMES]
    return "\n".join(lines) + "\n"


def connect(switch: Namespaces, names: Iterable[str]) -> None:
    """Make the bridges, and a tap in each of them for every machine."""
    commands = ["link set lo up"]
    for bridge, address in (("br-mgmt", SWITCH_MANAGEMENT), ("br-data", SWITCH_DATA)):
        commands.append(f"link add {bridge} type bridge")
        commands.append(f"address add {address}/{PREFIX} dev {bridge}")
        commands.append(f"link set {bridge} up")
    for name in names:
        for tap, bridge in zip(taps(name), ("br-mgmt", "br-data"), strict=True):
            commands.append(f"tuntap add dev {tap} mode tap")
            commands.append(f"link set {tap} master {bridge} up")
    switch.run(["ip", "-batch", "-"], input_text="\n".join(commands) + "\n")
