"""The one door to RabbitMQ's management, by which hosts and administrators get users of their own."""

from typing import Any, Final, Protocol
from urllib.parse import quote

import requests
from oslo_config import cfg

from common import rpc
from common.broker_rights import Rights
from common.errors import LimosaError

CLOSE_TRIES: Final = 5  # it fails where one of them ends meanwhile by itself
TIMEOUT_S: Final = 10.0
ANSWER_MAX_CHARACTERS: Final = 300  # of what RabbitMQ says against it, in a sentence of ours
GONE: Final = 404
FAILED: Final = 500


class BrokerManagementError(LimosaError):
    message = "RabbitMQ's management at {url} did not {what}: {reason}."
    hint = (
        "Look whether RabbitMQ runs with its management plugin, and at [broker]management_url, management_user and "
        "management_password: `limosa-conductor broker-setup` on the broker's machine makes them."
    )


class Management(Protocol):
    """Everything raises BrokerManagementError, may be repeated, and succeeds where it is done already."""

    def create_user(self, name: str, *, password_hash: str, rights: Rights) -> None:
        """Make the user, or give the one that is there this password and no other rights than these.

        The hash is that of `common.broker_passwords`: passwords stay with those who use them.
        """

    def delete_user(self, name: str) -> None:
        """No connection of his is closed by this: `close_connections` comes after it."""

    def set_password(self, name: str, *, password_hash: str) -> None:
        """Connections that are open stay so."""

    def close_connections(self, name: str) -> None:
        """Of this user, also of one who is deleted."""

    def delete_queue(self, name: str) -> None:
        """With all that is in it."""


class HttpManagement:
    """Over RabbitMQ's HTTP API. Blocking; at most TIMEOUT_S for each of some requests."""

    def __init__(self, url: str, *, user: str, password: str, virtual_host: str, ca_file: str = "") -> None:
        self._url = url.rstrip("/")
        self._virtual_host = virtual_host
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy of the environment comes between
        self._session.auth = (user, password)
        if ca_file:
            self._session.verify = ca_file

    def create_user(self, name: str, *, password_hash: str, rights: Rights) -> None:
        """The narrower first: a user without rights on topics may use every routing key."""
        self._ask("make a user", "PUT", "users", name, body={"password_hash": password_hash, "tags": ""})
        for topic in rights.topics:
            narrowed = {"exchange": topic.exchange, "write": topic.write, "read": topic.read}
            self._ask("set rights", "PUT", "topic-permissions", self._virtual_host, name, body=narrowed)
        granted = {"configure": rights.configure, "write": rights.write, "read": rights.read}
        self._ask("set rights", "PUT", "permissions", self._virtual_host, name, body=granted)

    def delete_user(self, name: str) -> None:
        self._ask("remove a user", "DELETE", "users", name, is_gone_fine=True)

    def set_password(self, name: str, *, password_hash: str) -> None:
        self._ask("set a password", "PUT", "users", name, body={"password_hash": password_hash, "tags": ""})

    def close_connections(self, name: str) -> None:
        path = ("connections", "username", name)
        self._ask("close connections", "DELETE", *path, is_gone_fine=True, tries=CLOSE_TRIES)

    def delete_queue(self, name: str) -> None:
        self._ask("remove a queue", "DELETE", "queues", self._virtual_host, name, is_gone_fine=True)

    def _ask(
        self,
        what: str,
        method: str,
        *path: str,
        body: dict[str, Any] | None = None,
        is_gone_fine: bool = False,
        tries: int = 1,
    ) -> None:
        """`tries`: for what RabbitMQ itself has failed at; a refusal is one at once."""
        url = "/".join((self._url, "api", *(quote(part, safe="") for part in path)))
        for _ in range(tries):
            try:
                answer = self._session.request(
                    method, url, json=body, timeout=TIMEOUT_S, allow_redirects=False
                )
            except requests.RequestException as error:
                raise self._error(what, str(error)) from error
            if answer.status_code < FAILED:
                break
        if answer.ok or (is_gone_fine and answer.status_code == GONE):
            return
        raise self._error(what, f"{answer.status_code} {answer.text:.{ANSWER_MAX_CHARACTERS}}".strip())

    def _error(self, what: str, reason: str) -> BrokerManagementError:
        return BrokerManagementError(url=self._url, what=what, reason=reason.rstrip("."))


def configured(conf: cfg.ConfigOpts) -> Management:
    """Of the broker and the virtual host that transport_url names."""
    return HttpManagement(
        conf.broker.management_url,
        user=conf.broker.management_user,
        password=conf.broker.management_password or "",
        virtual_host=rpc.virtual_host(conf),
        ca_file=conf.broker.management_ca_file,
    )
