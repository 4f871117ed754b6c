"""How often a libvirtd is asked for its capabilities, and that what is kept is never another one's."""

import threading
import time

import pytest

from common import concurrency
from compute_agent.hypervisor.kept_capabilities import KEPT_S, KeptCapabilities
from tests.fakes.host import FakeClock


class FakeConnection:
    """A virConnect that counts how often it is asked."""

    def __init__(self, uuid="11111111-0000-4000-8000-000000000001", *, takes_s=0.0):
        self.uuid = uuid
        self.takes_s = takes_s
        self.asked = 0
        self.is_broken = False

    def getCapabilities(self):
        self.asked += 1
        time.sleep(self.takes_s)
        if self.is_broken:
            raise RuntimeError("broken")
        return f"<capabilities><host><uuid>{self.uuid}</uuid></host></capabilities>"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def kept(clock):
    return KeptCapabilities(clock)


def test_one_examination_asks_once(kept):
    connection = FakeConnection()

    assert {kept.read(connection).host_uuid for _ in range(6)} == {connection.uuid}
    assert connection.asked == 1


def test_who_asks_meanwhile_waits_for_the_same_answer(kept):
    connection = FakeConnection(takes_s=0.05)

    for task in [concurrency.spawn(kept.read, connection) for _ in range(6)]:
        task.wait(10.0)

    assert connection.asked == 1


def test_some_seconds_later_it_is_asked_again(kept, clock):
    connection = FakeConnection()
    kept.read(connection)
    clock.pass_s(KEPT_S + 0.1)

    kept.read(connection)

    assert connection.asked == 2


def test_a_new_connection_asks_anew(kept):
    kept.read(FakeConnection())

    assert kept.read(FakeConnection("22222222-0000-4000-8000-000000000002")).host_uuid.startswith("2222")


def test_a_connection_that_hangs_does_not_hold_up_a_new_one(kept):
    release = threading.Event()
    hanging = FakeConnection()
    hanging.getCapabilities = lambda: release.wait(10.0) and "<capabilities/>"
    stuck = concurrency.spawn(kept.read, hanging)

    assert concurrency.spawn(kept.read, FakeConnection()).wait(5.0).host_uuid
    release.set()
    stuck.wait(10.0)


def test_an_error_is_not_kept(kept):
    connection = FakeConnection()
    connection.is_broken = True
    with pytest.raises(RuntimeError):
        kept.read(connection)
    connection.is_broken = False

    assert kept.read(connection).host_uuid == connection.uuid
