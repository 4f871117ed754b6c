"""Options of the group [network]: what a guest's networks are called on this host."""

from oslo_config import cfg

NETWORK_OPTIONS = [
    cfg.DictOpt(
        "bridge_mappings",
        default={},
        help="Bridges that are called otherwise on other hosts, as THERE:HERE, separated by commas: an interface that comes "
        "from a bridge THERE joins the bridge HERE. `br-lan:br0` on this host, for guests from hosts that call it br-lan.",
    ),
    cfg.DictOpt(
        "network_mappings",
        default={},
        help="The same for libvirt networks.",
    ),
    cfg.DictOpt(
        "physical_mappings",
        default={},
        help="Devices that carry managed VLANs and are called otherwise here, as NAME:HERE, separated by commas; NAME is "
        "the --physical of `limosa network create`.",
    ),
    cfg.IPOpt(
        "vtep_address",
        help="Address of this host where the tunnels of managed VXLANs end. Unset: no guest of such a network comes here.",
    ),
]
