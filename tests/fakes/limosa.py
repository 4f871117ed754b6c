"""Run the `limosa` command in this process, against whatever conductor a test gives it."""

import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from client.shell import Shell
from tests.fakes.conductor import FakeConductor


class Stream(io.StringIO):
    """Standard output or error, of a terminal or not."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Run:
    """One run: its exit code and what it wrote. No run ever shows a traceback."""

    def __init__(
        self,
        connect: Callable[[Sequence[str]], Any],
        *argv: str,
        is_terminal: bool = False,
        listen: Callable[[Sequence[str], str], Any] | None = None,
    ) -> None:
        stdout, stderr = Stream(), Stream(is_terminal=is_terminal)
        with _root_logger_kept():
            try:
                self.code = Shell(connect=connect, listen=listen, stdout=stdout, stderr=stderr).run(
                    list(argv)
                )
            except SystemExit as end:  # how argparse ends: usage errors and help
                self.code = end.code or 0
        self.stdout = stdout.getvalue()
        self.stderr = stderr.getvalue()
        assert "Traceback" not in self.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


def run(conductor: FakeConductor, *argv: str, is_terminal: bool = False) -> Run:
    """Run `limosa` against a conductor in memory."""
    return Run(lambda files: conductor, *argv, is_terminal=is_terminal)


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """cliff adds a handler to the root logger at each run, as a process of its own may."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
