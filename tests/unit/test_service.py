"""The frame of a daemon, in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from common import service
from common.errors import InvalidRequestError

ROOT = Path(__file__).parents[2]
WAIT_S = 15

PREAMBLE = """
import sys
from common import concurrency
concurrency.setup(sys.argv[1])
from common import log, service
from common.errors import InvalidRequestError
log.setup("INFO")
"""


@pytest.fixture
def systemd(tmp_path):
    """Where systemd would listen for what a service has to say."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(WAIT_S)
        yield listener


@pytest.fixture(params=["eventlet", "threading"])
def start(request, systemd):
    """Start a script as a service; ended with the test."""
    processes = []

    def start(script: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(script), request.param],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "NOTIFY_SOCKET": systemd.getsockname(),
                **environment,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order_and_systemd_hears_of_it(start, systemd, number):
    process = start("""
        stop = lambda: print("stopped by us", file=sys.stderr)
        sys.exit(service.run(lambda: None, stop))
    """)
    assert systemd.recv(64) == b"READY=1"
    process.send_signal(signal.SIGHUP)
    process.send_signal(number)
    assert systemd.recv(64) == b"STOPPING=1"
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert "stopped by us" in log


def test_a_start_that_hangs_can_be_stopped(start, systemd):
    process = start("""
        def hang():
            service.notify("STATUS=waiting")
            concurrency.sleep(60)

        sys.exit(service.run(hang, lambda: None))
    """)
    assert systemd.recv(64) == b"STATUS=waiting"
    process.terminate()
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 0


def test_a_start_that_fails_for_a_reason_gives_the_reason_and_no_traceback(start):
    process = start("""
        def fail():
            raise InvalidRequestError(reason="the ledger is in use")

        sys.exit(service.run(fail, lambda: None))
    """)
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == InvalidRequestError.exit_code
    assert "cannot start: the ledger is in use" in log
    assert "Traceback" not in log


def test_a_bug_at_start_is_logged_with_its_traceback(start):
    process = start("""
        sys.exit(service.run(lambda: 1 / 0, lambda: None))
    """)
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert "ZeroDivisionError" in log


def test_a_stop_that_hangs_is_given_up(start, systemd):
    process = start("""
        service.STOP_TIMEOUT_S = 0.2
        sys.exit(service.run(lambda: None, lambda: concurrency.sleep(60)))
    """)
    assert systemd.recv(64) == b"READY=1"
    process.terminate()
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert "could not stop in order" in log


def test_a_service_that_lives_says_so_again_and_again(start, systemd):
    process = start("sys.exit(service.run(lambda: None, lambda: None))", WATCHDOG_USEC="300000")
    assert [systemd.recv(64) for _ in range(4)] == [b"READY=1"] + 3 * [b"WATCHDOG=1"]
    process.terminate()
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 0


@pytest.mark.parametrize("start", ["eventlet"], indirect=True)
def test_a_call_that_holds_all_green_threads_is_no_life_and_the_stacks_are_told(start, systemd):
    process = start(
        """
        def hold():
            service.notify("STATUS=held")
            concurrency._native("time").sleep(0.6)
            service.notify("STATUS=free")

        sys.exit(service.run(lambda: concurrency.spawn(hold), lambda: None))
        """,
        WATCHDOG_USEC="150000",
    )
    while systemd.recv(64) != b"STATUS=held":
        pass
    assert systemd.recv(64) == b"STATUS=free"  # and no sign of life before it
    while systemd.recv(64) != b"WATCHDOG=1":
        pass
    process.send_signal(signal.SIGABRT)  # as systemd ends a service that gives none
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGABRT
    assert "most recent call first" in log


def test_packages_of_ours_pass():
    service.check_packages()


def test_somebody_elses_package_of_the_same_name_is_found(tmp_path, monkeypatch):
    (tmp_path / "limosa_foreign").mkdir()
    (tmp_path / "limosa_foreign" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(service, "PACKAGES", ("common", "limosa_foreign", "limosa_not_installed"))
    with pytest.raises(service.ForeignPackageError, match="limosa_foreign"):
        service.check_packages()


def test_without_systemd_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service.notify("READY=1")
