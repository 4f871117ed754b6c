"""Looks at storage: those that hang take only their share of the native threads."""

import threading
import time

import pytest

from common import concurrency
from compute_agent.errors import StorageHangsError, StorageSilentError
from compute_agent.storage.gate import Gate
from tests.fakes.host import WAIT_S


@pytest.fixture
def answers():
    """Set when storage answers again."""
    event = threading.Event()
    yield event
    event.set()


def hang(gate, answers):
    with pytest.raises(StorageSilentError, match="/srv/hung"):
        gate.look(answers.wait, WAIT_S, timeout_s=0.05, what="/srv/hung")


def test_a_look_returns_or_raises_what_it_found():
    gate = Gate()

    assert gate.look(lambda left, right: left + right, 1, 2, timeout_s=WAIT_S, what="") == 3
    with pytest.raises(FileNotFoundError):
        gate.look(open, "/nowhere", timeout_s=WAIT_S, what="")


def test_when_all_that_are_let_in_hang_no_other_waits(answers):
    gate = Gate(looks_max=2)
    hang(gate, answers)
    assert gate.look(lambda: "well", timeout_s=WAIT_S, what="/srv/well") == "well"
    hang(gate, answers)
    before = time.monotonic()

    with pytest.raises(StorageHangsError, match="/srv/well"):
        gate.look(lambda: "well", timeout_s=WAIT_S, what="/srv/well")

    assert time.monotonic() - before < WAIT_S / 2


def test_storage_that_answers_again_is_looked_at_again(answers):
    gate = Gate(looks_max=1)
    hang(gate, answers)
    answers.set()

    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            assert gate.look(lambda: "well", timeout_s=WAIT_S, what="/srv/well") == "well"
            return
        except StorageHangsError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_comes_while_others_are_at_work_waits_for_its_turn(answers):
    gate = Gate(looks_max=1)
    first = concurrency.spawn(lambda: gate.look(answers.wait, WAIT_S, timeout_s=WAIT_S, what="/srv/slow"))
    second = concurrency.spawn(lambda: gate.look(lambda: "well", timeout_s=WAIT_S, what="/srv/well"))
    time.sleep(0.05)
    assert not second.done

    answers.set()

    assert (first.wait(WAIT_S), second.wait(WAIT_S)) == (True, "well")


def test_threads_are_left_for_libvirt_however_many_looks_hang(answers):
    gate = Gate()
    for _ in range(concurrency.BLOCKING_THREADS):
        with pytest.raises(StorageSilentError):
            gate.look(answers.wait, WAIT_S, timeout_s=0.01, what="/srv/hung")

    assert concurrency.call_blocking(lambda: "libvirt", timeout_s=WAIT_S) == "libvirt"
