"""The progress bar on a terminal, drawn by rich (which honours NO_COLOR and dumb terminals)."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.text import Text

from client import progress
from common.views import MigrationView

_REDRAWS_PER_S = 8.0
_BAR_WIDTH = 24


class _Elapsed(ProgressColumn):
    """Seconds since the migration was accepted, ticking between two views; not since this command began."""

    def render(self, task: Task) -> Text:
        elapsed_s: float = task.fields["seconds"]
        if not task.fields["is_final"]:
            elapsed_s += time.monotonic() - task.fields["seen_at"]
        return Text(f"{elapsed_s:.1f} s")


class _TwoLines(Progress):
    """The bar, and below it the numbers of the running job: beside each other they do not fit 80 columns."""

    numbers = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        if self.numbers:
            yield Text(f"  {self.numbers}", no_wrap=True, overflow="ellipsis")


class Bar:
    """What is done now, how far, for how long, and the numbers that libvirt tells."""

    def __init__(self, stderr: TextIO) -> None:
        self._course = progress.Course()
        self._newest: MigrationView | None = None
        self._bar = _TwoLines(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR_WIDTH),
            TaskProgressColumn(),
            _Elapsed(),
            console=Console(file=stderr),
            refresh_per_second=_REDRAWS_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(
            "", total=1.0, visible=False, seconds=0.0, seen_at=time.monotonic(), is_final=False
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, view: MigrationView) -> None:
        if view is self._newest:  # nobody answers: the seconds run on from when it was new
            return
        self._newest = view
        is_moving = progress.is_transferring(view)
        told = view.progress if is_moving else None
        self._bar.numbers = "" if told is None else progress.numbers(told.statistics, eta_s=told.eta_s)
        self._bar.update(
            self._task,
            description=f"{view.instance_name}: {progress.label(view)}",
            completed=self._course.advance(view),
            visible=True,
            seconds=view.seconds,
            seen_at=time.monotonic(),
            is_final=view.status.is_final,
        )
        self._bar.refresh()  # at once: a step that is over before the next tick is seen as well

    def say(self, sentence: str) -> None:
        self._bar.console.print(sentence, markup=False, highlight=False)
