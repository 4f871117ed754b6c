"""Calls and casts over the message bus: the only importer of oslo.messaging beside `common.rabbit`.

    bus = Bus(conf, identity=identity, keyring=keyring)
    server = bus.serve(conductor_api.INTERFACE, conf.host, endpoint, guard=gate); server.start()
    bus.client(agent_api.interface(host)).cast("execute", command)

An endpoint is any object with methods marked `@exposed`; their annotations are the contract of what travels:

    @exposed
    def show_instance(self, context: Context, instance: str) -> InstanceView: ...

Delivery is at most once: RabbitMQ's acknowledgement goes out before the method runs. All messages travel in the
envelope of `common.envelope`, as one oslo.messaging method. Nothing here waits for ever: oslo.messaging would (for a
first connection, or behind its own heartbeat while the broker is away), so each sending has a thread of its own that
is given up after a bound. A given-up sending may still go out when the broker is back; the protocol permits that.

Use it from our side only, never from native threads (see `common.concurrency`).
"""

import logging
import os
import threading
import warnings
from collections import Counter
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

import amqp.exceptions  # type: ignore[import-untyped]
import kombu.exceptions
from oslo_config import cfg

from common import concurrency, log
from common.broker_names import conductors_exchange
from common.dispatch import CALL_KEY, Dispatcher, Guard, InternalError, decode_reply, encode_arguments
from common.envelope import Interface, check_fit, new_request_id, seal, unseal
from common.errors import (
    ConfigurationError,
    LimosaError,
    OutcomeUnknownError,
    ServiceUnreachableError,
)
from common.identity import Identity, Keyring, Kind, NotProvenError
from common.wire import WireError

with warnings.catch_warnings():
    # oslo.messaging imports eventlet through oslo.service, used or not: without the notice (see concurrency), and
    # without its DNS where that is not used, which takes a third of the time (0.07 s of each `limosa`).
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    if concurrency.backend() is concurrency.Backend.THREADING:
        os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    import oslo_messaging
    from oslo_messaging import opts as messaging_opts

    from common import rabbit

SEND_RETRIES = 1  # connecting anew, a second later: a broker that restarted or a connection that broke
SEND_TIMEOUT_S = 5.0
STUCK_MAX = (
    8  # sendings given up that have not ended: with so many the broker is away, and more would pile up
)
STOP_TIMEOUT_S = 10.0
CAUSES_MAX = 10  # how deep a refusal may be wrapped

# What differs from oslo.messaging's own defaults; an operator's file still has the last word.
DEFAULTS: dict[str | None, dict[str, Any]] = {
    None: {
        "control_exchange": "limosa",
        "rpc_response_timeout": 30,
        # One for each message that is being worked on; clients that wait for a migration hold one each.
        "executor_thread_pool_size": 256,
    },
    "oslo_messaging_rabbit": {
        # A queue's type cannot be changed in place, so the right one from the first: survives its broker.
        "amqp_durable_queues": True,
        "rabbit_quorum_queue": True,
        "rabbit_transient_quorum_queue": True,
        "rabbit_transient_queues_ttl": 120,  # of reply queues whose process has gone: each `limosa` makes one
        # Back on the bus about a second after the broker: commands wait for their resend otherwise.
        "kombu_reconnect_delay": 0.0,
        "rabbit_retry_interval": 1,
        "rabbit_retry_backoff": 0,
        "rabbit_interval_max": 2,
        # A cut without a reset is noticed after this; it bounds a publish on such a connection, too.
        "heartbeat_timeout_threshold": 15,
        # How long a reply is kept for a caller whose queue is gone; it holds one of the threads above.
        "kombu_missing_consumer_retry_timeout": 5,
    },
}

# Of oslo.messaging's many options, those that an operator of Limosa may need, for the sample.
SHOWN = {
    None: ("transport_url", "rpc_response_timeout", "executor_thread_pool_size"),
    "oslo_messaging_rabbit": (
        "ssl",
        "ssl_ca_file",
        "ssl_cert_file",
        "ssl_key_file",
        "heartbeat_timeout_threshold",
        "rabbit_retry_interval",
        "rabbit_interval_max",
    ),
}

