"""What RabbitMQ is told: its configuration, and the definitions of virtual host, exchanges and our own users. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common import broker_names as names
from common import broker_rights
from common.broker_rights import Rights
from common.broker_url import TLS_PORT

MANAGEMENT_PLUGIN: Final = "rabbitmq_management"
_PLUGINS: Final = re.compile(r"\s*\[(?P<names>[^\]]*)\]\s*\.\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Files that RabbitMQ's own user reads."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One of the broker's users, by the hash of its password (`common.broker_passwords`)."""

    password_hash: str
    rights: Rights
    tags: tuple[str, ...] = ()


def configuration(files: TlsFiles, *, load_definitions: Path | None = None) -> str:
    """A file of /etc/rabbitmq/conf.d. Without TLS only this machine is heard, and so is the management."""
    lines = [
        "# Written by `limosa-conductor broker-setup`, which writes it anew.",
        "listeners.tcp.local = 127.0.0.1:5672",
        f"listeners.ssl.default = {TLS_PORT}",
        f"ssl_options.cacertfile = {files.authority}",
        f"ssl_options.certfile = {files.certificate}",
        f"ssl_options.keyfile = {files.key}",
        "ssl_options.versions.1 = tlsv1.3",
        "ssl_options.versions.2 = tlsv1.2",
        "# Users prove themselves by password.",
        "ssl_options.verify = verify_none",
        "ssl_options.fail_if_no_peer_cert = false",
        "management.tcp.ip = 127.0.0.1",
        "management.tcp.port = 15672",
    ]
    if load_definitions is not None:
        lines.append(f"load_definitions = {load_definitions}")
    return "\n".join(lines) + "\n"


def with_management(enabled_plugins: str) -> str | None:
    """The text of the file enabled_plugins with the management in it; None where it is no list of plugins."""
    found = _PLUGINS.fullmatch(enabled_plugins or "[].")
    if found is None:
        return None
    plugins = [name.strip() for name in found["names"].split(",") if name.strip()]
    if MANAGEMENT_PLUGIN not in plugins:
        plugins.append(MANAGEMENT_PLUGIN)
    return f"[{','.join(plugins)}].\n"


def own_users(
    *, control_exchange: str, conductor_password_hash: str, management_password_hash: str
) -> dict[str, User]:
    """Those of conductors; hosts and administrators get theirs when they join, by the second."""
    return {
        names.CONDUCTOR_USER: User(
            password_hash=conductor_password_hash,
            rights=broker_rights.of_conductors(control_exchange=control_exchange),
        ),
        names.MANAGEMENT_USER: User(
            password_hash=management_password_hash,
            rights=broker_rights.of_management(),
            tags=("administrator",),
        ),
    }


def definitions(users: Mapping[str, User], *, virtual_host: str, control_exchange: str) -> dict[str, Any]:
    """As RabbitMQ imports them; what it has besides stays (https://www.rabbitmq.com/docs/definitions)."""
    exchanges = (
        control_exchange,
        names.conductors_exchange(control_exchange),
        names.events_exchange(control_exchange),
    )
    return {
        "vhosts": [{"name": virtual_host}],
        "users": [
            {
                "name": name,
                "password_hash": user.password_hash,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(user.tags),
            }
            for name, user in users.items()
        ],
        "permissions": [
            {
                "user": name,
                "vhost": virtual_host,
                "configure": user.rights.configure,
                "write": user.rights.write,
                "read": user.rights.read,
            }
            for name, user in users.items()
        ],
        "topic_permissions": [
            {
                "user": name,
                "vhost": virtual_host,
                "exchange": topic.exchange,
                "write": topic.write,
                "read": topic.read,
            }
            for name, user in users.items()
            for topic in user.rights.topics
        ],
        "exchanges": [
            {
                "name": exchange,
                "vhost": virtual_host,
                "type": "topic",
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for exchange in exchanges
        ],
    }
