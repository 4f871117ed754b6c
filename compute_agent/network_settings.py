"""What [network] says to the compute agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oslo_config import cfg


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Names of other hosts, and what is meant by them here."""

    bridge_mappings: Mapping[str, str] = field(default_factory=dict)
    network_mappings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, conf: cfg.ConfigOpts) -> "NetworkSettings":
        return cls(
            bridge_mappings=dict(conf.network.bridge_mappings),
            network_mappings=dict(conf.network.network_mappings),
        )

    def bridge_here(self, name: str) -> str:
        return self.bridge_mappings.get(name, name)

    def network_here(self, name: str) -> str:
        return self.network_mappings.get(name, name)
