"""The real network, as far as this machine alone has one: loopback, and what is certainly not there."""

import threading
import time

import pytest

from common import concurrency
from compute_agent import network as network_module
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


@pytest.fixture
def slow(network, monkeypatch):
    """Each resolving takes so long that a dozen at once have to wait for each other."""
    lock, busy, most = threading.Lock(), [0], [0]

    def resolve(name):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.1)
        with lock:
            busy[0] -= 1
        return (name,)

    monkeypatch.setattr(network_module, "_addresses", resolve)
    monkeypatch.setattr(network_module, "RESOLVE_TIMEOUT_S", 0.3)
    return most


def test_who_waits_for_others_is_not_called_unreachable(network, slow):
    names = [f"compute{number}" for number in range(40)]

    tasks = [concurrency.spawn(network.resolve, name) for name in names]

    assert [task.wait(10.0) for task in tasks] == [(name,) for name in names]
    assert slow == [network_module.CALLS_AT_ONCE], "the rest of the threads stays for libvirt"


def test_calls_that_hang_keep_their_turns_and_the_next_one_says_that_it_was_not_tried(network, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(network_module, "_addresses", lambda name: release.wait(10.0))
    monkeypatch.setattr(network_module, "RESOLVE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(network_module, "TURN_TIMEOUT_S", 0.05)
    for _ in range(network_module.CALLS_AT_ONCE):
        with pytest.raises(NetworkError, match=r"no answer within 0\.05 s"):
            network.resolve("hangs")

    with pytest.raises(NetworkError, match="it was not tried"):
        network.resolve("waits")
    release.set()
