"""What each may do at RabbitMQ: pure, by name; `conductor.broker_management` puts it there.

RabbitMQ's three rights are regular expressions over the names of queues and exchanges. `configure`: to declare and to
delete. `write`: to publish to an exchange, to bind a queue. `read`: to consume from a queue, to bind a queue to an
exchange. For a topic exchange the routing key of what is published, or bound, is judged besides.
(https://www.rabbitmq.com/docs/access-control, there "How Authorisation Works")
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from common import broker_names as names
from common.identity import Kind, Principal

NOTHING: Final = "^$"
EVERYTHING: Final = ".*"
DEFAULT_EXCHANGE: Final = r"amq\.default"  # as RabbitMQ calls the one without a name


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRights:
    """Which routing keys may be written to and bound to one topic exchange."""

    exchange: str
    write: str = NOTHING
    read: str = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Of one user in one virtual host. An exchange without TopicRights takes every routing key."""

    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: tuple[TopicRights, ...] = ()


def of_host(host: str, *, control_exchange: str) -> Rights:
    """Its own commands and answers, and the way to the conductors.

    It declares its queues and no exchange: who may declare one may delete it, and all would be deaf.
    """
    commands = re.escape(names.command_queue(host))
    replies = _replies_to(Kind.HOST, host)
    to_conductors = names.conductors_exchange(control_exchange)
    answers = _one_of(names.CONDUCTOR_TOPIC, patterns=[_any_reply_to_conductors()])
    return Rights(
        configure=_one_of(patterns=[commands, replies]),
        write=_one_of(to_conductors, patterns=[commands]),
        read=_one_of(control_exchange, patterns=[commands, replies]),
        topics=(
            TopicRights(exchange=control_exchange, read=_one_of(patterns=[commands])),
            TopicRights(exchange=to_conductors, write=answers),
        ),
    )


def of_joining(host: str, *, control_exchange: str) -> Rights:
    """Nothing but to ask to join, and to read the answer."""
    replies = _one_of(patterns=[_replies_to(Kind.HOST, host)])
    to_conductors = names.conductors_exchange(control_exchange)
    return Rights(
        configure=replies,
        write=_one_of(to_conductors),
        read=replies,
        topics=(TopicRights(exchange=to_conductors, write=_one_of(names.ENROLMENT_TOPIC)),),
    )


def of_administrator(name: str, *, control_exchange: str) -> Rights:
    """To ask the conductors, and to follow their events; what is asked for, oslo.policy judges."""
    replies = _replies_to(Kind.ADMINISTRATOR, name)
    prefix = re.escape(names.feed_queue_prefix(names.events_exchange(control_exchange), name))
    feed = f"{prefix}[0-9a-f]{{{names.FEED_HEX_DIGITS}}}"
    to_conductors = names.conductors_exchange(control_exchange)
    events = names.events_exchange(control_exchange)
    return Rights(
        configure=_one_of(patterns=[replies, feed]),
        write=_one_of(to_conductors, patterns=[feed]),
        read=_one_of(events, patterns=[replies, feed]),
        topics=(
            TopicRights(exchange=to_conductors, write=_one_of(names.CONDUCTOR_TOPIC)),
            TopicRights(exchange=events, read=EVERYTHING),
        ),
    )


def of_conductors(*, control_exchange: str) -> Rights:
    """To make the exchanges, write to everybody, and read what is for conductors.

    `limosa` on a controller enters as this user, too, and may wait for answers and follow the events.
    """
    events = names.events_exchange(control_exchange)
    exchanges = (control_exchange, names.conductors_exchange(control_exchange), events)
    own = (names.CONDUCTOR_TOPIC, names.ENROLMENT_TOPIC)
    kinds = f"({Kind.CONDUCTOR}|{Kind.ADMINISTRATOR})"
    queues = [rf"{re.escape(names.REPLY_PREFIX)}\.{kinds}\..*", rf"{re.escape(events)}\..*"]
    return Rights(
        configure=_one_of(*exchanges, *own, patterns=queues),
        write=_one_of(*exchanges, *own, patterns=[*queues, DEFAULT_EXCHANGE]),
        read=_one_of(names.conductors_exchange(control_exchange), events, *own, patterns=queues),
    )


def of_management() -> Rights:
    """To remove what a host leaves behind. That it may make users says RabbitMQ's tag `administrator`."""
    return Rights(configure=_one_of(patterns=[re.escape(names.COMMAND_TOPIC_PREFIX) + r"\..*"]))


def _replies_to(kind: Kind, name: str) -> str:
    """Exact to the last digit: what comes after one host's name must not be another's name."""
    prefix = re.escape(names.reply_queue_prefix(Principal(kind=kind, name=name)))
    return f"{prefix}[0-9a-f]{{{names.REPLY_HEX_DIGITS}}}"


def _any_reply_to_conductors() -> str:
    prefix = re.escape(f"{names.REPLY_PREFIX}.{Kind.CONDUCTOR}.")
    return f"{prefix}.*"


def _one_of(*exact: str, patterns: Iterable[str] = ()) -> str:
    return f"^({'|'.join([*map(re.escape, exact), *patterns])})$"
