"""From a conductor to its followers over kombu's transport in memory; the broker itself is in tests/lab/test_events.py."""

import itertools
import json
import threading
import time
from dataclasses import replace

import pytest

from common import broker, event_bus
from common.broker import Broker, BrokerHost, BrokerUnreachableError
from common.checks import CHECK_FAILED
from common.conductor_api import INTERFACE as CONDUCTOR
from common.dispatch import MessageExpiredError
from common.envelope import MisdirectedError, seal
from common.event_bus import INTERFACE, Feed, Publisher
from common.events import Event, EventType
from common.identity import (
    ConductorsOnly,
    Identity,
    KeyUnknownError,
    NotProvenError,
    PrivateKey,
    SignatureWrongError,
)
from common.states import MigrationStatus, Result, Verb
from common.wire import WireError, to_primitive
from tests.fakes import identities, limosa
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import GUEST, Cluster

IN_MEMORY = Broker(
    name="memory://",
    hosts=(BrokerHost(name="localhost", port=5672, user="", password=""),),
    is_in_memory=True,
)
OTHER = "2a7c3b45-09d2-4c8e-8c1f-8b3f5d4e6f70"
MARK = "3f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
CONDUCTORS = ConductorsOnly(identities.CONDUCTOR.key.public)
WAIT_S = 5.0
WAY_OF_A_MIGRATION = [
    "migration.accepted",
    "migration.check-source",
    "migration.pre-live-migration",
    "migration.live-migration",
    "migration.post-dest",
    "migration.post-source",
    "instance.moved",
    "migration.completed",
]

_serial = itertools.count()


class AwayBroker:
    """A broker that is away for some tries, or for ever."""

    name = "rabbit://limosa:***@rabbit1/"

    def __init__(self, tries):
        self.tries_left = tries
        self.has_failed = threading.Event()

    def open(self):
        self.tries_left -= 1
        if self.tries_left < 0:
            return IN_MEMORY.open()
        self.has_failed.set()
        raise BrokerUnreachableError(bus=self.name, reason="Connection refused")


@pytest.fixture
def exchange():
    return f"limosa-{next(_serial)}.events"


@pytest.fixture
def publisher(exchange):
    publishers = []

    def publisher(at=IN_MEMORY, *, is_started=True):
        made = Publisher(at, exchange=exchange, identity=identities.CONDUCTOR, conductor="controller")
        publishers.append(made)
        if is_started:
            made.start()
        return made

    yield publisher
    for made in publishers:
        made.stop()


@pytest.fixture
def feed(exchange):
    feeds = []

    def feed(pattern="#", *, message_max_age_s=300.0):
        made = Feed(
            IN_MEMORY,
            exchange=exchange,
            follower="admin",
            keyring=CONDUCTORS,
            message_max_age_s=message_max_age_s,
            pattern=pattern,
        )
        made.open()
        feeds.append(made)
        return made

    yield feed
    for made in feeds:
        made.close()


def an_event(event_type=EventType.FOUND, name="web1"):
    return Event(
        event_type=event_type,
        at="2025-03-01T12:00:00.123+00:00",
        instance_uuid=GUEST,
        instance_name=name,
        instance_host="compute1",
        sentence=f"{name} is found on compute1",
    )


def heard(feed, count):
    events = [feed.next(WAIT_S) for _ in range(count)]
    assert None not in events, events
    return events


def put(exchange, body):
    """Publish something that no conductor would."""
    link = IN_MEMORY.open()
    link.publish(body, exchange=link.exchange(exchange, must_exist=False), routing_key="instance.found")
    link.close()


# ---- publisher and feed


def test_every_follower_gets_every_event_in_order(publisher, feed):
    first, second = feed(), feed()

    conductor = publisher()
    conductor.announce(tuple(an_event(name=f"web{number}") for number in range(50)))

    for follower in (first, second):
        events = heard(follower, 50)
        assert [event.instance_name for event in events] == [f"web{number}" for number in range(50)]
        assert [event.sequence for event in events] == list(range(1, 51))
        assert {(event.conductor, event.stream) for event in events} == {("controller", events[0].stream)}
    assert conductor.lost == 0


def test_the_broker_chooses_by_type(publisher, feed):
    migrations, everything = feed("migration.*"), feed()

    publisher().announce((an_event(), an_event(EventType.ACCEPTED), an_event(EventType.GONE)))

    assert len(heard(everything, 3)) == 3
    assert [event.sequence for event in heard(migrations, 1)] == [2]
    assert migrations.next(0.05) is None


