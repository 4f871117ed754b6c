"""`limosa live-migration` and `limosa migration watch`: move an instance, and see how it goes."""

import argparse
import math

from client import sentences
from client.command import MigrationCommand, add_instance, add_migration, add_storage_mode, name
from client.display import display_for
from client.exit_codes import ExitCode
from client.watching import WATCH_LIMIT_S, Ending, Watcher, exit_code
from common.errors import LimosaError, OutcomeUnknownError
from common.views import LiveMigrationRequest, MigrationView


class Watching(MigrationCommand):
    """A command that ends with its migration, or without it at Ctrl-C."""

    def watch(self, view: MigrationView, *, timeout_s: float | None) -> MigrationView:
        """Follow to the end, tell how it ended, set the exit code; returns the newest view."""
        display = display_for(self.app.stderr, is_quiet=self.app.is_quiet)
        watcher = Watcher(self.conductor, view, display=display, timeout_s=timeout_s)
        try:
            with display:
                ending = watcher.watch()
        except KeyboardInterrupt:
            self.exit_code = ExitCode.INTERRUPTED
            self.say(sentences.of_interrupt(watcher.view))
            return watcher.view
        except LimosaError as error:  # whoever asks may look no more; the migration does not mind
            self.exit_code = ExitCode.UNKNOWN
            self.say(sentences.of_error(error))
            self.say(sentences.of_lost_sight(watcher.view))
            return watcher.view
        self.exit_code = exit_code(watcher.view, ending)
        # A success is told to a person who looks on, everything else to the log of a script too.
        tell = self.remark if self.exit_code is ExitCode.OK else self.say
        tell(_end(watcher.view, ending, timeout_s=timeout_s))
        return watcher.view


def _end(view: MigrationView, ending: Ending, *, timeout_s: float | None) -> str:
    match ending:
        case Ending.FINAL:
            return sentences.of_final(view)
        case Ending.TIME_PASSED:
            return sentences.of_timeout(view, timeout_s=WATCH_LIMIT_S if timeout_s is None else timeout_s)
        case Ending.IN_DOUBT:
            return sentences.of_doubt(view)
        case Ending.SILENCE:
            return sentences.of_silence(view)


class LiveMigration(Watching):
    """Move a running instance to another host.

    Without HOST the conductor chooses. Ctrl-C stops watching, not the migration.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        parser.add_argument(
            "dest", metavar="HOST", nargs="?", type=name, help="where to; the conductor chooses if left out"
        )
        add_storage_mode(parser)
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--wait", action="store_true", default=True, help="until it has ended (default)")
        how.add_argument("--no-wait", action="store_false", dest="wait", help="only until it is accepted")
        _add_timeout(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> MigrationView:
        request = LiveMigrationRequest(
            instance=arguments.instance, dest=arguments.dest, storage=arguments.storage
        )
        view = self._request(request)
        if arguments.wait:
            return self.watch(view, timeout_s=arguments.timeout)
        self.remark(sentences.of_accepted(view))
        return view

    def _request(self, request: LiveMigrationRequest) -> MigrationView:
        try:
            return self.conductor.live_migrate(request)
        except (KeyboardInterrupt, OutcomeUnknownError):
            # Only the answer may be lost: the migration may well have begun.
            self.say("If the request was accepted all the same, `limosa migration list --open` shows it.")
            raise


class MigrationWatch(Watching):
    """Follow a migration to its end. Ctrl-C stops watching, not the migration."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_migration(parser)
        _add_timeout(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> MigrationView:
        view = self.conductor.show_migration(arguments.migration)
        return self.watch(view, timeout_s=arguments.timeout)


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", metavar="S", type=seconds, help="stop watching after S seconds; the migration goes on"
    )


def seconds(text: str) -> float:
    """A positive number of seconds; raises ValueError or ArgumentTypeError, which argparse tells as usage errors."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return number
