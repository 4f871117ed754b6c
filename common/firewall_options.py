"""Options of [firewall]: how a host filters the guests that were given a security group."""

from oslo_config import cfg

FIREWALL_OPTIONS = [
    cfg.StrOpt(
        "driver",
        default="nftables",
        choices=[
            ("nftables", "tables of our own; needs br_netfilter"),
            ("nwfilter", "libvirt's network filters; on all hosts or on none"),
            ("none", "guests with security groups are refused here"),
        ],
        help="What filters the guests of this host that were given a security group. A guest without one is never filtered.",
    ),
    cfg.IntOpt(
        "mark",
        default=0x10000000,
        min=1,
        max=2**32 - 1,
        help="Bit of the packet mark by which the driver nftables remembers, within the host, that a packet of a filtered "
        "guest belongs to a known connection. Nobody else may use it.",
    ),
    cfg.BoolOpt(
        "require_syn",
        default=False,
        help="Begin TCP connections by a SYN only, so that what is not a known connection is dropped. With it a connection "
        "that lasts while its guest is given its first group ends, and one whose tracking could not be moved along.",
    ),
    cfg.FloatOpt(
        "refresh_interval_s",
        default=60.0,
        min=1,
        max=86_400,
        help="Seconds between two times at which a host asks for the rules of its guests. Changes are told at once besides.",
    ),
]