# What sending or connecting may raise: oslo.messaging lets some of what its libraries raise pass through.
DELIVERY_FAILURES = (
    oslo_messaging.MessagingException,
    kombu.exceptions.KombuError,
    amqp.exceptions.AMQPError,
    OSError,
    concurrency.TaskTimeout,
)

LOG = logging.getLogger(__name__)

T = TypeVar("T")


class BusError(LimosaError):
    """A cast was not taken by the broker. Whoever sent it sends it again, as for a lost message."""

    message = "The message bus {bus} did not take {method} for {topic}: {reason}"
    hint = "Look whether RabbitMQ runs and whether transport_url is right."


class BusRefusedError(ServiceUnreachableError):
    """The broker is there and does not let us in: waiting will not help who starts.

    Whoever is at work already (a migration under way, while somebody changes the password) waits as for any conductor
    that does not answer, and so need not know this one.
    """

    message = "The message bus {bus} refuses us: {reason}"
    hint = "Look at the user, password and virtual host in transport_url, and at the log of RabbitMQ."

    @classmethod
    def found_in(cls, error: BaseException, *, bus: str) -> "BusRefusedError | None":
        """The refusal behind what a library raised, if there is one: some of them wrap it into their own."""
        cause: BaseException | None = error
        for _ in range(CAUSES_MAX):
            if isinstance(cause, amqp.exceptions.AccessRefused | amqp.exceptions.NotAllowed):
                return cls(bus=bus, reason=log.mask(cause.reply_text or str(cause)))
            cause = cause and (cause.__cause__ or cause.__context__)
        return None


class ReplyNotProvenError(OutcomeUnknownError):
    """Something has answered, and it is not who was asked: no word of it is believed."""

    message = "What has answered {method} cannot be trusted: {reason}"
    hint = "Look at [identity]conductor_public_key here, and at who else may write to RabbitMQ's queues."


class Bus:
    """One process's connection to RabbitMQ. Connections are made when first needed, and again when they break.

    `conf` must be oslo.config's global one: oslo.messaging looks for its tracing options nowhere else. All that is sent
    is signed by `identity`, and nothing is believed that `keyring` does not prove. Raises ConfigurationError for a
    transport_url that is none.
    """

    def __init__(self, conf: cfg.ConfigOpts, *, identity: Identity, keyring: Keyring) -> None:
        register_options(conf)
        self.conf = conf
        self.identity = identity
        self.keyring = keyring
        self.sent: Counter[str] = (
            Counter()
        )  # messages given to the broker, by method, replies as "METHOD reply"
        self.name = log.mask(str(conf.transport_url))
        try:
            self._transport = rabbit.transport(conf, principal=identity.principal)
        except (oslo_messaging.MessagingException, ValueError) as error:  # ValueError: a port that is none
            reason = log.mask(str(error))
            raise ConfigurationError(group="DEFAULT", option="transport_url", reason=reason) from error
        self._clients: dict[str, oslo_messaging.RPCClient] = {}
        self._stuck: list[concurrency.Task[Any]] = []
        self._lock = threading.Lock()

    def serve(
        self,
        interface: Interface,
        server_name: str,
        endpoint: object,
        *,
        guard: Guard,
        keyring: Keyring | None = None,
    ) -> "Server":
        """A server of the endpoint's exposed methods, not started yet. Several may serve one topic.

        `keyring`: who counts at this interface, if not those who count otherwise.
        """
        dispatcher = Dispatcher(
            interface,
            endpoint,
            identity=self.identity,
            keyring=keyring or self.keyring,
            guard=guard,
            message_max_age_s=self.conf.message_max_age_s,
            sent=self.sent,
        )
        target = oslo_messaging.Target(
            exchange=self._exchange(interface), topic=interface.topic, server=server_name
        )
        return Server(self._transport, target, dispatcher, bus_name=self.name)

    def client(self, interface: Interface) -> "Client":
        """A sender to whoever serves the interface."""
        return Client(self, interface)

    def close(self) -> None:
        """Give the connections up. Bounded: a broker that is away is not waited for."""
        task = concurrency.spawn(self._transport.cleanup)
        try:
            task.wait(STOP_TIMEOUT_S)
        except concurrency.TaskTimeout:
            LOG.warning("the connections to %s could not be closed in order", self.name)

    def send(self, client: Any, is_call: bool, sealed: dict[str, Any], timeout_s: float) -> Any:
        """Run one sending within its bound; raises TaskTimeout, or what oslo.messaging raises. Not for users."""
        with self._lock:
            self._stuck = [task for task in self._stuck if not task.done]
            if len(self._stuck) >= STUCK_MAX:
                raise concurrency.TaskTimeout(f"{STUCK_MAX} earlier messages wait for the broker")
        deliver = client.call if is_call else client.cast
        task = concurrency.spawn(partial(deliver, {CALL_KEY: is_call}, "receive", sealed=sealed))
        try:
            return task.wait(timeout_s)
        except concurrency.TaskTimeout:
            with self._lock:
                self._stuck.append(task)
            raise

    def sender(self, interface: Interface, timeout_s: float | None) -> Any:
        """oslo.messaging's client for this destination; kept, because making one is not free. Not for users."""
        client = self._clients.get(interface.topic)
        if client is None:
            target = oslo_messaging.Target(exchange=self._exchange(interface), topic=interface.topic)
            client = oslo_messaging.get_rpc_client(self._transport, target, retry=SEND_RETRIES)
            self._clients[interface.topic] = client
        return client.prepare(timeout=timeout_s)

    def _exchange(self, interface: Interface) -> str:
        """Each direction has its own (see `common.broker_names`)."""
        control: str = self.conf.control_exchange
        return conductors_exchange(control) if interface.server is Kind.CONDUCTOR else control


