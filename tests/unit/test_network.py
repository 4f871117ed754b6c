"""The real network, as far as this machine alone has one: loopback, and what is certainly not there."""

import pytest

from compute_agent.errors import NetworkError
from compute_agent.network import HostNetwork

ABSENT = "192.0.2.77"  # of a network that is for documentation


@pytest.fixture
def network():
    return HostNetwork()


def held(network):
    """A free port, held."""
    for port in range(49152, 65535):
        listener = network.listen(port)
        if listener is not None:
            return port, listener
    raise AssertionError("no port is free")


def test_names_and_addresses_are_resolved(network):
    assert "127.0.0.1" in network.resolve("127.0.0.1")
    assert {"127.0.0.1", "::1"} & set(network.resolve("localhost"))


def test_a_name_that_is_none_says_so(network):
    with pytest.raises(NetworkError, match=r"."):
        network.resolve("nobody.invalid")


def test_a_held_port_is_reached_and_afterwards_is_not(network):
    port, listener = held(network)
    try:
        network.connect("127.0.0.1", port)
        network.connect("localhost", port)
    finally:
        listener.close()
    with pytest.raises(NetworkError, match="refused"):
        network.connect("127.0.0.1", port)


def test_a_held_port_is_not_held_twice(network):
    port, listener = held(network)
    try:
        assert network.listen(port) is None
    finally:
        listener.close()
    again = network.listen(port)
    assert again is not None, "nothing lingers"
    again.close()


def test_addresses_of_this_host_and_of_others_are_told_apart(network):
    assert network.has_address("127.0.0.1")
    assert network.has_address("0.0.0.0")
    assert not network.has_address(ABSENT)
    with pytest.raises(NetworkError):
        network.has_address("nobody.invalid")
