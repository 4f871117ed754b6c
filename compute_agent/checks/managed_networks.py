"""On the dest: whether the managed networks of the guest could be made here."""

from collections.abc import Iterator

from common.checks import Finding
from common.network_checks import NETWORK_MTU_SMALLER, NETWORK_NOT_OURS, NETWORK_UNUSABLE
from common.transfer import ManagedNetwork
from compute_agent.checks.look import DestLook
from compute_agent.managed_networks.standing import StandingNetworks


def check_managed_networks(look: DestLook) -> Iterator[Finding]:
    names = look.settings.networks
    standing = StandingNetworks(look.links, names)
    for network in look.declared.networks:
        if names.bridge_here(network.bridge) != network.bridge:
            continue  # the guest joins another bridge here
        if standing.is_anothers(network):
            evidence = {"network": network.name, "bridge": network.bridge}
            yield NETWORK_NOT_OURS.finding(look.settings.host, instance=look.guest.name, **evidence)
            continue
        problem = standing.problem(network)
        if problem:
            evidence = {"network": network.name, "reason": problem}
            yield NETWORK_UNUSABLE.finding(look.settings.host, instance=look.guest.name, **evidence)
        yield from _too_large(look, network)


def _too_large(look: DestLook, network: ManagedNetwork) -> Iterator[Finding]:
    for interface in look.guest.interfaces:
        if interface.source == network.bridge and (interface.mtu or 0) > network.mtu:
            yield NETWORK_MTU_SMALLER.finding(
                look.settings.host,
                instance=look.guest.name,
                mac=interface.mac,
                needed=interface.mtu,
                network=network.name,
                mtu=network.mtu,
            )