class Client:
    """Sends to one interface; made by `Bus.client`."""

    def __init__(self, bus: Bus, interface: Interface) -> None:
        self._bus = bus
        self._interface = interface

    def call(
        self, method: str, *arguments: object, kind: type[T], timeout_s: float | None = None, tries: int = 1
    ) -> T:
        """The method's result, as `kind`; raises what the method raised, or ServiceUnreachableError.

        Of the latter BusRefusedError comes at once. With more `tries` a request that nobody has answered is sent again
        under the same request id, so that one that was carried out is not carried out twice.
        """
        timeout_s = timeout_s or float(self._bus.conf.rpc_response_timeout)
        request_id = new_request_id()
        for tries_left in range(tries - 1, -1, -1):
            sealed = self._seal(method, arguments, request_id)
            try:
                reply = self._ask(sealed, timeout_s)
            except oslo_messaging.MessagingTimeout as error:
                if not tries_left:
                    raise ServiceUnreachableError(timeout_s=f"{timeout_s:g}", bus=self._bus.name) from error
            else:
                return self._believe(reply, sealed, kind)
        raise AssertionError("unreachable: the last try returns or raises")

    def _ask(self, sealed: dict[str, Any], timeout_s: float) -> object:
        """The sealed reply; raises oslo.messaging's MessagingTimeout where only the reply is missing."""
        sender = self._bus.sender(self._interface, timeout_s)
        try:
            return self._bus.send(sender, True, sealed, timeout_s + SEND_TIMEOUT_S)
        except oslo_messaging.MessagingTimeout:
            raise
        except oslo_messaging.RemoteError as error:  # what serves this topic is not ours
            raise InternalError(service=self._interface.name, request_id=sealed["request_id"]) from error
        except DELIVERY_FAILURES as error:
            refusal = BusRefusedError.found_in(error, bus=self._bus.name)
            if refusal is not None:
                raise refusal from error
            raise ServiceUnreachableError(timeout_s=f"{timeout_s:g}", bus=self._bus.name) from error

    def _believe(self, answer: object, asked: dict[str, Any], kind: type[T]) -> T:
        """What the reply says, if it is one to this very message and by one who serves this interface."""
        method, audience = asked["method"], str(self._bus.identity.principal)
        try:
            reply, signer = unseal(answer, keyring=self._bus.keyring, audience=audience)
        except (NotProvenError, WireError) as error:
            raise ReplyNotProvenError(method=method, reason=error) from error
        if not self._interface.is_served_by(signer) or reply.in_reply_to != asked["signature"]:
            raise ReplyNotProvenError(method=method, reason=f"{signer} has answered something else.")
        check_fit(reply, self._interface)
        return decode_reply(reply, self._interface, kind)

    def cast(self, method: str, *arguments: object) -> None:
        """Hand the message to the broker and do not wait for anybody; raises BusError promptly if it is away."""
        sealed = self._seal(method, arguments, new_request_id())
        sender = self._bus.sender(self._interface, None)
        try:
            self._bus.send(sender, False, sealed, SEND_TIMEOUT_S)
        except DELIVERY_FAILURES as error:
            raise BusError(
                bus=self._bus.name, method=method, topic=self._interface.topic, reason=log.mask(str(error))
            ) from error

    def _seal(self, method: str, arguments: tuple[object, ...], request_id: str) -> dict[str, Any]:
        self._bus.sent[method] += 1
        return seal(
            encode_arguments(arguments),
            identity=self._bus.identity,
            audience=self._interface.topic,
            interface=self._interface,
            method=method,
            request_id=request_id,
        )


