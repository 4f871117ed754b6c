"""Make docs/tour.md: run the client in a lab and write down what it really says. `python3 -m lab.tour`, as root.

Ids and dates are made the same each time; figures are what this run measured.
"""

import argparse
import configparser
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn
from uuid import NAMESPACE_URL, uuid5

from lab.errors import LabError
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.itinerary import CHAPTERS, GUEST, LOCAL_GUEST, MAC, MIGRATION, SOURCE, Chapter, Stop
from lab.lab import Lab
from lab.paths import CHECKOUT
from lab.processes import Process
from lab.waiting import wait_until

PAGE: Final = CHECKOUT / "docs" / "tour.md"
SETTINGS: Final = {"libvirt.live_migration_bandwidth": "25"}  # MiB/s: slow enough to be aborted on the way
DISCOVERY_TIMEOUT_S: Final = 30.0
FOLLOWER_TIMEOUT_S: Final = 20.0
FOLLOW: Final = Stop.of("events --follow")

_UUID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_REQUEST: Final = re.compile(r"\breq-[0-9a-f]{32}\b")
_TIME: Final = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)")
_BEGIN: Final = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
_NO_SECRET: Final = re.compile(r"PRIVATE KEY")

_HEAD: Final = """\
# A tour of the client

Made by `python3 -m lab.tour`: each command was run in the lab (two hosts made of namespaces with libvirt and QEMU, two
guests), and what stands here is what it said. Ids and dates are made the same each time; figures are measured. The
migration bandwidth was {bandwidth} MiB/s.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a command said, both of its streams together, as a terminal has them."""

    stop: Stop
    output: str


class Normaliser:
    """Makes ids and dates the same each time, in the order in which they come up."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._first: datetime | None = None

    def normal(self, text: str) -> str:
        text = _UUID.sub(lambda found: self._id(found[0]), text)
        text = _REQUEST.sub(lambda found: "req-" + self._id(found[0]).replace("-", ""), text)
        return _TIME.sub(lambda found: self._time(found[0]), text)

    def _id(self, text: str) -> str:
        return self._ids.setdefault(text, str(uuid5(NAMESPACE_URL, f"limosa:tour:{len(self._ids)}")))

    def _time(self, text: str) -> str:
        """As far from the beginning as it was, so that differences stay true."""
        at = datetime.fromisoformat(text)
        self._first = self._first or at
        return (_BEGIN + (at - self._first)).isoformat(
            timespec="milliseconds" if at.microsecond else "seconds"
        )


class Tour:
    """One way through the itinerary, in a lab that stands."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._commands = known_commands()

    def walk(self) -> str:
        """Visit everything that this version has; the text of the page."""
        parts = [_HEAD.format(bandwidth=SETTINGS["libvirt.live_migration_bandwidth"])]
        for chapter in CHAPTERS:
            stops = [stop for stop in chapter.stops if self._has(stop)]
            if stops:
                parts.append(render(chapter, self._visit_all(chapter, stops)))
        return Normaliser().normal("\n".join(parts))

    def _has(self, stop: Stop) -> bool:
        is_known = is_command(stop, self._commands)
        if not is_known:
            _say(f"left out, this version does not have it: limosa {' '.join(stop.words)}")
        return is_known

    def _visit_all(self, chapter: Chapter, stops: Sequence[Stop]) -> list[Visit]:
        if not chapter.is_followed or not self._has(FOLLOW):
            return [self._visit(stop) for stop in stops]
        follower = _Follower(self._lab)
        visits = [self._visit(stop) for stop in stops]
        return [*visits, Visit(stop=FOLLOW, output=follower.end())]

    def _visit(self, stop: Stop) -> Visit:
        words = tuple(self._meant(word) for word in stop.words)
        _say(f"limosa {shlex.join(words)}")
        # A shell joins the streams in the order in which they were written.
        script = 'exec "$@" 2>&1'
        done = self._lab.controller.run(
            ["/bin/sh", "-c", script, "sh", *self._lab.limosa_argv(), *words], check=False
        )
        if done.returncode != stop.exit_code:
            raise LabError(
                f"limosa {shlex.join(words)} ended with {done.returncode}, not {stop.exit_code}",
                hint=done.stdout,
            )
        visited = Stop(words=words, exit_code=stop.exit_code, before=stop.before)
        return Visit(stop=visited, output=done.stdout)

    def _meant(self, word: str) -> str:
        if word == MIGRATION:
            return self._newest_migration()
        return self._mac() if word == MAC else word

    def _mac(self) -> str:
        [port] = json.loads(self._lab.limosa("port", "list", "--instance", GUEST, "-f", "json").stdout)
        return str(port["mac"])

    def _newest_migration(self) -> str:
        rows = json.loads(self._lab.limosa("migration", "list", "--limit", "1", "-f", "json").stdout)
        return str(rows[0]["id"])


