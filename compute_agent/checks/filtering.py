"""On the dest: whether a guest with security groups can be filtered here. One without any is not looked at."""

from collections.abc import Iterator

from common.checks import Finding
from common.facts import InterfaceFacts
from common.firewall_checks import CONNECTIONS_NOT_MOVED, FIREWALL_UNFIT, INTERFACE_NOT_FILTERABLE
from compute_agent.checks.look import DestLook
from compute_agent.firewall.guests import can_be_named, tap_on_dest
from compute_agent.firewall.registry import make_driver

_ON_A_BRIDGE = ("bridge", "network")


def check_filtering(look: DestLook) -> Iterator[Finding]:
    ports, host, name = look.declared.filtering.ports, look.settings.host, look.guest.name
    if not ports:
        return
    for reason in make_driver(look.settings.firewall, look.hypervisor).problems(look.declared.filtering):
        yield FIREWALL_UNFIT.finding(host, instance=name, reason=reason)
    by_mac = {interface.mac.lower(): interface for interface in look.guest.interfaces}
    for port in ports:
        interface = by_mac.get(port.mac.lower())
        if interface is None:
            continue  # it has been taken out, or is to be put in one day
        if not _is_on_a_bridge(interface):
            kind = interface.virtualport or interface.type
            yield INTERFACE_NOT_FILTERABLE.finding(host, instance=name, mac=port.mac, type=kind)
        elif not can_be_named(tap_on_dest(interface)):
            reason = f"no rule can name its interface {interface.tap}"
            yield FIREWALL_UNFIT.finding(host, instance=name, reason=reason)
        elif not port.addresses:
            yield CONNECTIONS_NOT_MOVED.finding(host, instance=name, mac=port.mac)


def _is_on_a_bridge(interface: InterfaceFacts) -> bool:
    return interface.type in _ON_A_BRIDGE and not interface.virtualport
