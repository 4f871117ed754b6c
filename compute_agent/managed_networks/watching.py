"""Have the networks of this host settled when something has happened that may concern them, and now and then."""

import threading

from common import concurrency
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent
from compute_agent.managed_networks.keeper import NetworkKeeper

COALESCE_S = 0.3  # a start or a stop are several events
LOOK_AGAIN_AFTER_S = 1.0  # a domain that has stopped may be there for some ms still
STOP_WAIT_S = 20.0  # for a question to a conductor, and one to libvirt

_NEWS = (EventKind.DEFINED, EventKind.UNDEFINED, EventKind.STARTED, EventKind.STOPPED, EventKind.RELIST)


class NetworkWatch:
    """One thread, which alone calls `NetworkKeeper.settle`."""

    def __init__(self, keeper: NetworkKeeper, *, interval_s: float) -> None:
        """`interval_s`: between two questions to a conductor, if none says that something is new."""
        self._keeper = keeper
        self._interval_s = interval_s
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._is_pull_due = True
        self._is_look_due = False
        self._task: concurrency.Task[None] | None = None

    def start(self) -> None:
        self._task = concurrency.spawn(self._run)

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()
        if self._task is not None:
            self._task.wait(STOP_WAIT_S)

    def on_event(self, event: HypervisorEvent) -> None:
        if event.kind in _NEWS:
            self._is_look_due = True
            self._news.set()

    def refresh(self) -> None:
        """What is declared has changed."""
        self._is_pull_due = True
        self._news.set()

    def _run(self) -> None:
        self._keeper.settle()  # by what was told before: a conductor may be long in coming
        while not self._stopping.is_set():
            is_look_due, self._is_look_due = self._is_look_due, False
            is_pull_due, self._is_pull_due = self._is_pull_due, False
            if is_pull_due:
                self._keeper.pull()
            elif is_look_due:
                self._keeper.settle()
            is_news = self._news.wait(LOOK_AGAIN_AFTER_S if is_look_due else self._interval_s)
            self._news.clear()
            if is_news:
                self._stopping.wait(COALESCE_S)
            elif is_look_due:
                self._keeper.settle()
            else:
                self._is_pull_due = True
