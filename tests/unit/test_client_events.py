"""`limosa events`: lines, filters, gaps, and what is said when the bus goes and comes back. No bus is needed."""

import json
from collections import deque
from dataclasses import replace

import pytest

from client.events import as_text
from client.exit_codes import ExitCode
from client.following import RETRY_S, Follower
from common.broker import BrokerUnreachableError
from common.events import Event, EventType, Figures, MigrationState
from common.rpc import BusRefusedError
from common.wire import WireError
from tests.fakes import limosa
from tests.fakes.conductor import INSTANCE, MIGRATION, FakeConductor

STATE = MigrationState(
    id=MIGRATION,
    version=3,
    source="compute1",
    dest="compute2",
    phase="pre-live-migration",
    status="preparing",
    epoch=3,
    host="compute2",
    is_abort_requested=False,
    needs_operator=False,
    waiting_for="",
    reason="",
    findings=(),
    figures=None,
)
EVENT = Event(
    event_type=EventType.PRE,
    at="2025-03-01T12:00:00.123+00:00",
    instance_uuid=INSTANCE,
    instance_name="web1",
    instance_host="compute1",
    sentence="compute1 could give it",
    migration=STATE,
    conductor="controller",
    stream="a1",
    sequence=1,
)
AWAY = BrokerUnreachableError(bus="rabbit://***", reason="Connection reset by peer")


class FakeFeed:
    """Gives what its script says: events, errors, None for a wait without news. It ends with a Ctrl-C."""

    name = "rabbit://limosa:***@controller:5672/"

    def __init__(self, *script, opening=()):
        self.script = deque(script)
        self.opening = deque(opening)
        self.waits = []
        self.opened = 0
        self.closed = 0
        self.pattern = None

    def open(self):
        self.opened += 1
        error = self.opening.popleft() if self.opening else None
        if error is not None:
            raise error

    def next(self, timeout_s):
        self.waits.append(timeout_s)
        happening = self.script.popleft() if self.script else KeyboardInterrupt()
        if isinstance(happening, BaseException):
            raise happening
        return happening

    def close(self):
        self.closed += 1


def event(sequence, **changes):
    return replace(EVENT, sequence=sequence, **changes)


def run(feed, *argv):
    def listen(files, pattern):
        feed.pattern = pattern
        return feed

    return limosa.Run(lambda files: FakeConductor(), "events", *argv, listen=listen)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def follower(feed, said, *, clock=None, **changes):
    clock = clock or Clock()
    values = {"instance": None, "migration": None, "timeout_s": None, "is_complete": True}
    return Follower(feed, say=said.append, clock=clock, sleep=clock.sleep, **{**values, **changes})


# ---- the command


def test_it_needs_follow():
    refused = run(FakeFeed())

    assert refused.code == ExitCode.USAGE


def test_events_are_lines_and_what_else_there_is_to_say_goes_to_stderr():
    feed = FakeFeed(event(1), event(2, sentence="compute2 is prepared"))

    shown = run(feed, "--follow", "--limit", "2")

    assert shown.code == ExitCode.OK
    assert shown.stdout.splitlines() == [
        as_text(event(1)),
        as_text(event(2, sentence="compute2 is prepared")),
    ]
    assert shown.stderr == "Listening to rabbit://limosa:***@controller:5672/; Ctrl-C ends it.\n"
    assert (feed.opened, feed.closed, feed.pattern) == (1, 1, "#")


def test_json_lines_carry_every_key():
    shown = run(FakeFeed(event(1)), "--follow", "--limit", "1", "-f", "json")

    (line,) = shown.stdout.splitlines()
    data = json.loads(line)
    assert data["schema_version"] == 1
    assert data["event_type"] == "migration.pre-live-migration"
    assert data["migration"]["status"] == "preparing"


def test_ctrl_c_ends_it_with_130():
    shown = run(FakeFeed(event(1)), "--follow")

    assert shown.code == ExitCode.INTERRUPTED
    assert len(shown.stdout.splitlines()) == 1


def test_a_timeout_ends_it_with_7():
    shown = run(FakeFeed(None), "--follow", "--timeout", "0.000001")

    assert shown.code == ExitCode.STILL_RUNNING
    assert "0 events within 1e-06 s." in shown.stderr


@pytest.mark.parametrize(
    "error", [AWAY, BusRefusedError(bus="rabbit://***", reason="ACCESS_REFUSED - Login was refused")]
)
def test_a_bus_that_is_not_there_is_told_in_a_sentence(error):
    shown = run(FakeFeed(opening=[error]), "--follow")

    assert (shown.code, shown.stdout) == (ExitCode.ERROR, "")
    assert shown.stderr.startswith(str(error))


