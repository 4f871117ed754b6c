"""The door to a broker and a conductor who do not know us yet."""

import ssl
from socket import create_connection
from typing import Any, Final, Protocol

from oslo_config import cfg

from common import broker, certificates, log
from common.broker_url import BrokerUrl
from common.enrolment_api import EnrolmentAPI, JoinGrant, JoinRequest
from common.errors import LimosaError
from common.identity import ConductorsOnly, Identity, Kind, Principal
from common.join_code import JoinCode
from common.rpc import Bus, BusRefusedError

CONNECT_TIMEOUT_S: Final = 10.0


class BrokerAwayError(LimosaError):
    message = "RabbitMQ at {url} cannot be reached: {reason}."
    hint = "Look whether it runs there, listens with TLS, and whether a firewall is in between; nothing was changed here."


class OtherAuthorityError(LimosaError):
    """Either this is another installation's broker, or somebody stands in between."""

    message = "RabbitMQ at {url} shows a certificate of another CA than the one that the join code names."
    hint = (
        "Look whether the URL is the right one. If the broker keeps its CA's certificate to itself, name a copy with "
        "--ca-file. Nothing was changed here."
    )
    exit_code = 9


class CodeRefusedError(LimosaError):
    message = "RabbitMQ at {url} lets no join code of {host} in: it was used or replaced, or it has expired."
    hint = "`limosa-conductor host add {host}` makes another one."
    exit_code = 9


class Door(Protocol):
    def authority(self, url: BrokerUrl, *, fingerprint: bytes) -> str:
        """The CA's certificate, from the broker's own chain; raises BrokerAwayError, OtherAuthorityError."""

    def ask(self, conf: cfg.ConfigOpts, code: JoinCode, request: JoinRequest, *, url: BrokerUrl) -> JoinGrant:
        """Raises CodeRefusedError, and what `common.enrolment_api.EnrolmentAPI` raises."""

    def try_login(self, conf: cfg.ConfigOpts) -> None:
        """Whether the broker lets us in as `conf` says; raises BusRefusedError, BrokerUnreachableError."""


class BrokerDoor:
    """The real one."""

    def authority(self, url: BrokerUrl, *, fingerprint: bytes) -> str:
        for pem in _shown_by(url):
            if certificates.fingerprint(pem) == fingerprint:
                return pem
        raise OtherAuthorityError(url=url)

    def ask(self, conf: cfg.ConfigOpts, code: JoinCode, request: JoinRequest, *, url: BrokerUrl) -> JoinGrant:
        principal = Principal(kind=Kind.HOST, name=code.host)
        try:
            self.try_login(conf)
            bus = Bus(
                conf,
                identity=Identity(principal=principal, key=code.key),
                keyring=ConductorsOnly(code.conductors),
            )
            try:
                return EnrolmentAPI(bus).join(request)
            finally:
                bus.close()
        except BusRefusedError as error:
            raise CodeRefusedError(url=url, host=code.host) from error

    def try_login(self, conf: cfg.ConfigOpts) -> None:
        broker.configured(conf).open().close()


def _shown_by(url: BrokerUrl) -> list[str]:
    """The chain of the first broker that answers, unproven: it is the fingerprint that proves it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    failures = []
    for name, port in url.hosts:
        try:
            with (
                create_connection((name, port), timeout=CONNECT_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=name) as connection,
            ):
                return [ssl.DER_cert_to_PEM_cert(der) for der in _chain(connection)]
        except OSError as error:  # ssl's errors are ones, too
            failures.append(f"{name}:{port}: {log.mask(error.strerror or str(error))}".rstrip("."))
    raise BrokerAwayError(url=url, reason="; ".join(failures))


def _chain(connection: Any) -> list[bytes]:
    """All that the peer has sent. Python has a public name for it from 3.13 on, gh-109109; before, only this one."""
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    return [certificate.public_bytes(_DER) for certificate in connection._sslobj.get_unverified_chain()]


_DER: Final = 2  # _ssl.ENCODING_DER
