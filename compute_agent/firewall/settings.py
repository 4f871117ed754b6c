"""[firewall] as one frozen value."""

from dataclasses import dataclass

from oslo_config import cfg


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallSettings:
    """How this host filters."""

    driver: str = "none"  # where nobody has said so, nothing is changed
    mark: int = 0x10000000
    requires_syn: bool = False
    refresh_interval_s: float = 60.0

    @classmethod
    def read(cls, conf: cfg.ConfigOpts) -> "FirewallSettings":
        """From a configuration that `common.config.load` has validated."""
        options = conf.firewall
        return cls(
            driver=options.driver,
            mark=options.mark,
            requires_syn=options.require_syn,
            refresh_interval_s=options.refresh_interval_s,
        )
