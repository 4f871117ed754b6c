"""Who may touch what at the broker: each its own, and nothing that another lives by."""

import re

import pytest

from common import broker_names as names
from common import broker_rights as rights
from common.identity import Kind, Principal

CONTROL = "limosa"
TO_CONDUCTORS = names.conductors_exchange(CONTROL)
EVENTS = names.events_exchange(CONTROL)
HOSTS = ["compute1", "compute11", "a", "a.a", "x.example.org", "xzexample.org", "a@b"]


def reply_queue(kind, name):
    return names.new_reply_queue(Principal(kind=kind, name=name))


def may(pattern, name):
    """RabbitMQ searches; it does not match whole names by itself."""
    return re.search(pattern, name) is not None


def of_host(host):
    return rights.of_host(host, control_exchange=CONTROL)


def topic(given, exchange):
    [found] = [topic for topic in given.topics if topic.exchange == exchange]
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_has_its_own_queues(host):
    own, given = [names.command_queue(host), reply_queue(Kind.HOST, host)], of_host(host)
    assert all(may(given.configure, queue) and may(given.read, queue) for queue in own)
    assert may(topic(given, CONTROL).read, names.command_queue(host))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("other", HOSTS)
def test_a_host_has_no_other_ones(host, other):
    if host == other:
        return
    given = of_host(host)
    for queue in (names.command_queue(other), reply_queue(Kind.HOST, other)):
        assert not any(may(pattern, queue) for pattern in (given.configure, given.write, given.read))
        assert not any(may(topic.read, queue) or may(topic.write, queue) for topic in given.topics)


def test_a_host_publishes_to_conductors_only_and_deletes_no_exchange():
    given = of_host("compute1")
    assert may(given.write, TO_CONDUCTORS)
    assert not any(may(given.write, exchange) for exchange in (CONTROL, EVENTS, "amq.default", "amq.topic"))
    assert not any(may(given.configure, exchange) for exchange in (CONTROL, TO_CONDUCTORS, EVENTS))
    keys = topic(given, TO_CONDUCTORS).write
    assert may(keys, names.CONDUCTOR_TOPIC) and may(keys, reply_queue(Kind.CONDUCTOR, "controller"))
    assert not may(keys, names.ENROLMENT_TOPIC)


def test_a_host_hears_nothing_that_is_for_conductors():
    given = of_host("compute1")
    foreign = [names.CONDUCTOR_TOPIC, reply_queue(Kind.CONDUCTOR, "controller"), TO_CONDUCTORS, EVENTS]
    assert not any(may(given.read, name) for name in foreign)
    assert not any(may(topic(given, CONTROL).read, key) for key in ("#", "limosa-compute.#", "*"))


def test_who_joins_may_ask_to_join_and_nothing_else():
    given = rights.of_joining("compute1", control_exchange=CONTROL)
    assert may(topic(given, TO_CONDUCTORS).write, names.ENROLMENT_TOPIC)
    assert not may(topic(given, TO_CONDUCTORS).write, names.CONDUCTOR_TOPIC)
    assert may(given.read, reply_queue(Kind.HOST, "compute1"))
    patterns = (given.configure, given.write, given.read)
    assert not any(may(pattern, names.command_queue("compute1")) for pattern in patterns)


def test_an_administrator_asks_and_follows():
    given = rights.of_administrator("bob", control_exchange=CONTROL)
    own = [reply_queue(Kind.ADMINISTRATOR, "bob"), names.new_feed_queue(EVENTS, "bob")]
    assert all(may(given.configure, queue) and may(given.read, queue) for queue in own)
    assert may(given.write, own[1]) and may(given.read, EVENTS)
    foreign = [reply_queue(Kind.ADMINISTRATOR, "bo"), names.new_feed_queue(EVENTS, "bob.x")]
    foreign += [reply_queue(Kind.HOST, "bob"), names.command_queue("compute1"), CONTROL]
    assert not any(may(given.read, name) or may(given.configure, name) for name in foreign)
    assert not may(given.write, CONTROL) and not may(given.write, EVENTS)


def test_conductors_reach_everybody_and_read_no_host_s_commands():
    given = rights.of_conductors(control_exchange=CONTROL)
    assert all(may(given.write, name) for name in (CONTROL, TO_CONDUCTORS, EVENTS, "amq.default"))
    assert may(given.read, names.CONDUCTOR_TOPIC) and may(given.read, names.ENROLMENT_TOPIC)
    assert not may(given.read, names.command_queue("compute1"))


def test_each_has_a_user_of_his_own():
    everybody = [
        Principal(kind=kind, name=name) for kind in (Kind.HOST, Kind.ADMINISTRATOR) for name in HOSTS
    ]
    users = {names.user_of(principal) for principal in everybody} | {
        names.joining_user(host) for host in HOSTS
    }
    users |= {names.CONDUCTOR_USER, names.MANAGEMENT_USER}
    assert len(users) == 3 * len(HOSTS) + 2
