"""Where a watched migration is shown: a bar on a terminal, silence elsewhere.

Warnings (`say`) reach stderr either way: a script's log should tell why nothing moves.
"""

from types import TracebackType
from typing import Protocol, Self, TextIO

from common.views import MigrationView


class Display(Protocol):
    """Shows one migration from `__enter__` to `__exit__`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, view: MigrationView) -> None:
        """Take the newest view."""

    def say(self, sentence: str) -> None:
        """Tell something that a person should know, once."""


class Quiet:
    """For a stderr that nobody looks at."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to take down."""

    def show(self, view: MigrationView) -> None:
        """Progress is not for files."""

    def say(self, sentence: str) -> None:
        print(sentence, file=self._stderr, flush=True)


def display_for(stderr: TextIO, *, is_quiet: bool) -> Display:
    """A bar where a person sees it, unless he asked for quiet."""
    if is_quiet or not stderr.isatty():
        return Quiet(stderr)
    # rich takes some 25 ms to import: only for those who look at it.
    from client.bar import Bar

    return Bar(stderr)
