"""When a service is called alive."""

import os
import threading

import pytest

from common import concurrency, watchdog


@pytest.mark.parametrize(
    ("environment", "patience_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "90000000"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": str(os.getpid())}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_systemd_says_how_long_it_waits(environment, patience_s):
    assert watchdog.patience_s(environment) == patience_s


def test_a_service_whose_native_threads_answer_is_called_alive():
    told = []
    watchdog.Watchdog(90.0, told.append).feed()
    assert told == ["WATCHDOG=1"]


def test_a_service_whose_native_threads_all_hang_is_not_called_alive(caplog):
    told, may_end = [], threading.Event()
    hanging = [
        concurrency.spawn(lambda: concurrency.call_blocking(may_end.wait, 15, timeout_s=15))
        for _ in range(concurrency.BLOCKING_THREADS)
    ]
    try:
        while not watchdog_goes_hungry(told, caplog):
            pass
    finally:
        may_end.set()
    for each in hanging:
        each.wait(15)
    told.clear()
    watchdog.Watchdog(90.0, told.append).feed()
    assert told == ["WATCHDOG=1"]


def watchdog_goes_hungry(told, caplog) -> bool:
    """Whether it was not fed; the threads may not all have begun to hang yet."""
    before = len(told)
    watchdog.Watchdog(0.15, told.append).feed()
    return len(told) == before and "no native thread answers" in caplog.text
