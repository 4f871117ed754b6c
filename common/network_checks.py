"""Findings of the agents about what a guest's interfaces are connected to."""

from common.checks import Check, Severity

BRIDGE_MISSING = Check(
    code="bridge_missing",
    sentence="An interface of {instance} ({mac}) is in the bridge {bridge}, which {host} does not have.",
    hint="Make it there, or say in [network]bridge_mappings of {host} what it is called there. It has: {known}.",
    meaning="The dest must have the bridge by its name, by [network]bridge_mappings, or as a network that Limosa makes.",
)
LINK_UNFIT = Check(
    code="link_unfit",
    sentence="An interface of {instance} ({mac}) needs {needed}, and {link} is {found} on {host}.",
    hint="Give the link on {host} another name, or say in [network]bridge_mappings of {host} which one is meant.",
    meaning="A link of this name is there and of another kind. libvirt puts a tap into bridges only.",
)
PARENT_MISSING = Check(
    code="parent_missing",
    sentence="An interface of {instance} ({mac}) stands on {link}, which {host} does not have.",
    hint="A macvtap needs the same device on both hosts; a libvirt network may name another one on each.",
    meaning="An interface of type direct is a macvtap on a device of the host.",
)
MTU_SMALLER = Check(
    code="mtu_smaller",
    sentence="{instance} ({mac}) sends packets of up to {needed} bytes, and its bridge on {host} takes {mtu}.",
    hint="Set the MTU of the bridge on {host}, and of its uplink, to {needed}.",
    meaning="libvirt does not compare them: the guest would move well, and then its large packets would be swallowed.",
)
MTU_UNKNOWN = Check(
    code="mtu_unknown",
    sentence="{host} cannot say which MTU {mac} of {instance} has: {reason}.",
    hint="Look with `ip link` at its tap on {host}.",
    severity=Severity.WARNS,
    meaning="The MTU of both sides is compared, which needs that of the tap on the source.",
)
NETWORK_UNUSABLE = Check(
    code="network_unusable",
    sentence="{instance} is in network {network}, which cannot stand on {host}: {reason}.",
    hint="Look at [network] in limosa.conf of {host}, and with `limosa network show {network}` how it is declared.",
    meaning="A network that Limosa manages is made on the dest before the guest comes; this is what it lacks for it.",
)
NETWORK_MTU_SMALLER = Check(
    code="network_mtu_smaller",
    sentence="{instance} ({mac}) has an MTU of {needed}, and network {network} takes {mtu}.",
    hint="Give the interface a smaller MTU, or declare the network with a larger one.",
    meaning="As mtu_smaller, of a network that the dest has still to make.",
)
NETWORK_NOT_OURS = Check(
    code="network_not_ours",
    sentence="{host} has a bridge {bridge} that Limosa did not make: network {network} of {instance} would be that.",
    hint="If somebody made it for the same network, nothing needs to be done. Otherwise remove it, or give it another name.",
    severity=Severity.WARNS,
    meaning="A bridge that is there already is used as it is and never removed, wherever it may lead.",
)
