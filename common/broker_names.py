"""What exists at the broker: exchanges, queues and users, with the names around which its rights are drawn.

    exchange              from whom                   to whom
    limosa                conductors                  a host's agent: routing key limosa-compute.HOST
    limosa.conductors     hosts, administrators       conductors: limosa-conductor, and the answers to their own calls
    limosa.events         conductors                  administrators who follow
    (the default one)     conductors                  whoever has asked them: the name of his queue

Two directions, two exchanges: whoever may write to an exchange can also have a queue of his own dead-letter to it, with
any routing key, which RabbitMQ's topic permissions do not look at. So nobody but conductors writes where hosts read.
The first name is [DEFAULT]control_exchange, the others begin with it. Every other name ends with what it belongs to.
"""

import secrets
from typing import Final

from common.identity import Kind, Principal

CONDUCTOR_TOPIC: Final = "limosa-conductor"
ENROLMENT_TOPIC: Final = "limosa-enrolment"  # of those whom nobody knows yet
COMMAND_TOPIC_PREFIX: Final = "limosa-compute"
REPLY_PREFIX: Final = "limosa-reply"
REPLY_HEX_DIGITS: Final = 32
FEED_HEX_DIGITS: Final = 16

CONDUCTOR_USER: Final = "limosa-conductor"
MANAGEMENT_USER: Final = "limosa-management"


def conductors_exchange(control_exchange: str) -> str:
    """Where hosts and administrators write to conductors."""
    return f"{control_exchange}.conductors"


def events_exchange(control_exchange: str) -> str:
    return f"{control_exchange}.events"


def command_queue(host: str) -> str:
    """Of one host's agent; also the routing key of what is sent there."""
    return f"{COMMAND_TOPIC_PREFIX}.{host}"


def reply_queue_prefix(principal: Principal) -> str:
    """Of all queues in which this one waits for answers."""
    return f"{REPLY_PREFIX}.{principal.kind}.{principal.name}."


def new_reply_queue(principal: Principal) -> str:
    return reply_queue_prefix(principal) + secrets.token_hex(REPLY_HEX_DIGITS // 2)


def is_conductors_reply_queue(queue: str) -> bool:
    return queue.startswith(f"{REPLY_PREFIX}.{Kind.CONDUCTOR}.")


def feed_queue_prefix(exchange: str, administrator: str) -> str:
    """Of all queues in which this administrator's programs follow the events of that exchange."""
    return f"{exchange}.{administrator}."


def new_feed_queue(exchange: str, administrator: str) -> str:
    return feed_queue_prefix(exchange, administrator) + secrets.token_hex(FEED_HEX_DIGITS // 2)


def user_of(principal: Principal) -> str:
    """The broker's user of a host or an administrator; all conductors share one."""
    if principal.kind is Kind.CONDUCTOR:
        return CONDUCTOR_USER
    return f"limosa-{principal.kind}-{principal.name}"


def joining_user(host: str) -> str:
    """The one that may do nothing but ask to join, until the host has its own."""
    return f"limosa-joining-{host}"
