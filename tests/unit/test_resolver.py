"""Host names are looked up where nobody waits behind them."""

import socket
import types

import pytest

from common import resolver


@pytest.fixture
def install():
    """Install on a module of the test's own."""

    def install(*, run_blocking, is_native=False):
        module = types.ModuleType("green")
        resolver.install([module], is_native_thread=lambda: is_native, run_blocking=run_blocking)
        return module

    return install


def refuse(_look_up):
    raise AssertionError("this thread may wait by itself")


def test_a_name_is_looked_up_by_whoever_may_block(install):
    waited = []

    def run_blocking(look_up):
        waited.append(look_up)
        return look_up()

    module = install(run_blocking=run_blocking)
    assert module.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM) == socket.getaddrinfo(
        "localhost", 80, type=socket.SOCK_STREAM
    )
    assert len(waited) == 1


def test_a_native_thread_waits_by_itself(install):
    module = install(run_blocking=refuse, is_native=True)
    assert module.getaddrinfo("127.0.0.1", 80)


def test_a_name_server_that_is_silent_is_an_error_of_the_look_up(install):
    def time_out(_look_up):
        raise TimeoutError

    module = install(run_blocking=time_out)
    with pytest.raises(socket.gaierror, match="could not be looked up in time") as caught:
        module.getaddrinfo("localhost", 80)
    assert caught.value.errno == socket.EAI_AGAIN
