"""An agent that is shut out says so where a person looks: in its log."""

import logging

import pytest

from common.errors import LimosaError, ServiceUnreachableError
from common.identity import KeyUnknownError
from common.rpc import ReplyNotProvenError
from compute_agent.greeting import Greeting

SHUT_OUT = (
    KeyUnknownError(signer="host:compute1"),
    ReplyNotProvenError(method="greet", reason="its signature is somebody else's"),
)


class Conductor:
    def __init__(self) -> None:
        self.error: LimosaError | None = None

    def greet(self, host):
        assert host == "compute1"
        if self.error is not None:
            raise self.error
        return True


@pytest.fixture
def conductor():
    return Conductor()


@pytest.fixture
def greeting(conductor):
    return Greeting(conductor, host="compute1")


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_who_is_let_in_says_nothing(greeting, caplog):
    greeting.greet()
    assert caplog.records == []


@pytest.mark.parametrize("error", SHUT_OUT, ids=lambda error: type(error).__name__)
def test_who_is_shut_out_says_so_each_time_with_what_to_do(greeting, conductor, caplog, error):
    conductor.error = error
    greeting.greet()
    greeting.greet()
    assert len(errors(caplog)) == 2
    assert str(error) in errors(caplog)[0]
    assert error.advice in errors(caplog)[0]


def test_who_is_let_in_again_says_so_once(greeting, conductor, caplog):
    caplog.set_level(logging.INFO)
    conductor.error = SHUT_OUT[0]
    greeting.greet()
    conductor.error = None
    greeting.greet()
    greeting.greet()
    assert [record.getMessage() for record in caplog.records].count("this host is let in again") == 1


def test_nobody_who_answers_is_nothing_to_be_told_of(greeting, conductor, caplog):
    conductor.error = ServiceUnreachableError(timeout_s="5", bus="rabbit://")
    greeting.greet()
    assert errors(caplog) == []
