"""The drivers of the firewall by the word in [firewall]driver. Another one is a file and a line here."""

from collections.abc import Callable, Mapping
from typing import Final

from compute_agent.firewall.driver import FirewallDriver
from compute_agent.firewall.nftables import NftablesDriver
from compute_agent.firewall.nothing import NoFirewall
from compute_agent.firewall.settings import FirewallSettings

DRIVERS: Final[Mapping[str, Callable[[FirewallSettings], FirewallDriver]]] = {
    "nftables": NftablesDriver,
    "none": lambda _settings: NoFirewall(),
}


def make_driver(settings: FirewallSettings) -> FirewallDriver:
    """The one that this host is configured for."""
    return DRIVERS[settings.driver](settings)
