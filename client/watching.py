"""Follow one migration by long polls until it ends, or until watching makes no sense any more.

Watching changes nothing: whoever stops, and whatever breaks between here and the conductors, the migration goes on.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from client import sentences
from client.display import Display
from client.exit_codes import ExitCode, of_final
from common.errors import ServiceUnreachableError
from common.views import MigrationView

if TYPE_CHECKING:
    from common.conductor_api import ConductorAPI

POLL_S: Final = 3.0  # how long a conductor may hold one poll while nothing changes
RETRY_S: Final = 1.0  # between two polls that nobody answered
WATCH_LIMIT_S: Final = 86_400.0  # without --timeout; a transfer that lasts longer is watched again
DOUBT_LIMIT_S: Final = 300.0  # of uninterrupted waiting for a host in doubt, without --timeout
SILENCE_LIMIT_S: Final = 300.0  # without an answer of any conductor, without --timeout
_NO_PROGRESS: Final = -1  # smaller than every sequence


class Ending(StrEnum):
    """Why watching ended."""

    FINAL = "final"
    TIME_PASSED = "time-passed"
    IN_DOUBT = "in-doubt"
    SILENCE = "silence"


def exit_code(view: MigrationView, ending: Ending) -> ExitCode:
    """What the newest view, and that no newer one is awaited, mean for a script."""
    match ending:
        case Ending.FINAL:
            return of_final(view)
        case Ending.TIME_PASSED:
            return ExitCode.STILL_RUNNING
        case _:
            return ExitCode.UNKNOWN


class Watcher:
    """Watches one migration; `timeout_s` None takes the limits of this module.

    `view` is the newest, also for whoever interrupts the watching.
    """

    def __init__(
        self,
        conductor: "ConductorAPI",
        view: MigrationView,
        *,
        display: Display,
        timeout_s: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.view = view
        self._conductor = conductor
        self._display = display
        self._clock = clock
        self._sleep = sleep
        self._limit_s = WATCH_LIMIT_S if timeout_s is None else timeout_s
        self._doubt_limit_s = DOUBT_LIMIT_S if timeout_s is None else timeout_s
        self._silence_limit_s = SILENCE_LIMIT_S if timeout_s is None else timeout_s
        self._doubted_since: float | None = None
        self._silent_since: float | None = None

    def watch(self) -> Ending:
        """Show the view and all that follow, until one is final or a limit is reached."""
        ends_at = self._clock() + self._limit_s
        while True:
            self._display.show(self.view)
            if self.view.status.is_final:
                return Ending.FINAL
            self._note_doubt()
            now = self._clock()
            if self._has_lasted(self._silent_since, self._silence_limit_s, now):
                return Ending.SILENCE
            if self._has_lasted(self._doubted_since, self._doubt_limit_s, now):
                return Ending.IN_DOUBT
            if now >= ends_at:
                return self._ending_at_timeout()
            self._poll(timeout_s=min(POLL_S, ends_at - now))

    def _poll(self, *, timeout_s: float) -> None:
        """Take the next view; keep the old one when nobody answers."""
        asked_at = self._clock()
        try:
            self.view = self._conductor.watch_migration(
                self.view.id,
                after_version=self.view.version,
                after_progress=_NO_PROGRESS if self.view.progress is None else self.view.progress.sequence,
                timeout_s=timeout_s,
            )
        except ServiceUnreachableError:
            if self._silent_since is None:
                self._silent_since = asked_at
                self._display.say("No conductor answers; the migration goes on without it. Still watching.")
            self._sleep(min(RETRY_S, timeout_s))
            return
        if self._silent_since is not None:
            self._silent_since = None
            self._display.say("A conductor answers again.")

    def _note_doubt(self) -> None:
        if not self.view.waiting_for:
            self._doubted_since = None
        elif self._doubted_since is None:
            self._doubted_since = self._clock()
            self._display.say(sentences.of_waiting(self.view))

    def _ending_at_timeout(self) -> Ending:
        if self._silent_since is not None:
            return Ending.SILENCE
        return Ending.TIME_PASSED if self._doubted_since is None else Ending.IN_DOUBT

    @staticmethod
    def _has_lasted(since: float | None, limit_s: float, now: float) -> bool:
        return since is not None and now - since >= limit_s
