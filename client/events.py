"""`limosa events --follow`: what the conductors tell, line by line."""

import argparse
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Final

from cliff.command import Command

from client.command import Reporting, name
from client.exit_codes import ExitCode
from client.live_migration import seconds

if TYPE_CHECKING:
    from client.following import Follower
    from common.events import Event

_PATTERN: Final = re.compile(r"(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*")
_PATTERN_MAX_CHARS: Final = 255  # of AMQP's short strings
_EVERYTHING: Final = "#"
_MIB: Final = 2**20


class Events(Reporting, Command):
    """Show what the conductors tell, as it happens, until Ctrl-C.

    It takes no event away from anybody who follows as well. What happened before is not told: `limosa migration log`
    has the story of a migration.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            "--follow",
            action="store_true",
            required=True,
            help="required: events are told as they happen, and not kept",
        )
        parser.add_argument(
            "--instance", metavar="INSTANCE", type=name, help="only of this one, name or uuid"
        )
        parser.add_argument("--migration", metavar="MIGRATION", type=name, help="only of this one, by its id")
        parser.add_argument(
            "--type",
            metavar="PATTERN",
            type=_pattern,
            default=_EVERYTHING,
            help="only of such a type: * stands for a word, # for any number of them (migration.*; default #)",
        )
        parser.add_argument(
            "-f",
            "--format",
            choices=("text", "json"),
            default="text",
            help="lines for people or of JSON (default text)",
        )
        parser.add_argument("--limit", metavar="N", type=_count, help="end after N events, with exit code 0")
        parser.add_argument(
            "--timeout", metavar="S", type=seconds, help="end after S seconds, with exit code 7"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        # Only here: the way to the bus takes long to import.
        from client.following import Follower

        feed = self.app.feed(parsed_args.type)
        follower = Follower(
            feed,
            instance=parsed_args.instance,
            migration=parsed_args.migration,
            timeout_s=parsed_args.timeout,
            say=self.say,
            is_complete=parsed_args.type == _EVERYTHING,
        )
        try:
            return self._show(follower, parsed_args)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        except BrokenPipeError:
            # Whoever read has had enough. Python would complain once more when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OK
        finally:
            feed.close()

    def _show(self, follower: "Follower", arguments: argparse.Namespace) -> int:
        follower.start()
        if not self.app.is_quiet:
            self.say(f"Listening to {follower.name}; Ctrl-C ends it.")
        shown = 0
        while (event := follower.next()) is not None:
            line = as_json(event) if arguments.format == "json" else as_text(event)
            print(line, file=self.app.stdout, flush=True)
            shown += 1
            if shown == arguments.limit:
                return ExitCode.OK
        self.say(f"{shown} {'event' if shown == 1 else 'events'} within {arguments.timeout:g} s.")
        return ExitCode.STILL_RUNNING


def as_json(event: "Event") -> str:
    """One line, every key."""
    from common.wire import to_primitive

    return json.dumps(to_primitive(event), ensure_ascii=False)


def as_text(event: "Event") -> str:
    """One line: when, what, about whom, in words; then what finds the rest."""
    words = [event.at, f"{event.event_type:28}", f"{event.instance_name}:", event.sentence or "-"]
    migration = event.migration
    if migration is not None:
        about = [f"{migration.source} -> {migration.dest}", migration.status, f"migration {migration.id}"]
        if migration.figures is not None:
            figures = migration.figures
            about.append(f"{figures.seconds:.1f} s")
            about += [] if figures.downtime_ms is None else [f"downtime {figures.downtime_ms} ms"]
            about += [] if figures.sent_bytes is None else [f"{figures.sent_bytes / _MIB:.0f} MiB sent"]
        about += migration.findings
        words.append(f"[{', '.join(about)}]")
    # A name or a libvirt error may hold anything: it stays one line, and no terminal obeys it.
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(words))


def _pattern(text: str) -> str:
    if len(text) > _PATTERN_MAX_CHARS or not _PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r:.80} is no pattern such as migration.* or instance.found")
    return text


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number
