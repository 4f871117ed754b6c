"""The lab's two networks: management 10.77.0.0/24 and data 10.78.0.0/24, joined in a namespace called switch.

    compute1 [mgmt] ---- [compute1-m] br-mgmt [controller-m] ---- [mgmt] controller
    compute1 [br-data [data]] ---- [compute1-d] br-data [prober-d] ---- [data] prober

A guest's tap joins the br-data of the host that it runs on. Bring `compute1-m` down in the switch to cut a host
off.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import LabError, last_lines
from lab.namespaces import Namespaces

SWITCH = "switch"
CONTROLLER = "controller"
PROBER = "prober"
SWITCH_VTEP = "10.77.0.1"
GUEST_BRIDGE = "br-data"

MAX_COMPUTE_HOSTS = 40
_CONTROLLER_NUMBER = 2
_PROBER_NUMBER = 3
_FIRST_COMPUTE_NUMBER = 11
FIRST_GUEST_NUMBER = 100
LAST_GUEST_NUMBER = 249

QUIET_SYSCTL = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    # A new namespace starts with 1: bridged guests would pass through iptables.
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-arptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """A host's place in the networks; None where it has no link."""

    management: str | None
    data: str | None


def compute_name(number: int) -> str:
    return f"compute{number}"


def is_compute(name: str) -> bool:
    return name.startswith("compute")


def addresses(name: str) -> Addresses:
    """Return a host's addresses, which follow from its name alone."""
    if name == SWITCH:
        return Addresses(management=None, data=None)
    if name == CONTROLLER:
        return Addresses(management=f"10.77.0.{_CONTROLLER_NUMBER}", data=None)
    if name == PROBER:
        return Addresses(management=None, data=f"10.78.0.{_PROBER_NUMBER}")
    number = _FIRST_COMPUTE_NUMBER + int(name.removeprefix("compute")) - 1
    return Addresses(management=f"10.77.0.{number}", data=f"10.78.0.{number}")


def guest_address(number: int) -> str:
    return f"10.78.0.{number}"


def guest_mac(number: int) -> str:
    """Return the guest's MAC; the guest takes its address from the last byte (lab/guest/init)."""
    return f"52:54:00:4c:00:{number:02x}"


def hosts_file(names: Iterable[str]) -> str:
    lines = ["127.0.0.1 localhost"]
    lines += [f"{address} {name}" for name in names if (address := addresses(name).management)]
    return "\n".join(lines) + "\n"


def connect(switch: Namespaces, hosts: Iterable[Namespaces]) -> None:
    """Make the bridges and a veth pair for each host and network, addresses included."""
    hosts = list(hosts)
    commands = [
        f"link add {bridge} type bridge\nlink set {bridge} up" for bridge in ("br-mgmt", GUEST_BRIDGE)
    ]
    for host in hosts:
        here = addresses(host.name)
        if here.management:
            commands.append(_veth(f"{host.name}-m", "br-mgmt", "mgmt", host.init.pid))
        if here.data:
            commands.append(_veth(f"{host.name}-d", GUEST_BRIDGE, "data", host.init.pid))
    _ip_batch(switch, commands)
    for host in hosts:
        _ip_batch(host, _host_commands(host.name))


def join_vxlan(
    switch: Namespaces, *, vni: int, port: int, remotes: Iterable[str] = (), group: str | None = None
) -> None:
    """Join a VXLAN between the hosts with the data network: what the prober sends reaches guests in either.

    The switch becomes one of its tunnel ends, SWITCH_VTEP, as a router would be; it sends to the hosts' `remotes`.
    """
    name = f"vxlan{vni}"
    destination = f"group {group} " if group else ""
    commands = [
        f"address replace {SWITCH_VTEP}/24 dev br-mgmt",
        f"link add {name} type vxlan id {vni} dev br-mgmt local {SWITCH_VTEP} {destination}dstport {port}",
        f"link set {name} master {GUEST_BRIDGE}",
        f"link set {name} up",
    ]
    _ip_batch(switch, commands)
    for remote in remotes:
        switch.run(["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", name, "dst", remote])


def _veth(name: str, bridge: str, peer: str, peer_pid: int) -> str:
    return (
        f"link add {name} type veth peer name {peer} netns {peer_pid}\n"
        f"link set {name} master {bridge}\n"
        f"link set {name} up"
    )


def _host_commands(name: str) -> list[str]:
    here = addresses(name)
    commands = []
    if here.management:
        commands.append(f"address add {here.management}/24 dev mgmt\nlink set mgmt up")
    if here.data:
        commands.append("link set data up")
    if here.data and is_compute(name):
        commands.append(f"link add {GUEST_BRIDGE} type bridge\nlink set data master {GUEST_BRIDGE}")
        commands.append(f"link set {GUEST_BRIDGE} up\naddress add {here.data}/24 dev {GUEST_BRIDGE}")
    elif here.data:
        commands.append(f"address add {here.data}/24 dev data")
    return commands


def _ip_batch(host: Namespaces, commands: Iterable[str]) -> None:
    # Only the network namespace is entered: `netns PID` must mean a pid of the outside.
    done = subprocess.run(
        ["nsenter", "--target", str(host.init.pid), "--net", "--", "ip", "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode != 0:
        raise LabError(f"{host.name}: its links could not be made", hint=last_lines(done.stderr))
