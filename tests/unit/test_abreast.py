"""Asking many hosts: how many at a time, for how long, and that none of them hides the others."""

import threading
import time

from conductor.abreast import End, ask_abreast

WAIT_S = 10.0


def test_each_is_asked_once_and_answered_for_in_order():
    names = [f"compute{number}" for number in range(20)]

    ends = ask_abreast(names, str.upper, at_once=3, timeout_s=WAIT_S)

    assert list(ends) == names
    assert ends["compute7"] == End(has_begun=True, result="COMPUTE7")


def test_no_more_are_asked_at_a_time_than_may_be():
    lock, busy, most = threading.Lock(), 0, 0

    def ask(_name):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.005)
        with lock:
            busy -= 1

    ask_abreast([str(number) for number in range(24)], ask, at_once=4, timeout_s=WAIT_S)

    assert most == 4


def test_one_that_raises_is_its_own_affair():
    def ask(name):
        if name == "compute2":
            raise KeyError("graphics")
        return name

    ends = ask_abreast(["compute1", "compute2", "compute3"], ask, at_once=1, timeout_s=WAIT_S)

    assert isinstance(ends["compute2"].error, KeyError)
    assert ends["compute3"].result == "compute3"


def test_when_the_time_is_over_it_says_who_has_not_ended_and_who_has_not_begun():
    release = threading.Event()
    asked = []

    def ask(name):
        asked.append(name)
        release.wait(WAIT_S)
        return name

    ends = ask_abreast(["hangs", "waits"], ask, at_once=1, timeout_s=0.1)
    release.set()

    assert ends == {"hangs": End(has_begun=True), "waits": End(has_begun=False)}
    time.sleep(0.05)
    assert asked == ["hangs"], "nothing begins afterwards"
