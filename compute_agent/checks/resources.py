"""On the dest: whether its libvirt has what the guest's XML names, networks and nwfilters. `secrets` is beside it."""

from collections.abc import Iterator

from common.checks import Finding
from common.guest_checks import NETWORK_INACTIVE, NETWORK_MISSING, NWFILTER_MISSING
from compute_agent.checks.look import DestLook
from compute_agent.firewall.nwfilter_xml import PREFIX


def check_resources(look: DestLook) -> Iterator[Finding]:
    guest, host = look.guest, look.settings.host
    if not (guest.networks or guest.nwfilters):
        return
    there = look.hypervisor.resources()
    for network in map(look.settings.networks.network_here, guest.networks):
        if network in there.networks_inactive:
            yield NETWORK_INACTIVE.finding(host, instance=guest.name, network=network)
        elif network not in there.networks_active:
            known = ", ".join((*there.networks_active, *there.networks_inactive)) or "none"
            yield NETWORK_MISSING.finding(host, instance=guest.name, network=network, known=known)
    for nwfilter in guest.nwfilters:
        if look.declared.filtering.ports and nwfilter.startswith(PREFIX):
            continue  # of Limosa's firewall, which makes it here before the guest comes
        if nwfilter not in there.nwfilters:
            yield NWFILTER_MISSING.finding(host, instance=guest.name, nwfilter=nwfilter)
