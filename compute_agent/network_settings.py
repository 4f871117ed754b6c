"""What [network] says to the compute agent."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from oslo_config import cfg


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Names of other hosts, and what is meant by them here."""

    bridge_mappings: Mapping[str, str] = field(default_factory=dict)
    network_mappings: Mapping[str, str] = field(default_factory=dict)
    physical_mappings: Mapping[str, str] = field(default_factory=dict)
    vtep_address: str = ""  # empty: no VXLAN can stand here

    @classmethod
    def read(cls, conf: cfg.ConfigOpts) -> "NetworkSettings":
        return cls(
            bridge_mappings=dict(conf.network.bridge_mappings),
            network_mappings=dict(conf.network.network_mappings),
            physical_mappings=dict(conf.network.physical_mappings),
            vtep_address=_normalised(conf.network.vtep_address),
        )

    def bridge_here(self, name: str) -> str:
        return self.bridge_mappings.get(name, name)

    def network_here(self, name: str) -> str:
        return self.network_mappings.get(name, name)

    def physical_here(self, name: str) -> str:
        return self.physical_mappings.get(name, name)


def _normalised(address: str | None) -> str:
    """As the kernel writes it, so that it can be compared."""
    return str(ipaddress.ip_address(address)) if address else ""
