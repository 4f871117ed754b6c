"""The `limosa` command."""

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cliff.app import App
from cliff.commandmanager import CommandManager

if TYPE_CHECKING:
    from client.following import Feed
    from common.conductor_api import ConductorAPI

Connect = Callable[[Sequence[str]], "ConductorAPI"]
Listen = Callable[[Sequence[str], str], "Feed"]
COMMANDS: Final = "limosa.client"  # the entry points of setup.cfg
_VERBOSE: Final = 2  # cliff counts from 1
_DESCRIPTION: Final = "Live-migrate the guests of plain libvirt/KVM hosts."


class Shell(App):
    """Options, logging and the connection that all commands share."""

    NAME = "limosa"
    LOG = logging.getLogger(NAME)

    def __init__(self, *, connect: Connect, listen: Listen | None = None, **streams: Any) -> None:
        super().__init__(
            description=_DESCRIPTION,
            version=version(self.NAME),
            command_manager=CommandManager(COMMANDS),
            deferred_help=True,  # `limosa list --help` is about `list`
            **streams,
        )
        self._connect = connect
        self._listen = listen

    @cached_property
    def conductor(self) -> "ConductorAPI":
        """The conductors; a command that needs none never connects."""
        return self._connect(self.options.config_files)

    def feed(self, pattern: str) -> "Feed":
        """The events whose type fits the pattern."""
        assert self._listen is not None, "this shell was made without a way to the events"
        return self._listen(self.options.config_files, pattern)

    @property
    def is_quiet(self) -> bool:
        return self.options.verbose_level == 0

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: dict[str, Any] | None = None
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().build_option_parser(description, version, argparse_kwargs)
        parser.add_argument(
            "--config-file",
            metavar="FILE",
            dest="config_files",
            action="append",
            default=[],
            help="configuration; may be repeated (default ~/.config/limosa/client.conf, else /etc/limosa/client.conf, "
            "else /etc/limosa/limosa.conf)",
        )
        return parser

    def configure_logging(self) -> None:
        """Show what libraries log only with -v: what an operator must know, errors and sentences say."""
        super().configure_logging()
        if self.options.verbose_level >= _VERBOSE:
            return
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self.stderr:
                handler.addFilter(logging.Filter(self.NAME))

    def initialize_app(self, argv: list[str]) -> None:
        """Refuse to run without a command: cliff would start a shell of its own, which takes long to import."""
        self.print_help_if_requested()
        if not argv:
            self.parser.error("name a command; `limosa help` lists them")

    def run(self, argv: list[str]) -> int:
        code: int = super().run(argv or ["--help"])
        return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (`client.exit_codes`)."""
    from client.connection import connect, listen

    _make_streams_dependable()
    return Shell(connect=connect, listen=listen).run(list(sys.argv[1:] if argv is None else argv))


def _make_streams_dependable() -> None:
    """Let no output fail for what it is written to: the migration is accepted, and the exit code must say so.

    A stream that is closed (`2>&-`) is None to Python; one without UTF-8 gets what it cannot show escaped.
    """
    for stream_name in ("stdout", "stderr"):
        stream = getattr(sys, stream_name)
        if stream is None:
            setattr(sys, stream_name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # for the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
