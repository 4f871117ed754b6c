"""Long work on files: its result is waited for, and nobody waits for what is not wanted or stands still."""

import threading
from collections.abc import Iterator

import pytest

from compute_agent.errors import StorageHangsError, StorageSilentError, WorkStoppedError
from compute_agent.long_work import GivenUp, LongWork, Watch

STALL_S = 0.5
WAIT_S = 10.0


class Work:
    """Advances until it is let go, or hangs."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.ended_by: list[BaseException] = []
        self.has_ended = threading.Event()

    def hang(self, watch: Watch) -> str:
        self.let_go.wait(WAIT_S)
        return self.advance(watch)

    def advance(self, watch: Watch) -> str:
        try:
            while not self.let_go.wait(0.01):
                watch.advance(1)
            watch.advance(1)
        except GivenUp as error:
            self.ended_by.append(error)
            raise
        finally:
            self.has_ended.set()
        return "done"


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.let_go.set()


def test_what_it_returns_is_returned() -> None:
    assert LongWork().run(lambda _watch: 42, what="a file") == 42


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        LongWork().run(lambda _watch: 1 // 0, what="a file")


def test_it_may_take_longer_than_a_standstill_while_it_advances(work: Work) -> None:
    timer = threading.Timer(3 * STALL_S, work.let_go.set)
    timer.start()

    assert LongWork().run(work.advance, what="a file", stall_s=STALL_S) == "done"


def test_what_stands_still_is_told_by_its_name_and_ends_when_it_can(work: Work) -> None:
    with pytest.raises(StorageSilentError, match="a file"):
        LongWork().run(work.hang, what="a file", stall_s=STALL_S)

    work.let_go.set()
    assert work.has_ended.wait(WAIT_S)
    assert [type(error) for error in work.ended_by] == [GivenUp]


def test_a_newer_command_ends_it(work: Work) -> None:
    with pytest.raises(WorkStoppedError):
        LongWork().run(work.advance, what="a file", is_stopped=lambda: True)

    assert work.has_ended.wait(WAIT_S)


def test_no_more_is_begun_while_all_of_it_hangs(work: Work) -> None:
    long_work = LongWork(running_max=1)
    with pytest.raises(StorageSilentError):
        long_work.run(work.hang, what="a file", stall_s=STALL_S)

    with pytest.raises(StorageHangsError, match="another"):
        long_work.run(lambda _watch: 42, what="another", stall_s=STALL_S)

    work.let_go.set()
    assert work.has_ended.wait(WAIT_S)
    assert long_work.run(lambda _watch: 42, what="another") == 42