def test_each_run_of_a_conductor_counts_anew(publisher, feed):
    follower = feed()

    publisher().announce((an_event(),))
    (before,) = heard(follower, 1)
    publisher().announce((an_event(),))
    (after,) = heard(follower, 1)

    assert (before.sequence, after.sequence) == (1, 1)
    assert before.stream != after.stream


def test_what_was_told_before_anybody_listened_is_gone(publisher, feed):
    conductor = publisher()
    earlier = feed()
    conductor.announce((an_event(),))
    heard(earlier, 1)

    assert feed().next(0.05) is None


def test_a_conductor_that_stops_tells_the_last_events_first(publisher, feed):
    follower = feed()
    conductor = publisher()

    conductor.announce((an_event(), an_event(EventType.GONE)))
    conductor.stop()

    assert len(heard(follower, 2)) == 2


# ---- a broker that is away


def test_events_wait_for_a_broker_that_comes_back(publisher, feed, monkeypatch):
    monkeypatch.setattr(event_bus, "RETRY_MIN_S", 0.01)
    follower = feed()
    conductor = publisher(AwayBroker(tries=3))

    conductor.announce((an_event(), an_event(EventType.GONE)))

    assert [event.sequence for event in heard(follower, 2)] == [1, 2]
    assert conductor.lost == 0


def test_of_too_many_the_oldest_are_dropped_counted_and_seen_as_a_gap(publisher, feed, monkeypatch):
    monkeypatch.setattr(event_bus, "PENDING_MAX", 3)
    follower = feed()
    conductor = publisher(is_started=False)

    conductor.announce(tuple(an_event() for _ in range(5)))
    conductor.start()

    assert [event.sequence for event in heard(follower, 3)] == [3, 4, 5]
    assert conductor.lost == 2


def test_telling_waits_for_no_broker_that_is_away(publisher):
    away = AwayBroker(tries=1_000)
    conductor = publisher(away)
    assert away.has_failed.wait(WAIT_S)

    for _ in range(2 * event_bus.PENDING_MAX):
        conductor.announce((an_event(),))
    conductor.stop()

    assert conductor.lost == event_bus.PENDING_MAX


def test_a_connection_that_breaks_is_made_anew_and_loses_one_event_at_most(publisher, feed, monkeypatch):
    monkeypatch.setattr(event_bus, "RETRY_MIN_S", 0.01)
    follower = feed()
    publish = broker.Link.publish
    breaks = iter([True, False, False])

    def break_once(link, *arguments, **named):
        if next(breaks):
            raise ConnectionResetError("Connection reset by peer")
        publish(link, *arguments, **named)

    monkeypatch.setattr(broker.Link, "publish", break_once)
    conductor = publisher()

    conductor.announce((an_event(), an_event(), an_event()))

    assert [event.sequence for event in heard(follower, 2)] == [2, 3]
    assert conductor.lost == 1


# ---- what no conductor has said


@pytest.mark.parametrize("body", ["nonsense", "[]", '{"signer": "me"}'])
def test_a_message_that_is_no_event_is_refused_and_the_next_one_heard(publisher, feed, exchange, body):
    follower = feed()
    put(exchange, body)
    publisher().announce((an_event(),))

    with pytest.raises(WireError):
        follower.next(WAIT_S)
    assert len(heard(follower, 1)) == 1


def sealed(*, identity=identities.CONDUCTOR, interface=INTERFACE, audience=INTERFACE.topic):
    payload = json.dumps(to_primitive(an_event()))
    return seal(payload, identity=identity, audience=audience, interface=interface, method="instance.found")


STRANGER = Identity(principal=identities.CONDUCTOR.principal, key=PrivateKey.generate())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"interface": CONDUCTOR}, WireError),
        ({"identity": identities.host("compute1")}, KeyUnknownError),
        ({"identity": STRANGER}, SignatureWrongError),
        ({"audience": "limosa-conductor"}, MisdirectedError),
    ],
)
def test_only_what_a_conductor_has_signed_for_followers_is_an_event(feed, exchange, changes, error):
    follower = feed()
    put(exchange, json.dumps(sealed(**changes)))

    with pytest.raises(error):
        follower.next(WAIT_S)


def test_a_host_whose_key_is_known_tells_no_events(exchange):
    follower = Feed(
        IN_MEMORY,
        exchange=exchange,
        follower="admin",
        keyring=identities.EverybodysKeys(),
        message_max_age_s=300.0,
    )
    follower.open()
    put(exchange, json.dumps(sealed(identity=identities.host("compute1"))))

    with pytest.raises(NotProvenError, match="host:compute1"):
        follower.next(WAIT_S)
    follower.close()


def test_an_event_that_was_changed_on_its_way_is_refused(feed, exchange):
    follower = feed()
    message = sealed()
    put(exchange, json.dumps(message | {"payload": message["payload"].replace("web1", "web2")}))

    with pytest.raises(SignatureWrongError):
        follower.next(WAIT_S)


