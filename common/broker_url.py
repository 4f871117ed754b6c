"""Where the broker is, without a login: `amqps://HOST[:PORT][,HOST...][/VIRTUAL-HOST]`, as `host add` prints it."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from common.errors import LimosaError

TLS_SCHEME: Final = "amqps"
PLAIN_SCHEME: Final = "amqp"
TLS_PORT: Final = 5671
PORTS: Final = {TLS_SCHEME: TLS_PORT, PLAIN_SCHEME: 5672}
PORT_MAX: Final = 65_535


class BrokerUrlError(LimosaError):
    message = "{url} says not where RabbitMQ is: {reason}."
    hint = "It is what `limosa-conductor host add` prints: amqps://HOST, with :PORT and /VIRTUAL-HOST where they are needed."
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUrl:
    hosts: tuple[tuple[str, int], ...]
    virtual_host: str = "/"
    is_tls: bool = True

    @classmethod
    def parse(cls, text: str) -> "BrokerUrl":
        """A bare HOST is one with TLS. Raises BrokerUrlError."""
        try:
            parts = urlsplit(text if "://" in text else f"{TLS_SCHEME}://{text}")
        except ValueError as error:  # brackets that do not close
            raise BrokerUrlError(url=f"{text:.200}", reason=str(error).rstrip(".")) from error
        if parts.scheme not in PORTS:
            raise BrokerUrlError(
                url=f"{text:.200}", reason=f"it begins neither with {TLS_SCHEME}:// nor {PLAIN_SCHEME}://"
            )
        if "@" in parts.netloc:
            raise BrokerUrlError(
                url="It", reason="user and password are not to be in it, they come with the join code"
            )
        if parts.query or parts.fragment:
            raise BrokerUrlError(url=f"{text:.200}", reason="nothing belongs behind the virtual host")
        hosts = tuple(_host(one, text, port=PORTS[parts.scheme]) for one in parts.netloc.split(","))
        return cls(
            hosts=hosts,
            virtual_host=unquote(parts.path.removeprefix("/")) or "/",
            is_tls=parts.scheme == TLS_SCHEME,
        )

    def transport_url(self, *, user: str, password: str) -> str:
        """As oslo.messaging has it."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        hosts = ",".join(f"{login}@{_bracketed(name)}:{port}" for name, port in self.hosts)
        return f"rabbit://{hosts}/{self._path}"

    def __str__(self) -> str:
        hosts = ",".join(f"{_bracketed(name)}:{port}" for name, port in self.hosts)
        path = self._path
        return f"{TLS_SCHEME if self.is_tls else PLAIN_SCHEME}://{hosts}{path and '/'}{path}"

    @property
    def _path(self) -> str:
        return "" if self.virtual_host == "/" else quote(self.virtual_host, safe="")


def _host(text: str, url: str, *, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        name, given = parts.hostname, parts.port
    except ValueError as error:  # a port that is no number
        raise BrokerUrlError(url=f"{url:.200}", reason=str(error).rstrip(".")) from error
    if not name or not name.isprintable() or " " in name:
        raise BrokerUrlError(url=f"{url:.200}", reason="it names no host")
    return name, port if given is None else given


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name
