"""What somebody can do with all that lies on a host, told as JSON: run there, with `limosa.conf` as its only argument.

He is root there, so he has the host's key, its broker user, and Limosa's own code.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import amqp
import kombu

from common import broker, broker_names, config
from common.conductor_api import INTERFACE
from common.identity import ConductorsOnly, Identity, Kind, Principal, PrivateKey, PublicKey
from common.rpc import Bus

ME, OTHER = "compute1", "compute2"
OWN_COMMANDS, THEIR_COMMANDS = broker_names.command_queue(ME), broker_names.command_queue(OTHER)
TO_CONDUCTORS, EVENTS = "limosa.conductors", "limosa.events"


def new_queue() -> str:
    return broker_names.new_reply_queue(Principal(kind=Kind.HOST, name=ME))


def publish(channel: Any, exchange: str, key: str) -> None:
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message("{}"), exchange=exchange, routing_key=key)


def dead_letter_to(channel: Any, exchange: str) -> None:
    arguments = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": THEIR_COMMANDS}
    channel.queue_declare(new_queue(), arguments={**arguments, "x-expires": 60_000})


ATTEMPTS: dict[str, Callable[[Any], object]] = {
    "consume another host's commands": lambda channel: channel.basic_consume(THEIR_COMMANDS),
    "take one of another host's commands": lambda channel: channel.basic_get(THEIR_COMMANDS),
    "throw another host's commands away": lambda channel: channel.queue_purge(THEIR_COMMANDS),
    "remove another host's queue": lambda channel: channel.queue_delete(THEIR_COMMANDS),
    "get a copy of another host's commands": lambda channel: channel.queue_bind(
        OWN_COMMANDS, "limosa", THEIR_COMMANDS
    ),
    "get a copy of everybody's commands": lambda channel: channel.queue_bind(OWN_COMMANDS, "limosa", "#"),
    "get a copy of what is for conductors": lambda channel: channel.queue_bind(
        OWN_COMMANDS, TO_CONDUCTORS, "#"
    ),
    "follow the events": lambda channel: channel.queue_bind(OWN_COMMANDS, EVENTS, "#"),
    "consume what is for conductors": lambda channel: channel.basic_consume("limosa-conductor"),
    "lead commands elsewhere": lambda channel: channel.exchange_bind(TO_CONDUCTORS, "limosa", THEIR_COMMANDS),
    "command another host": lambda channel: publish(channel, "limosa", THEIR_COMMANDS),
    "command another host by its queue": lambda channel: publish(channel, "", THEIR_COMMANDS),
    "command another host by dead letters": lambda channel: dead_letter_to(channel, "limosa"),
    "command another host's queue by dead letters": lambda channel: dead_letter_to(channel, ""),
    "tell events": lambda channel: publish(channel, EVENTS, "instance.moved"),
    "ask to join": lambda channel: publish(channel, TO_CONDUCTORS, broker_names.ENROLMENT_TOPIC),
    "remove the exchange of commands": lambda channel: channel.exchange_delete("limosa"),
    "make an exchange": lambda channel: channel.exchange_declare("mine", "fanout"),
    "make a queue of another name": lambda channel: channel.queue_declare("limosa-compute.compute3"),
}


def attempt(entrance: broker.Broker, act: Callable[[Any], object]) -> str:
    [host] = entrance.hosts
    assert entrance.tls is not None
    with kombu.Connection(
        hostname=host.name,
        port=host.port,
        userid=host.user,
        password=host.password,
        virtual_host=entrance.virtual_host,
        ssl=entrance.tls.parameters(host.name),
    ) as connection:
        try:
            act(connection.channel())
        except amqp.exceptions.AccessRefused:
            return "refused"
    return "done"


def forge(conf: Any, principal: Principal) -> str:
    """A message in somebody else's name, with the only key that is here, where it can be put: before the conductors."""
    key = PrivateKey.load(Path(conf.identity.host_key))
    keyring = ConductorsOnly(PublicKey.load(Path(conf.identity.conductor_public_key)))
    bus = Bus(conf, identity=Identity(principal=principal, key=key), keyring=keyring)
    bus.client(INTERFACE).cast("list_instances")
    return "sent"


def main() -> None:
    conf = config.load(["--config-file", sys.argv[1]], "tool")
    entrance = broker.configured(conf)
    told = {what: attempt(entrance, act) for what, act in ATTEMPTS.items()}
    told["speak as another host"] = forge(conf, Principal(kind=Kind.HOST, name=OTHER))
    told["speak as an administrator"] = forge(conf, Principal(kind=Kind.ADMINISTRATOR, name="admin"))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