class Server:
    """Receives for one endpoint; made by `Bus.serve`."""

    def __init__(self, transport: Any, target: Any, dispatcher: Dispatcher, *, bus_name: str) -> None:
        with warnings.catch_warnings():
            # The eventlet executor is deprecated; which one is taken follows from concurrency.setup.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._server = oslo_messaging.get_rpc_server(
                transport, target, [dispatcher], executor=concurrency.backend().value
            )
        self._bus_name = bus_name
        self._topic = target.topic
        self._is_started = False

    def start(self) -> None:
        """Declare the queues and receive; raises BusRefusedError.

        Blocks while the broker is away: run it where that is no harm.
        """
        try:
            self._server.start()
        except DELIVERY_FAILURES as error:
            raise BusRefusedError(bus=self._bus_name, reason=log.mask(str(error))) from error
        self._is_started = True

    def stop(self) -> None:
        """Take no further message and wait for those that are worked on, within a bound."""
        if not self._is_started:  # start still waits for the broker, and ends with the process
            return
        task = concurrency.spawn(self._stop)
        try:
            task.wait(STOP_TIMEOUT_S)
        except concurrency.TaskTimeout:
            LOG.warning(
                "%s: messages were still worked on, or the broker away, when it had to stop", self._topic
            )

    def _stop(self) -> None:
        self._server.stop()
        self._server.wait()


def register_options(conf: cfg.ConfigOpts) -> None:
    """Make oslo.messaging's options known before it does, with our defaults."""
    for group, options in messaging_opts.list_opts():
        conf.register_opts(options, group=group)
    for group, values in DEFAULTS.items():
        for name, value in values.items():
            conf.set_default(name, value, group=group)


def parsed_transport_url(conf: cfg.ConfigOpts) -> Any:
    """oslo.messaging's own reading of transport_url, for `common.broker`; raises ConfigurationError."""
    try:
        return oslo_messaging.TransportURL.parse(conf)
    except (oslo_messaging.MessagingException, ValueError) as error:
        reason = log.mask(str(error))
        raise ConfigurationError(group="DEFAULT", option="transport_url", reason=reason) from error


def virtual_host(conf: cfg.ConfigOpts) -> str:
    """The one that transport_url names; raises ConfigurationError."""
    return unquote(parsed_transport_url(conf).virtual_host or "") or "/"


def option_names() -> dict[str, set[str]]:
    """What oslo.messaging understands, by group: to tell a misspelt option from one of its own."""
    return {
        group or "DEFAULT": {option.dest for option in options}
        for group, options in messaging_opts.list_opts()
    }


def shown_options() -> list[tuple[str | None, list[cfg.Opt]]]:
    """Those of oslo.messaging's options that belong in our sample, with our defaults."""
    shown = []
    for group, options in messaging_opts.list_opts():
        chosen = [option for option in options if option.name in SHOWN.get(group, ())]
        for option in chosen:
            option.default = DEFAULTS.get(group, {}).get(option.name, option.default)
        if chosen:
            shown.append((group, chosen))
    return shown
