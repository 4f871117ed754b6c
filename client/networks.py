"""`limosa network`: the networks that Limosa makes on hosts whose guests need them."""

import argparse

from client.command import ListCommand, ShowCommand, add_host, name
from common.network_views import NetworkKind, NetworkRequest, NetworkView


class NetworkList(ListCommand):
    """List the networks that Limosa manages, and the hosts where each stands."""

    kind = NetworkView
    table_keys = ("name", "kind", "segment", "bridge", "mtu", "physical", "group", "hosts", "problems")
    optional_keys = ("physical", "group", "problems")

    def fetch(self, _arguments: argparse.Namespace) -> tuple[NetworkView, ...]:
        return self.conductor.list_networks()


class NetworkCommand(ShowCommand):
    """One network."""

    kind = NetworkView
    table_keys = (
        "name", "kind", "segment", "bridge", "mtu", "physical", "group", "port", "peers", "attached", "hosts", "problems",
        "guests", "created_at", "created_by",
    )  # fmt: skip


class NamedNetworkCommand(NetworkCommand):
    """One that exists."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            "network", metavar="NETWORK", type=name, help="a network, as `network list` shows it"
        )
        return parser


class NetworkShow(NamedNetworkCommand):
    """Show one network: what it is, where it stands, and the guests that are in it."""

    def fetch(self, arguments: argparse.Namespace) -> NetworkView:
        return self.conductor.show_network(arguments.network)


class NetworkCreate(NetworkCommand):
    """Declare a network. Each host makes it when a guest needs it there, and removes it after the last one.

    Guests are connected to its bridge by their own XML: <source bridge='BRIDGE'/>. For the first guest on a host,
    attach the network to the host.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME", type=name)
        parser.add_argument(
            "--kind",
            choices=[kind.value for kind in NetworkKind],
            required=True,
            metavar="|".join(NetworkKind),
            help="what keeps it apart from the others on the wire",
        )
        parser.add_argument("--segment", metavar="N", type=int, required=True, help="VLAN id or VNI")
        parser.add_argument(
            "--bridge", metavar="BRIDGE", type=name, required=True, help="the bridge's name on every host"
        )
        parser.add_argument("--mtu", metavar="BYTES", type=int, help="default: 1500, of a VXLAN 1450")
        parser.add_argument(
            "--physical",
            metavar="DEVICE",
            type=name,
            help="of a VLAN: the device of each host that carries it",
        )
        parser.add_argument(
            "--group",
            metavar="ADDRESS",
            type=name,
            help="of a VXLAN: its multicast group (default: each host sends to all others)",
        )
        parser.add_argument("--port", metavar="PORT", type=int, help="of a VXLAN: UDP port (default 4789)")
        parser.add_argument(
            "--peer",
            metavar="ADDRESS",
            type=name,
            action="append",
            default=[],
            dest="peers",
            help="of a VXLAN without a group: tunnel address of what else is in it, as a router; may be repeated",
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> NetworkView:
        return self.conductor.create_network(
            NetworkRequest(
                name=arguments.name,
                kind=NetworkKind(arguments.kind),
                segment=arguments.segment,
                bridge=arguments.bridge,
                mtu=arguments.mtu,
                physical=arguments.physical,
                group=arguments.group,
                port=arguments.port,
                peers=tuple(arguments.peers),
            )
        )


class NetworkDelete(NamedNetworkCommand):
    """Declare a network no more. Refused while a guest is in it or a host is attached; hosts remove what is left."""

    def fetch(self, arguments: argparse.Namespace) -> NetworkView:
        return self.conductor.delete_network(arguments.network)


class NetworkAttach(NamedNetworkCommand):
    """Have a network stand on a host whether a guest needs it there or not, so that the first one can be made."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_host(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> NetworkView:
        return self.conductor.attach_network(arguments.network, arguments.host)


class NetworkDetach(NamedNetworkCommand):
    """Have a network stand on a host only while a guest needs it there."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_host(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> NetworkView:
        return self.conductor.detach_network(arguments.network, arguments.host)