@pytest.mark.parametrize(
    "argv",
    [
        ("--type", ""),
        ("--type", "migration accepted"),
        ("--type", ".migration"),
        ("--type", "a" * 256),
        ("--instance", ""),
        ("--limit", "0"),
        ("--limit", "x"),
        ("--timeout", "-1"),
        ("-f", "yaml"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(argv):
    assert run(FakeFeed(), "--follow", *argv).code == ExitCode.USAGE


@pytest.mark.parametrize("pattern", ["migration.*", "instance.found", "#", "*.completed", "migration.#"])
def test_a_pattern_is_for_the_broker(pattern):
    feed = FakeFeed()

    run(feed, "--follow", "--type", pattern)

    assert feed.pattern == pattern


def test_quiet_is_quiet():
    assert run(FakeFeed(event(1)), "--follow", "--limit", "1").stderr != ""
    feed = FakeFeed(event(1))
    assert (
        limosa.Run(
            lambda files: FakeConductor(), "-q", "events", "--follow", "--limit", "1", listen=lambda *_: feed
        ).stderr
        == ""
    )


# ---- the line for people


def test_a_line_says_when_what_whom_and_how_to_find_the_rest():
    assert as_text(EVENT) == (
        "2025-03-01T12:00:00.123+00:00 migration.pre-live-migration web1: compute1 could give it "
        f"[compute1 -> compute2, preparing, migration {MIGRATION}]"
    )


def test_the_line_of_an_end_has_its_figures_and_findings():
    figures = Figures(seconds=2.34, downtime_ms=87, sent_bytes=100 * 2**20, passes=3)
    ended = replace(STATE, status="failed", figures=figures, findings=("memory_short",))

    line = as_text(replace(EVENT, event_type=EventType.FAILED, migration=ended))

    assert line.endswith(f"migration {MIGRATION}, 2.3 s, downtime 87 ms, 100 MiB sent, memory_short]")


def test_a_line_stays_one_line_that_no_terminal_obeys():
    line = as_text(replace(EVENT, sentence="one\ntwo \x1b[31mred", migration=None))

    assert line.endswith("web1: one two  [31mred")


# ---- what is asked for


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"instance": "web1"}, [1, 3]),
        ({"instance": INSTANCE.upper()}, [1, 3]),
        ({"instance": "web2"}, [2]),
        ({"migration": MIGRATION}, [1, 2]),
        ({"instance": "web1", "migration": MIGRATION}, [1]),
    ],
)
def test_only_what_is_asked_for_is_shown(asked, expected):
    other = event(2, instance_name="web2", instance_uuid="0")
    feed = FakeFeed(event(1), other, event(3, migration=None, event_type=EventType.GONE))
    following = follower(feed, [], **asked)
    following.start()

    shown = [following.next().sequence for _ in expected]

    assert shown == expected
    with pytest.raises(KeyboardInterrupt):
        following.next()


# ---- gaps, repetitions, and a bus that goes


def shown_of(feed, said, count, **changes):
    following = follower(feed, said, **changes)
    following.start()
    return [following.next().sequence for _ in range(count)]


def test_missing_events_are_counted_for_each_run_of_a_conductor():
    said = []
    feed = FakeFeed(event(7), event(9), event(1, stream="b2"), event(10), event(5, stream="b2"))

    assert shown_of(feed, said, 5) == [7, 9, 1, 10, 5]

    assert said == [
        "1 event is missing here, of the conductor on controller.",
        "3 events are missing here, of the conductor on controller.",
    ]


def test_a_gap_means_nothing_where_only_some_types_are_followed():
    said = []

    assert shown_of(FakeFeed(event(7), event(9)), said, 2, is_complete=False) == [7, 9]
    assert said == []


def test_an_event_that_comes_again_is_not_shown_again():
    assert shown_of(FakeFeed(event(7), event(7), event(6), event(8)), [], 2) == [7, 8]


def test_a_bus_that_comes_back_is_listened_to_again_and_the_gap_is_told():
    said = []
    feed = FakeFeed(event(1), AWAY, event(4), opening=[None, AWAY, AWAY, None])

    assert shown_of(feed, said, 2) == [1, 4]

    assert feed.opened == 4
    assert said == [
        f"{AWAY} Events are missed until it is back.",
        "Listening again.",
        "2 events are missing here, of the conductor on controller.",
    ]


def test_a_timeout_holds_while_the_bus_is_away():
    clock, said = Clock(), []
    following = follower(FakeFeed(AWAY, opening=[None] + [AWAY] * 99), said, clock=clock, timeout_s=10.0)
    following.start()

    assert following.next() is None
    assert clock.now == 110.0
    assert RETRY_S < 10


def test_what_is_none_of_ours_is_told_and_not_shown():
    said = []
    feed = FakeFeed(WireError(path="event", reason="not JSON"), event(1))

    assert shown_of(feed, said, 1) == [1]
    assert said == ["Not shown: Malformed message: event: not JSON"]
