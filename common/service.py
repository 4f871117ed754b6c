"""The frame of a daemon: start, say so to systemd, wait for a signal, stop in order.

def main() -> int:
    concurrency.setup(concurrency.configured_backend(sys.argv[1:]))
    from conductor.app import Conductor          # after the patching
    return service.run(conductor.start, conductor.stop)
"""

import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from common import concurrency, watchdog
from common.errors import LimosaError

STOP_TIMEOUT_S = 30.0  # systemd's own patience (TimeoutStopSec) must be longer
PACKAGES = ("common", "conductor", "compute_agent", "client")

LOG = logging.getLogger(__name__)


class _News(StrEnum):
    """What the main thread waits for."""

    STARTED = "started"
    FAILED = "failed"
    STOP = "stop"


class ForeignPackageError(LimosaError):
    """Another distribution's package of the same general name is imported in place of ours."""

    message = "The package {package} is not Limosa's: it comes from {found}, ours is in {expected}."
    hint = "Install Limosa into a virtual environment of its own."
    exit_code = 2


def run(start: Callable[[], object], stop: Callable[[], object]) -> int:
    """Run a service until SIGTERM or SIGINT; the process's exit code.

    `start` may block (a broker that is away) and is stopped then, too; what it raises ends the service. An orderly
    stop aborts no migration: `stop` only lets go of things.
    """
    _log_uncaught_exceptions()
    news: concurrency.Mailbox[_News] = concurrency.Mailbox()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: news.put(_News.STOP))
    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # a terminal that closes; the configuration is read at start only
    try:
        check_packages()
    except ForeignPackageError as error:
        LOG.error("%s %s", error, error.advice)
        return error.exit_code
    starting = concurrency.spawn(_start, start, news)
    came = news.get()
    if came is _News.STARTED:
        notify("READY=1")
        LOG.info("ready")
        if (patience_s := watchdog.patience_s()) is not None:
            watchdog.Watchdog(patience_s, notify).start()
        came = news.get()
    if came is _News.FAILED:
        exit_code = starting.wait(STOP_TIMEOUT_S)
        _stop(stop)
        return exit_code
    notify("STOPPING=1")
    LOG.info("stopping")
    return _stop(stop)


def check_packages() -> None:
    """Our packages have general names; raises ForeignPackageError if one of them is somebody else's."""
    ours = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)  # None: not installed on this host, which is allowed
        if spec is not None and spec.origin and Path(spec.origin).resolve().parent.parent != ours:
            raise ForeignPackageError(package=package, found=spec.origin, expected=ours)


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # of Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(), address)
    except OSError as error:
        LOG.warning("systemd could not be told %s: %s", state, error)


def _start(start: Callable[[], object], news: concurrency.Mailbox[_News]) -> int:
    try:
        start()
    except LimosaError as error:
        LOG.error("cannot start: %s %s", error, error.advice)
        news.put(_News.FAILED)
        return error.exit_code
    except Exception:
        LOG.exception("cannot start")
        news.put(_News.FAILED)
        return 1
    news.put(_News.STARTED)
    return 0


def _stop(stop: Callable[[], object]) -> int:
    try:
        concurrency.spawn(stop).wait(STOP_TIMEOUT_S)
    except concurrency.TaskTimeout:
        LOG.error("could not stop in order within %s s", STOP_TIMEOUT_S)
        logging.shutdown()
        os._exit(1)  # Python's own exit would wait for the thread that hangs
    except Exception:
        LOG.exception("could not stop in order")
        return 1
    LOG.info("stopped")
    return 0


def _log_uncaught_exceptions() -> None:
    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        LOG.critical("uncaught exception", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "?"
        if args.exc_value is not None:
            LOG.critical(
                "uncaught exception in %s", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
            )

    sys.excepthook = in_main
    threading.excepthook = in_thread
