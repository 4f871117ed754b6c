"""Findings about the firewall of a dest: whether it can filter a guest that is to be filtered."""

from common.checks import Check, Severity

FIREWALL_UNFIT = Check(
    code="firewall_unfit",
    sentence="{instance} has security groups, and {host} cannot filter it: {reason}.",
    hint="Choose another host, or look at [firewall]driver and what it needs there: docs/firewall.md.",
    meaning="A guest with security groups goes only where its rules stand before it comes.",
)
INTERFACE_NOT_FILTERABLE = Check(
    code="interface_not_filterable",
    sentence="Interface {mac} of {instance} has security groups, and no packet of it passes a firewall of {host}: it is of "
    "type {type}.",
    hint="Take its groups away: `limosa port unset {instance} {mac}`.",
    meaning="Only a port of a Linux bridge is filtered; Open vSwitch, macvtap and passed-through devices go past it.",
)
CONNECTIONS_NOT_MOVED = Check(
    code="connections_not_moved",
    sentence="Interface {mac} of {instance} has security groups and no declared addresses: what {host} knows of its "
    "connections cannot be told from others', and is not moved along.",
    hint="Declare them: `limosa port set {instance} {mac} --address ADDRESS`.",
    severity=Severity.WARNS,
    meaning="What passes only because its connection is known may stop after the move, until the guest sends again.",
)
