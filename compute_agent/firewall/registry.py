"""The drivers of the firewall by the word in [firewall]driver. Another one is a file and a line here."""

from collections.abc import Callable, Mapping
from typing import Final

from compute_agent.firewall.driver import FirewallDriver
from compute_agent.firewall.nftables import NftablesDriver
from compute_agent.firewall.nothing import NoFirewall
from compute_agent.firewall.nwfilter import NwfilterDriver
from compute_agent.firewall.settings import FirewallSettings
from compute_agent.hypervisor.driver import Hypervisor

DRIVERS: Final[Mapping[str, Callable[[FirewallSettings, Hypervisor], FirewallDriver]]] = {
    "nftables": lambda settings, _hypervisor: NftablesDriver(settings),
    "nwfilter": lambda _settings, hypervisor: NwfilterDriver(hypervisor),
    "none": lambda _settings, _hypervisor: NoFirewall(),
}


def make_driver(settings: FirewallSettings, hypervisor: Hypervisor) -> FirewallDriver:
    """The one that this host is configured for."""
    return DRIVERS[settings.driver](settings, hypervisor)
