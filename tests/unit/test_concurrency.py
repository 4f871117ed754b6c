"""Threads of work. Each promise is kept by both backends; eventlet's run is a process of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from common import backend

ROOT = Path(__file__).parents[2]

PREAMBLE = """
import sys, threading, time
from common import concurrency
concurrency.setup(sys.argv[1])
from common.concurrency import (
    BlockingCallTimeout, Mailbox, MailboxFull, TaskTimeout, call_blocking, every, sleep, spawn, start_native_thread,
)
"""


@pytest.fixture(params=["eventlet", "threading"])
def run(request):
    """Run a script under the backend; it must end well, and quickly."""

    def run(script: str) -> str:
        ended = subprocess.run(
            [
                sys.executable,
                "-W",
                "error::DeprecationWarning",
                "-c",
                PREAMBLE + textwrap.dedent(script),
                request.param,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        return ended.stdout

    return run


def test_a_task_has_a_result_or_raises_where_it_is_waited_for(run):
    run("""
        def fail():
            raise ValueError("no")

        assert spawn(lambda a, b: a + b, 1, 2).wait(5) == 3
        task = spawn(fail)
        try:
            task.wait(5)
        except ValueError as error:
            assert str(error) == "no" and task.done
        else:
            raise AssertionError
    """)


def test_waiting_for_a_task_is_bounded(run):
    run("""
        release = threading.Event()
        task = spawn(release.wait, 20)
        try:
            task.wait(0.05)
        except TaskTimeout:
            assert not task.done
        release.set()
        assert task.wait(5) is True
    """)


def test_a_blocking_call_does_not_hold_up_the_others(run):
    run("""
        import ctypes
        usleep = ctypes.CDLL(None).usleep  # blocks the thread whatever is patched, and lets go of the GIL

        ticks = []
        ticker = every(0.02, lambda: ticks.append(1))
        assert call_blocking(usleep, 300_000, timeout_s=5) == 0
        ticker.stop()
        assert len(ticks) >= 5, ticks
    """)


def test_blocking_calls_run_beside_each_other_in_native_threads(run):
    run("""
        import ctypes
        usleep = ctypes.CDLL(None).usleep
        started = time.monotonic()
        tasks = [spawn(lambda: call_blocking(usleep, 300_000, timeout_s=5)) for _ in range(10)]
        for task in tasks:
            task.wait(5)
        assert time.monotonic() - started < 2.0
    """)


def test_what_a_blocking_call_raises_is_raised_where_it_was_made(run):
    run("""
        try:
            call_blocking(int, "x", timeout_s=5)
        except ValueError:
            pass
        else:
            raise AssertionError
    """)


def test_a_blocking_call_that_hangs_is_given_up_and_one_that_never_began_never_begins(run):
    run("""
        import ctypes
        usleep = ctypes.CDLL(None).usleep
        marks = []

        hanging = []
        for _ in range(concurrency.BLOCKING_THREADS):
            hanging.append(spawn(lambda: call_blocking(usleep, 600_000, timeout_s=0.2)))
        sleep(0.1)
        try:
            call_blocking(marks.append, "late", timeout_s=0.05)
        except BlockingCallTimeout as error:
            assert not error.has_started
        else:
            raise AssertionError
        for task in hanging:
            try:
                task.wait(5)
            except BlockingCallTimeout as error:
                assert error.has_started
            else:
                raise AssertionError
        sleep(1.0)
        assert call_blocking(len, "abc", timeout_s=5) == 3
        assert marks == []
    """)


def test_a_native_thread_speaks_through_a_mailbox(run):
    run("""
        mailbox = Mailbox()

        def work():
            for number in range(1000):
                mailbox.put(number)

        start_native_thread(work, "counter")
        assert [mailbox.get(5) for _ in range(1000)] == list(range(1000))
        assert mailbox.get(0.02) is None
        mailbox.close()
    """)


def test_a_waiting_reader_is_woken_at_once(run):
    run("""
        import ctypes
        usleep = ctypes.CDLL(None).usleep
        mailbox = Mailbox()
        start_native_thread(lambda: (usleep(100_000), mailbox.put(time.monotonic())), "later")
        sent = mailbox.get(5)
        assert time.monotonic() - sent < 0.1
    """)


def test_a_mailbox_that_nobody_reads_is_bounded(run):
    run("""
        mailbox = Mailbox(max_items=2)
        mailbox.put(1); mailbox.put(2)
        try:
            mailbox.put(3)
        except MailboxFull:
            pass
        else:
            raise AssertionError
        assert mailbox.get(1) == 1
        mailbox.put(3)
    """)


def test_a_signal_reaches_the_one_who_waits(run):
    run("""
        import os, signal
        mailbox = Mailbox()
        signal.signal(signal.SIGTERM, lambda *_: mailbox.put("term"))
        spawn(lambda: (sleep(0.05), os.kill(os.getpid(), signal.SIGTERM)))
        assert mailbox.get(5) == "term"
    """)


def test_periodic_work_survives_its_errors_and_stops(run):
    run("""
        import logging
        logging.disable(logging.CRITICAL)
        calls = []

        def work():
            calls.append(1)
            raise ValueError

        repeating = every(0.01, work)
        sleep(0.2)
        repeating.stop()
        count = len(calls)
        assert count >= 3, count
        sleep(0.05)
        assert len(calls) == count
    """)


def test_work_hands_its_log_fields_on(run):
    run("""
        import contextvars
        name = contextvars.ContextVar("name")
        name.set("web1")
        mailbox = Mailbox()
        start_native_thread(lambda: mailbox.put(name.get()), "native")
        assert mailbox.get(5) == "web1"
        assert call_blocking(name.get, timeout_s=5) == "web1"
        assert spawn(name.get).wait(5) == "web1"
    """)


def test_a_name_is_looked_up_in_green_and_in_native_threads(run):
    run("""
        import socket

        box = Mailbox()
        start_native_thread(lambda: box.put(socket.getaddrinfo("localhost", 80)), "native")
        assert box.get(5) == socket.getaddrinfo("localhost", 80)
        assert spawn(socket.getaddrinfo, "127.0.0.1", 80).wait(5)
        try:
            socket.getaddrinfo("no.such.name.invalid", 80)
        except socket.gaierror:
            pass
        else:
            raise AssertionError("a name that is none was found")
        assert not any(name.partition(".")[0] == "dns" for name in sys.modules)
    """)


def test_a_library_that_is_imported_so_has_the_standard_library_as_it_is_without_eventlet(run):
    run("""
        import sys
        import common.concurrency as concurrency

        ours = threading.Lock
        with concurrency.native_modules():
            import threading as within
            native = within.Lock()
        assert type(native).__name__ == "lock"  # the interpreter's own
        assert sys.modules["threading"] is threading and threading.Lock is ours
    """)


def test_links_are_looked_at_from_many_threads_at_once(run):
    run("""
        from compute_agent.links import HostLinks

        links = HostLinks()
        tasks = [spawn(links.find, "lo") for _ in range(40)]
        assert {task.wait(10).mtu for task in tasks} == {65536}
    """)


def test_only_concurrency_imports_eventlet():
    importers = [
        str(path.relative_to(ROOT))
        for package in ("common", "conductor", "compute_agent", "client")
        for path in (ROOT / package).rglob("*.py")
        if any(
            line.strip().startswith(("import eventlet", "from eventlet"))
            for line in path.read_text().splitlines()
        )
    ]
    assert importers == ["common/concurrency.py"]


def test_a_service_without_arguments_has_the_default_backend(monkeypatch, tmp_path):
    monkeypatch.delenv(backend.BACKEND_VARIABLE, raising=False)
    monkeypatch.setattr(backend, "CONFIG_PATH", str(tmp_path / "nowhere.conf"))
    assert backend.configured_backend([]) == "eventlet"


@pytest.mark.parametrize(
    ("environment", "file", "expected"),
    [
        ("", "", "eventlet"),
        ("", "[DEFAULT]\nconcurrency_backend = threading\n", "threading"),
        ("eventlet", "[DEFAULT]\nconcurrency_backend = threading\n", "eventlet"),
        ("threading", "", "threading"),
        ("", "[agent]\nconcurrency_backend = threading\n", "eventlet"),
        ("", "this is no configuration", "eventlet"),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_the_environment_goes_before_the_file(tmp_path, monkeypatch, environment, file, expected, joined):
    path = tmp_path / "limosa.conf"
    path.write_text(file)
    monkeypatch.setenv(backend.BACKEND_VARIABLE, environment)
    argv = [f"--config-file={path}"] if joined else ["--verbose", "--config-file", str(path)]
    assert backend.configured_backend(argv) == expected
