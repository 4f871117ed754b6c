"""RabbitMQ without oslo.messaging, where that has no answer: one connection to whichever host of it answers.

The only importer of kombu beside `common.rpc`. A Link belongs to one thread of work and knows no retries: whoever uses
it closes it when it breaks, and opens the next one.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import amqp.exceptions  # type: ignore[import-untyped]
import kombu
import kombu.exceptions
from oslo_config import cfg

from common import concurrency, log, rpc
from common.errors import LimosaError
from common.rpc import BusRefusedError

DEFAULT_PORT = 5672
CONNECT_TIMEOUT_S = 5.0  # for each host
PUBLISH_TIMEOUT_S = 5.0  # until the broker has confirmed
CLOSE_TIMEOUT_S = 2.0
QUEUE_MAX_MESSAGES = 10_000  # that wait for a follower who reads too slowly, or stands still
MEMORY_POLL_S = 0.01
TRANSIENT = 1  # AMQP's delivery mode of what need not survive its broker

FAILURES = (
    kombu.exceptions.KombuError,
    amqp.exceptions.AMQPError,
    amqp.exceptions.MessageNacked,
    OSError,  # sockets, names that do not resolve, TLS
)
"""What anything here may raise while the broker is away, refuses, or goes."""


class BrokerUnreachableError(LimosaError):
    message = "The message bus {bus} cannot be reached: {reason}."
    hint = "Look whether RabbitMQ runs, and whether transport_url is right."


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHost:
    """One host of `transport_url`."""

    name: str
    port: int
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The TLS options of [oslo_messaging_rabbit], with the meaning that they have there; empty: not set.

    Without `ca_file` an authority that this machine trusts must have signed, for whatever name.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def parameters(self, host_name: str) -> dict[str, Any]:
        """What kombu is to be told for the connection to this host."""
        given = {"keyfile": self.key_file, "certfile": self.cert_file}
        parameters: dict[str, Any] = {name: path for name, path in given.items() if path}
        if self.ca_file:
            parameters["ca_certs"] = self.ca_file
            parameters["cert_reqs"] = ssl.CERT_REQUIRED
            parameters["server_hostname"] = host_name
        return parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where RabbitMQ is and how to enter. `name` is for people and holds no password."""

    name: str
    hosts: tuple[BrokerHost, ...]
    virtual_host: str = "/"
    tls: Tls | None = None
    login_method: str = "AMQPLAIN"
    heartbeat_s: int = 15
    is_in_memory: bool = False  # oslo.messaging's fake://: within this process, for tests

    def open(self) -> "Link":
        """Connect to the first host that lets us in; raises BusRefusedError, BrokerUnreachableError."""
        failures = []
        for host in self.hosts:
            link = Link(self._connection(host))
            try:
                link.connect()
                return link
            except FAILURES as error:
                link.close()
                refusal = BusRefusedError.found_in(error, bus=self.name)
                if refusal is not None:
                    raise refusal from error
                failures.append(f"{host.name}:{host.port}: {log.mask(str(error))}".rstrip("."))
        raise BrokerUnreachableError(bus=self.name, reason="; ".join(failures))

    def refuse_if_away(self) -> None:
        """Raise BrokerUnreachableError where none of the hosts takes a connection: a person should not wait for that."""
        failures = []
        for host in () if self.is_in_memory else self.hosts:
            try:
                with socket.create_connection((host.name, host.port), timeout=CONNECT_TIMEOUT_S):
                    return
            except OSError as error:
                failures.append(f"{host.name}:{host.port}: {error.strerror or error}".rstrip("."))
        if failures:
            raise BrokerUnreachableError(bus=self.name, reason="; ".join(failures))

    def _connection(self, host: BrokerHost) -> Any:
        options: dict[str, Any] = {"confirm_publish": True}
        if self.is_in_memory:
            options = {"polling_interval": MEMORY_POLL_S}
        return kombu.Connection(
            transport="memory" if self.is_in_memory else "amqp",
            hostname=host.name,
            port=host.port,
            userid=host.user,
            password=host.password,
            virtual_host=self.virtual_host,
            login_method=self.login_method,
            ssl=False if self.tls is None else self.tls.parameters(host.name) or True,
            heartbeat=self.heartbeat_s,
            connect_timeout=CONNECT_TIMEOUT_S,
            transport_options=options,
        )


def configured(conf: cfg.ConfigOpts) -> Broker:
    """The broker that `common.rpc.Bus` uses, too: every host of transport_url, virtual host, TLS."""
    url = rpc.parsed_transport_url(conf)
    rabbit = conf.oslo_messaging_rabbit
    hosts = tuple(
        BrokerHost(
            name=host.hostname or "localhost",
            port=host.port or DEFAULT_PORT,
            user=host.username or "",
            password=host.password or "",
        )
        for host in url.hosts
    )
    tls = Tls(ca_file=rabbit.ssl_ca_file, cert_file=rabbit.ssl_cert_file, key_file=rabbit.ssl_key_file)
    return Broker(
        name=log.mask(str(conf.transport_url)),
        hosts=hosts or (BrokerHost(name="localhost", port=DEFAULT_PORT, user="guest", password="guest"),),
        virtual_host=rpc.virtual_host(conf),
        tls=tls if rabbit.ssl else None,
        login_method=rabbit.rabbit_login_method,
        heartbeat_s=rabbit.heartbeat_timeout_threshold,
        is_in_memory=url.transport == "fake",
    )


class Link:
    """One connection with one channel."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.channel: Any = None

    def connect(self) -> None:
        self._connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
        self.channel = self._connection.channel()

    def exchange(self, name: str, *, must_exist: bool) -> Any:
        """The topic exchange of this name, made if it need not exist. It holds no messages itself."""
        exchange = kombu.Exchange(name, type="topic", durable=True, passive=must_exist, channel=self.channel)
        exchange.declare()
        return exchange

    def consume(self, queue: str, *, exchange: Any, pattern: str, take: Callable[[bytes], None]) -> None:
        """Have a queue that is ours alone, goes with this connection, and gets all whose routing key fits.

        `wait` hands its messages to `take`.
        """
        private = kombu.Queue(
            queue,
            exchange=exchange,
            routing_key=pattern,
            durable=False,
            exclusive=True,
            auto_delete=True,
            queue_arguments={"x-max-length": QUEUE_MAX_MESSAGES},  # the oldest go first
            channel=self.channel,
        )
        private.declare()
        kombu.Consumer(
            self.channel,
            queues=[private],
            no_ack=True,
            auto_declare=False,
            on_message=lambda message: take(_bytes(message.body)),
        ).consume()

    def publish(self, body: str, *, exchange: Any, routing_key: str) -> None:
        """Return when the broker has it; nobody listening is no error."""
        kombu.Producer(self.channel, exchange=exchange).publish(
            body,
            routing_key=routing_key,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=TRANSIENT,
            timeout=PUBLISH_TIMEOUT_S,
            confirm_timeout=PUBLISH_TIMEOUT_S,
        )

    def wait(self, timeout_s: float) -> bool:
        """Let one thing arrive; False if nothing has in this time. Answers heartbeats; raises if the broker is gone."""
        has_come = True
        try:
            self._connection.drain_events(timeout=timeout_s)
        except TimeoutError:
            has_come = False
        self._connection.heartbeat_check()
        return has_come

    def close(self) -> None:
        """Bounded: a broker that is away is not waited for."""
        with suppress(concurrency.TaskTimeout, *FAILURES):
            concurrency.spawn(self._connection.release).wait(CLOSE_TIMEOUT_S)


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)
