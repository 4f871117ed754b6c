"""What every command of `limosa` has in common: one door to the conductor, errors as sentences, exit codes.

A command says what it fetches and which columns a person sees; cliff formats it (`-f table|json|yaml|csv|value`).
"""

import argparse
import string
import sys
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from cliff.lister import Lister
from cliff.show import ShowOne

from client import sentences
from client.exit_codes import ExitCode
from client.rendering import TABLE, Layout
from common.errors import LimosaError
from common.states import StorageMode
from common.views import MigrationView

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from common.conductor_api import ConductorAPI

NAME_MAX_CHARS = 255  # as in the conductor's database
DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000  # rows of one answer: some MiB in one message


_UUID_PARTS = [8, 4, 4, 4, 12]


class Reporting:
    """Mixed into cliff's commands: ends in an exit code, never in a traceback for an error of ours."""

    exit_code = ExitCode.OK
    app: Any  # client.shell.Shell; cliff sets it

    @property
    def conductor(self) -> "ConductorAPI":
        return self.app.conductor

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Called by cliff, which drops what producing the output returns."""
        try:
            code: int = super().run(parsed_args)  # type: ignore[misc]  # of the cliff class that it is mixed into
        except LimosaError as error:
            self.say(sentences.of_error(error))
            return error.exit_code
        return code or self.exit_code

    def get_epilog(self) -> str:
        """Nothing: cliff would read every installed distribution to name the plugin that a command comes from."""
        return ""

    def say(self, sentence: str) -> None:
        """Tell a person something beside the output."""
        print(sentence, file=self.app.stderr, flush=True)

    def remark(self, sentence: str) -> None:
        """Tell it only where a person looks on."""
        if self.app.stderr.isatty() and not self.app.is_quiet:
            self.say(sentence)


class ListCommand(Reporting, Lister):
    """A list of views."""

    kind: ClassVar["type[DataclassInstance]"]
    table_keys: ClassVar[tuple[str, ...]]
    headings: ClassVar[Mapping[str, str]] = {}  # where a table has others than the keys give
    optional_keys: ClassVar[tuple[str, ...]] = ()  # of those: left out where no row has anything under them

    @abstractmethod
    def fetch(self, arguments: argparse.Namespace) -> "Sequence[DataclassInstance]":
        """Ask the conductor."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        layout = Layout.choose(
            self.kind,
            table_keys=self.table_keys,
            formatter=parsed_args.formatter,
            requested=parsed_args.columns,
        )
        views = self.fetch(parsed_args)
        if parsed_args.formatter == TABLE and not parsed_args.columns:
            layout = layout.without_nothing(*views, among=self.optional_keys)
            if not parsed_args.sort_columns:  # cliff finds columns by the headings that the keys give
                layout = replace(layout, headings=self.headings)
        return layout.names, [layout.row(view) for view in views]


class ShowCommand(Reporting, ShowOne):
    """One view. In a table, what is empty is left out."""

    kind: ClassVar["type[DataclassInstance]"]
    table_keys: ClassVar[tuple[str, ...]]

    @abstractmethod
    def fetch(self, arguments: argparse.Namespace) -> "DataclassInstance":
        """Ask the conductor; may set `exit_code`."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        layout = Layout.choose(
            self.kind,
            table_keys=self.table_keys,
            formatter=parsed_args.formatter,
            requested=parsed_args.columns,
        )
        view = self.fetch(parsed_args)
        if parsed_args.formatter == TABLE and not parsed_args.columns:
            layout = layout.without_nothing(view)
        return layout.names, layout.row(view)


class MigrationCommand(ShowCommand):
    """One migration."""

    kind = MigrationView
    table_keys = (
        "id", "instance_name", "instance_uuid", "status", "source", "dest", "reason", "waiting_for", "findings",
        "progress", "steps", "downtime_ms", "network_gap_ms", "network_verified", "seconds", "created_at",
        "finished_at",
    )  # fmt: skip


def add_instance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("instance", metavar="INSTANCE", type=instance, help="name or uuid")


def add_instance_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--instance", metavar="INSTANCE", type=instance, help="only those of this instance (name or uuid)"
    )


def add_storage_mode(parser: argparse.ArgumentParser) -> None:
    """How the disks get to the dest; without either each by what both hosts see of it."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--block-migrate",
        action="store_const",
        const=StorageMode.BLOCK,
        default=StorageMode.AUTO,
        dest="storage",
        help="copy every local disk; refused if one is on shared storage",
    )
    mode.add_argument(
        "--shared-storage",
        action="store_const",
        const=StorageMode.SHARED,
        dest="storage",
        help="copy none; refused if one is not on shared storage",
    )


def add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", type=name, help="a compute host, as `host list` shows it")


def add_migration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "migration", metavar="MIGRATION", type=uuid, help="id of a migration, as `migration list` shows it"
    )


def add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", metavar="N", type=limit, default=DEFAULT_LIMIT, help=f"at most N (default {DEFAULT_LIMIT})"
    )


def limit(text: str) -> int:
    """A number of rows; raises ValueError, which argparse tells as a usage error."""
    number = int(text)
    if not 1 <= number <= MAX_LIMIT:
        raise argparse.ArgumentTypeError(f"{number} is not between 1 and {MAX_LIMIT}")
    return number


def uuid(text: str) -> str:
    """An id as the conductors write it, however it was typed; otherwise as `name`."""
    return name(text).lower()


def instance(text: str) -> str:
    """A name or a uuid; raises ArgumentTypeError for what was meant as a uuid and is none."""
    is_meant = [len(part) for part in name(text).split("-")] == _UUID_PARTS
    if is_meant and any(part.strip(string.hexdigits) for part in text.split("-")):
        raise argparse.ArgumentTypeError(
            f"{text} has the form of a uuid, and not all of it are hexadecimal digits"
        )
    return text


def name(text: str) -> str:
    """A name or an id; raises ArgumentTypeError, which argparse tells as a usage error.

    An empty one is most likely a variable that a script forgot to set: `--instance ""` must not mean `all`.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name")
    if len(text) > NAME_MAX_CHARS:
        raise argparse.ArgumentTypeError(f"no name has more than {NAME_MAX_CHARS} characters")
    try:
        text.encode()
    except UnicodeEncodeError as e:  # Python keeps such bytes as surrogates, which no message can carry
        raise argparse.ArgumentTypeError(f"{text!a} is not valid {sys.getfilesystemencoding()}") from e
    return text
