"""The part of a conductor's endpoint that is about managed networks."""

from common.context import Context
from common.dispatch import exposed
from common.network_views import HostNetworks, NetworkRequest, NetworkView
from conductor.networks import Networks


class NetworkEndpoint:
    """Mixed into `conductor.endpoint.ConductorEndpoint`."""

    _networks: Networks

    @exposed
    def create_network(self, context: Context, request: NetworkRequest) -> NetworkView:
        return self._networks.create(request, by=context.signer.name)

    @exposed
    def list_networks(self, _context: Context) -> tuple[NetworkView, ...]:
        return self._networks.list()

    @exposed
    def show_network(self, _context: Context, network: str) -> NetworkView:
        return self._networks.show(network)

    @exposed
    def delete_network(self, context: Context, network: str) -> NetworkView:
        return self._networks.delete(network, by=context.signer.name)

    @exposed
    def attach_network(self, context: Context, network: str, host: str) -> NetworkView:
        return self._networks.attach(network, host, by=context.signer.name)

    @exposed
    def detach_network(self, context: Context, network: str, host: str) -> NetworkView:
        return self._networks.detach(network, host, by=context.signer.name)

    @exposed
    def networks_of_host(self, _context: Context, host: str) -> HostNetworks:
        return self._networks.of_host(host)
