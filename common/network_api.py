"""The part of `common.conductor_api.ConductorAPI` that is about managed networks."""

from common.network_views import HostNetworks, NetworkRequest, NetworkView
from common.rpc import Client

CHANGE_TRIES = 2  # under its request's id nothing is done twice
PULL_TIMEOUT_S = 5.0  # a guest that arrives may wait for it


class NetworkCalls:
    """Requests of clients about networks, and what an agent pulls."""

    _client: Client

    def create_network(self, request: NetworkRequest) -> NetworkView:
        """Declare it; nothing is made yet. Raises InvalidRequestError, NetworkExistsError."""
        return self._client.call("create_network", request, kind=NetworkView, tries=CHANGE_TRIES)

    def list_networks(self) -> tuple[NetworkView, ...]:
        """All that are declared, by name."""
        return self._client.call("list_networks", kind=tuple[NetworkView, ...])

    def show_network(self, network: str) -> NetworkView:
        """By name, with its guests; raises NetworkNotFoundError."""
        return self._client.call("show_network", network, kind=NetworkView)

    def delete_network(self, network: str) -> NetworkView:
        """As it was; raises NetworkNotFoundError, NetworkInUseError."""
        return self._client.call("delete_network", network, kind=NetworkView, tries=CHANGE_TRIES)

    def attach_network(self, network: str, host: str) -> NetworkView:
        """It is to stand on this host in any case; raises NetworkNotFoundError, HostNotFoundError. Idempotent."""
        return self._client.call("attach_network", network, host, kind=NetworkView, tries=CHANGE_TRIES)

    def detach_network(self, network: str, host: str) -> NetworkView:
        """It is to stand there only while a guest needs it; raises NetworkNotFoundError. Idempotent."""
        return self._client.call("detach_network", network, host, kind=NetworkView, tries=CHANGE_TRIES)

    def networks_of_host(self, host: str) -> HostNetworks:
        """For the agent of that host."""
        return self._client.call("networks_of_host", host, kind=HostNetworks, timeout_s=PULL_TIMEOUT_S)
