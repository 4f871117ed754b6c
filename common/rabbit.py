"""oslo.messaging's driver for RabbitMQ, with names and ways around which the broker's rights can be drawn.

Its own driver asks for more than a host may have: it declares exchanges (who may declare one may delete it), names the
queues of answers by chance, answers through the exchange that leads to every queue, and has two further queues for each
server that nobody sends to (one by the server's name, one for fanout). Here

- conductors alone declare exchanges; for everybody else they are there, or the way is not open yet;
- a queue of answers bears the name of whom it belongs to, and conductors' ones hang on the exchange to the conductors,
  through which hosts answer; conductors answer through the default one, as ever;
- a server has one queue.

Answers also find conductors of before this, whose queues are named by chance: through the default exchange.
Classes of oslo_messaging._drivers are derived from: drivers are its extension point, and `tests/rabbit` holds us to it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import amqp.exceptions  # type: ignore[import-untyped]
import kombu
import oslo_messaging
from oslo_messaging._drivers import amqpdriver, base, impl_rabbit
from oslo_messaging._drivers import common as driver_common

from common import broker_names as names
from common import concurrency
from common.identity import Kind, Principal

EXCHANGE_PAUSE_S = 1.0
_SERVER_HOSTNAME: Final = "server_hostname"

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who we are at the broker."""

    principal: Principal
    conductors_exchange: str

    @property
    def is_conductor(self) -> bool:
        return self.principal.kind is Kind.CONDUCTOR


class _EachHostsName(dict[str, Any]):
    """Options of TLS for more than one broker: the name to be proven is always that of the one connected to.

    kombu writes it here where it reads None, at the first connection, and the next broker would have to prove the first
    one's. What is read with `[]` stays None; `**` hands on what was written last.
    """

    def __getitem__(self, key: str) -> Any:
        return None if key == _SERVER_HOSTNAME else super().__getitem__(key)


class Connection(impl_rabbit.Connection):
    def __init__(
        self, conf: Any, url: Any, purpose: str, retry: int | None = None, *, standing: Standing
    ) -> None:
        self._standing = standing
        super().__init__(conf, url, purpose, retry=retry)

    def declare_consumer(self, consumer: Any) -> Any:
        standing = self._standing
        if consumer.exchange_name:
            consumer.exchange.passive = not standing.is_conductor
        elif standing.is_conductor:  # a queue of answers
            consumer.exchange_name, consumer.type = standing.conductors_exchange, "topic"
            consumer.routing_key = consumer.queue_name
            consumer.exchange = self._topic_exchange(standing.conductors_exchange)
        return super().declare_consumer(consumer)

    def _fetch_ssl_params(self) -> Any:
        found = super()._fetch_ssl_params()
        if isinstance(found, dict) and found.get(_SERVER_HOSTNAME, "") is None:
            return _EachHostsName(found)
        return found

    def topic_send(
        self,
        exchange_name: str,
        topic: str,
        msg: Any,
        timeout: float | None = None,
        retry: int | None = None,
        transport_options: Any = None,
    ) -> None:
        self._ensure_publishing(
            self._publish,
            self._topic_exchange(exchange_name),
            msg,
            routing_key=topic,
            timeout=timeout,
            retry=retry,
            transport_options=transport_options,
        )

    def direct_send(self, msg_id: str, msg: Any) -> None:
        """An answer; `msg_id` is the queue that it is for. Raises MessageUndeliverable where that is gone."""
        if self._standing.is_conductor or not names.is_conductors_reply_queue(msg_id):
            super().direct_send(msg_id, msg)
            return
        self._ensure_publishing(
            self._publish_and_raises_on_missing_exchange,
            self._topic_exchange(self._standing.conductors_exchange),
            msg,
            routing_key=msg_id,
            transport_options=oslo_messaging.TransportOptions(at_least_once=self.direct_mandatory_flag),
        )

    def find_exchange(self, name: str) -> None:
        """Make the exchange, or return when a conductor has: without one of them there is nothing to hear."""
        exchange = self._topic_exchange(name)
        is_told = False
        while True:  # as long as the driver would wait for a broker that is away
            try:
                with self._connection_lock:
                    self.ensure(lambda: exchange(self.channel).declare())
                return
            except oslo_messaging.MessageDeliveryFailure as error:
                if not isinstance(error.__context__, amqp.exceptions.NotFound):
                    raise
            if not is_told:
                LOG.warning("no conductor has been at this broker yet: waiting for one")
                is_told = True
            concurrency.sleep(EXCHANGE_PAUSE_S)

    def _topic_exchange(self, name: str) -> Any:
        is_passive = not self._standing.is_conductor
        return kombu.Exchange(name, type="topic", durable=self.durable, passive=is_passive)


class Driver(impl_rabbit.RabbitDriver):
    def __init__(self, conf: Any, url: Any, *, default_exchange: str, standing: Standing) -> None:
        super().__init__(conf, url, default_exchange=default_exchange, allowed_remote_exmods=[])
        self._standing = standing
        self._connection_pool.connection_cls = partial(Connection, standing=standing)

    def _get_reply_queue_name(self) -> str:
        return names.new_reply_queue(self._standing.principal)

    def listen(self, target: Any, batch_size: int, batch_timeout: float | None) -> Any:
        connection = self._get_connection(driver_common.PURPOSE_LISTEN)
        connection.find_exchange(self._default_exchange)
        listener: Callable[[Any], None] = amqpdriver.RpcAMQPListener(self, connection)
        connection.declare_topic_consumer(
            exchange_name=self._get_exchange(target), topic=target.topic, callback=listener
        )
        return base.PollStyleListenerAdapter(listener, batch_size, batch_timeout)


def transport(conf: Any, *, principal: Principal) -> Any:
    """The transport of transport_url; oslo.messaging's own for another than RabbitMQ (tests have fake://)."""
    url = oslo_messaging.TransportURL.parse(conf)
    if url.transport != "rabbit":
        return oslo_messaging.get_rpc_transport(conf)
    exchange = names.conductors_exchange(conf.control_exchange)
    standing = Standing(principal=principal, conductors_exchange=exchange)
    driver = Driver(conf, url, default_exchange=conf.control_exchange, standing=standing)
    return oslo_messaging.transport.RPCTransport(driver)