def test_an_old_message_is_refused(feed, exchange):
    follower = feed(message_max_age_s=0.05)
    message = sealed()
    time.sleep(0.06)
    put(exchange, json.dumps(message))

    with pytest.raises(MessageExpiredError):
        follower.next(WAIT_S)


# ---- whole migrations


@pytest.fixture
def followed(cluster):
    """What a follower hears of this cluster from now on: what it was told of its beginning is behind a mark."""
    feed = Feed(
        IN_MEMORY,
        exchange=cluster.events_exchange,
        follower="admin",
        keyring=CONDUCTORS,
        message_max_age_s=300.0,
    )
    feed.open()
    cluster.dest.guests[MARK] = guest_facts(MARK, name="mark")
    cluster.dest.report()
    while heard(feed, 1)[0].instance_name != "mark":
        pass
    yield feed
    feed.close()


def until_the_end(feed):
    """All events up to the end of a migration."""
    events = heard(feed, 1)
    while events[-1].migration is None or events[-1].migration.figures is None:
        events += heard(feed, 1)
    return events


def test_a_follower_sees_every_phase_of_a_migration(cluster, followed):
    ended = cluster.end_of(cluster.migrate())

    events = until_the_end(followed)

    assert [event.event_type for event in events] == WAY_OF_A_MIGRATION
    assert {event.migration.id for event in events} == {ended.id}
    versions = [event.migration.version for event in events if event.event_type != "instance.moved"]
    assert versions == [1, 2, 3, 4, 5, 6, 7]
    sequences = [event.sequence for event in events]
    assert sequences == list(range(sequences[0], sequences[0] + len(events)))
    assert [event.instance_host for event in events] == ["compute1"] * 5 + ["compute2"] * 3
    story = [line.sentence for line in cluster.api.migration_log(ended.id)]
    assert "; ".join(event.sentence for event in events if event.event_type != "instance.moved") == "; ".join(
        story
    )
    last = events[-1]
    assert (last.at, last.migration.figures.seconds) == (ended.finished_at, ended.seconds)
    assert last.migration.figures.downtime_ms == ended.downtime_ms


def test_a_refused_migration_tells_the_codes(cluster, followed):
    cluster.dest.script(
        Verb.CHECK_DEST,
        lambda command: replace(
            cluster.dest.outcome(command, Result.REFUSED),
            findings=(CHECK_FAILED.finding("compute2", reason="x"),),
        ),
    )

    ended = cluster.end_of(cluster.migrate())

    last = until_the_end(followed)[-1]
    assert last.event_type == "migration.failed"
    assert last.migration.findings == tuple(finding.code for finding in ended.findings) == ("check_failed",)


def test_another_conductor_goes_on_telling(cluster, followed):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase == "live-migration")
    cluster.stop_conductor()
    cluster.source.forget_script()

    cluster.start_conductor()
    cluster.end_of(view)

    events = until_the_end(followed)
    assert [event.event_type for event in events] == WAY_OF_A_MIGRATION
    assert len({event.stream for event in events}) == 2


def test_a_guest_that_is_found_is_told(cluster, followed):
    cluster.dest.guests[OTHER] = guest_facts(OTHER, name="web2")
    cluster.dest.report()

    (event,) = heard(followed, 1)

    assert (event.event_type, event.instance_name, event.migration) == ("instance.found", "web2", None)


def test_a_migration_needs_no_broker_for_its_events(tmp_path, monkeypatch):
    """Whatever the way of the events is like: the migration goes on, within its time."""
    monkeypatch.setattr(broker, "configured", lambda conf: AwayBroker(tries=1_000))
    cluster = Cluster(tmp_path)

    ended = cluster.end_of(cluster.migrate())
    cluster.stop()

    assert ended.status is MigrationStatus.COMPLETED


def test_the_command_shows_them(cluster):
    feed = Feed(
        IN_MEMORY,
        exchange=cluster.events_exchange,
        follower="admin",
        keyring=CONDUCTORS,
        message_max_age_s=300.0,
        pattern="migration.*",
    )
    ends = threading.Timer(0.2, cluster.migrate)
    ends.start()

    shown = limosa.Run(
        lambda files: cluster.api,
        *("events", "--follow", "--instance", "web1", "--limit", "7", "--timeout", "10", "-f", "json"),
        listen=lambda files, pattern: feed,
    )

    assert shown.code == 0, shown.stderr
    types = [json.loads(line)["event_type"] for line in shown.stdout.splitlines()]
    assert types == [word for word in WAY_OF_A_MIGRATION if word.startswith("migration.")]