class _Follower:
    """`limosa events --follow` beside the tour, ended by a Ctrl-C once it has shown the end of the migration."""

    def __init__(self, lab: Lab) -> None:
        log = Path("/var/log/limosa/tour-events.out")
        self._log = lab.controller.seen_from_outside(log)
        self._log.unlink(missing_ok=True)
        argv = [*lab.limosa_argv(), *FOLLOW.words]
        self._process: Process = lab.controller.spawn("tour-events", argv, log=log)
        self._wait_for("Listening to")

    def end(self) -> str:
        self._wait_for("migration.completed", "migration.failed", "migration.cancelled")
        self._process.send(signal.SIGINT)
        self._process.wait_until_gone(timeout_s=FOLLOWER_TIMEOUT_S)
        return self._output()

    def _wait_for(self, *texts: str) -> None:
        wait_until(
            lambda: any(text in self._output() for text in texts),
            what=f"limosa events shows {' or '.join(texts)}",
            timeout_s=FOLLOWER_TIMEOUT_S,
        )

    def _output(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


def known_commands() -> set[str]:
    """The commands of the client, by the words that call them."""
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read(CHECKOUT / "setup.cfg")
    lines = iter(parser["options.entry_points"]["limosa.client"].split("\n"))
    return {line.partition("=")[0].strip() for line in lines if "=" in line}


def is_command(stop: Stop, commands: Iterable[str]) -> bool:
    """Whether this version has it, and what it shows."""
    is_known = any(tuple(command.split()) == stop.words[: len(command.split())] for command in commands)
    return is_known and (not stop.needs or stop.needs in commands)


def render(chapter: Chapter, visits: Sequence[Visit]) -> str:
    """One chapter of the page."""
    lines = [f"## {chapter.title}\n\n{chapter.text}\n"]
    for visit in visits:
        if _NO_SECRET.search(visit.output):
            raise LabError(
                f"limosa {shlex.join(visit.stop.words)} shows a secret, which must not stand on a page"
            )
        before = f"{visit.stop.before}\n\n" if visit.stop.before else ""
        shown = "\n".join(line.rstrip() for line in visit.output.rstrip().split("\n"))
        code = f"\nExit code {visit.stop.exit_code}.\n" if visit.stop.exit_code else ""
        lines.append(f"{before}```console\n$ limosa {shlex.join(visit.stop.words)}\n{shown}\n```\n{code}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m lab.tour", description="Make docs/tour.md in a lab. Needs root."
    )
    parser.add_argument(
        "--output", type=Path, default=PAGE, metavar="FILE", help="write there (docs/tour.md)"
    )
    arguments = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        arguments.output.write_text(_make())
    except LabError as e:
        print(f"tour: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _make() -> str:
    lab = Lab.up(hosts=2, owner_pid=os.getpid(), settings=SETTINGS)
    try:
        lab.guest_create(GUEST, SOURCE)
        lab.guest_create(LOCAL_GUEST, SOURCE, GuestOptions(local_disks=(LocalDisk(),)))
        wait_until(
            lambda: _are_known(lab, GUEST, LOCAL_GUEST),
            what=f"`limosa list` shows {GUEST} and {LOCAL_GUEST}",
            timeout_s=DISCOVERY_TIMEOUT_S,
        )
        return Tour(lab).walk()
    finally:
        Lab.down()


def _are_known(lab: Lab, *names: str) -> bool:
    shown = lab.limosa("list", "-f", "json", check=False).stdout
    return all(name in shown for name in names)


def _say(sentence: str) -> None:
    print(f"== {sentence}", file=sys.stderr, flush=True)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
