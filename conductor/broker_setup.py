"""`limosa-conductor broker-setup`: what it does, on the machine of RabbitMQ, which is a controller. Run again it mends.

All files come first, then RabbitMQ is restarted if that is wanted, and last it is told its users: whatever breaks off,
the same command goes on, with the passwords that are in limosa.conf by then.
"""

import json
import os
import pwd
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from oslo_config import cfg

from common import broker, broker_names, certificates, configuration_file, new_files
from common.broker_passwords import hashed, new_password
from common.broker_url import TLS_PORT, BrokerUrl
from common.errors import LimosaError
from common.rpc import BusRefusedError
from common.tools import say
from conductor import authority, owners, programs
from conductor.broker_configuration import (
    TlsFiles,
    configuration,
    definitions,
    own_users,
    with_management,
)

BROKERS_OWNER: Final = "rabbitmq"
CONFIGURATION: Final = Path("conf.d/90-limosa.conf")
PLUGINS: Final = Path("enabled_plugins")
DEFINITIONS: Final = Path("limosa-definitions.json")
PUBLIC_MODE: Final = 0o644
SECRET_MODE: Final = 0o600
SHARED_MODE: Final = 0o640
AWAIT_STARTUP_S: Final = 300.0  # of RabbitMQ: minutes on a slow or busy machine
ENTRANCE_TRIES: Final = 20
ENTRANCE_PAUSE_S: Final = 1.0
RESTART: Final = ("systemctl", "restart", "rabbitmq-server")

_READY: Final = """\
RabbitMQ lets in whom it knows, at {url}.
Next: `limosa-conductor bootstrap` if that was not done, start the conductor, and `limosa-conductor host add HOST`."""


class NoRabbitError(LimosaError):
    message = "There is no RabbitMQ configured in {directory}."
    hint = "Install rabbitmq-server on this machine, or name its directory with --rabbitmq-directory."
    exit_code = 2


class PluginsUnreadableError(LimosaError):
    message = "{path} is no list of plugins."
    hint = "It is an Erlang list with a full stop, as [rabbitmq_management]."
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSetup:
    """What is wanted; `names` are this machine's, the first one for transport_url."""

    names: tuple[str, ...]
    virtual_host: str
    rabbitmq: Path
    config_file: Path
    owner: str | None
    is_restarting: bool = False
    is_offline: bool = False

    @property
    def url(self) -> BrokerUrl:
        return BrokerUrl(hosts=((self.names[0], TLS_PORT),), virtual_host=self.virtual_host)

    @property
    def certified_names(self) -> tuple[str, ...]:
        """Also by these the broker may be reached from this machine."""
        return tuple(dict.fromkeys((*self.names, socket.gethostname(), "localhost", "127.0.0.1")))


def set_up(conf: cfg.ConfigOpts, wanted: BrokerSetup) -> None:
    """Raises NoRabbitError, ConfigurationError, CertificateError, ProgramFailedError, OSError."""
    if not wanted.rabbitmq.is_dir():
        raise NoRabbitError(directory=wanted.rabbitmq)
    plugins = _plugins(wanted.rabbitmq / PLUGINS)
    user = owners.owner(wanted.owner)
    ca_certificate, ca_key = authority.make(conf)
    owners.give_to(user, [ca_certificate, ca_key])
    files = _certify(conf, wanted.certified_names)
    passwords = _Passwords.of(conf)
    _write_limosa_conf(conf, wanted, passwords, user)
    definition = _definitions(conf, wanted, passwords)
    is_changed = _write_rabbitmq_conf(wanted, files, plugins, definition)
    if not wanted.is_offline:
        entrance = _entrance(wanted, files, passwords)
        # A run before this one may have written all of it, and have ended, or not been asked to restart anything.
        is_restart_due = is_changed or not is_listening(entrance)
        _tell_rabbitmq(
            entrance, definition, is_restart_due=is_restart_due, is_restarting=wanted.is_restarting
        )
    say(_READY.format(url=wanted.url))


def _tell_rabbitmq(
    entrance: broker.Broker, definition: str, *, is_restart_due: bool, is_restarting: bool
) -> None:
    if is_restart_due and is_restarting:
        programs.run(*RESTART)
    programs.run("rabbitmqctl", "await_startup", "--timeout", f"{AWAIT_STARTUP_S:.0f}")
    programs.run("rabbitmqctl", "import_definitions", given=definition)
    if is_restart_due and not is_restarting:
        say(f"RabbitMQ must be restarted to take its new configuration: {' '.join(RESTART)}")
    else:
        wait_until_let_in(entrance)


def is_listening(entrance: broker.Broker) -> bool:
    """Whether RabbitMQ shows its certificate there, be it that it does not let us in yet."""
    try:
        entrance.open().close()
    except BusRefusedError:
        return True
    except broker.BrokerUnreachableError:
        return False
    return True


def wait_until_let_in(entrance: broker.Broker) -> None:
    """By TLS and as the conductors: RabbitMQ imports in its own time. Raises BrokerUnreachableError, BusRefusedError."""
    for tries_left in reversed(range(ENTRANCE_TRIES)):
        try:
            entrance.open().close()
            return
        except (broker.BrokerUnreachableError, BusRefusedError):
            if not tries_left:
                raise
        time.sleep(ENTRANCE_PAUSE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passwords:
    conductor: str
    management: str

    @classmethod
    def of(cls, conf: cfg.ConfigOpts) -> "_Passwords":
        """Those that this controller knows already, be it by a run that broke off, or new ones."""
        known = [host.password for host in broker.configured(conf).hosts if _is_conductors(host)]
        return cls(
            conductor=(known or [new_password()])[0],
            management=conf.broker.management_password or new_password(),
        )


def _entrance(wanted: BrokerSetup, files: TlsFiles, passwords: _Passwords) -> broker.Broker:
    name = wanted.names[0]
    host = broker.BrokerHost(
        name=name, port=TLS_PORT, user=broker_names.CONDUCTOR_USER, password=passwords.conductor
    )
    return broker.Broker(
        name=f"{name}:{TLS_PORT}",
        hosts=(host,),
        virtual_host=wanted.virtual_host,
        tls=broker.Tls(ca_file=str(files.authority)),
    )


def _is_conductors(host: broker.BrokerHost) -> bool:
    return host.user == broker_names.CONDUCTOR_USER and bool(host.password)


def _certify(conf: cfg.ConfigOpts, names: Sequence[str]) -> TlsFiles:
    """The broker's certificate and key, made anew where they are missing or something is wrong with them."""
    ca = Path(conf.pki.ca_certificate)
    files = TlsFiles(authority=ca, certificate=ca.with_name("broker.pem"), key=ca.with_name("broker.key"))
    problems = _problems_of_certificate(files, names)
    if problems:
        request, key = certificates.new_request(names[0], names)
        certificate = authority.load(conf).issue(request, names=names)
        rabbit = _rabbitmq()
        new_files.replace(files.key, key, mode=SECRET_MODE, owner=rabbit)
        new_files.replace(files.certificate, certificate, mode=PUBLIC_MODE, owner=rabbit)
        say(f"The broker's certificate is made: {files.certificate}, for {', '.join(names)}.")
    return files


def _problems_of_certificate(files: TlsFiles, names: Sequence[str]) -> tuple[str, ...]:
    if not (files.certificate.exists() and files.key.exists()):
        return ("It is not there.",)
    pem = files.certificate.read_text()
    if not certificates.is_key_of(files.key.read_text(), pem):
        return ("Another key is beside it.",)
    return certificates.problems(
        pem, authority_pem=files.authority.read_text(), names=names, now=datetime.now(UTC)
    )


def _write_limosa_conf(
    conf: cfg.ConfigOpts, wanted: BrokerSetup, passwords: _Passwords, user: pwd.struct_passwd | None
) -> None:
    """A transport_url that enters as the conductors' user stays: it may name further hosts of RabbitMQ."""
    options = {
        ("oslo_messaging_rabbit", "ssl"): "true",
        ("oslo_messaging_rabbit", "ssl_ca_file"): conf.pki.ca_certificate,
        ("broker", "management_password"): passwords.management,
    }
    if not any(_is_conductors(host) for host in broker.configured(conf).hosts):
        login = {"user": broker_names.CONDUCTOR_USER, "password": passwords.conductor}
        options["DEFAULT", "transport_url"] = wanted.url.transport_url(**login)
    path = wanted.config_file
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = path.read_text() if path.exists() else ""
    changed = configuration_file.with_options(text, options)
    if changed != text:
        group = user.pw_gid if user is not None else os.getegid()
        new_files.replace(path, changed, mode=SHARED_MODE, owner=(os.geteuid(), group))
        say(f"This controller's way to RabbitMQ is in {path}.")


def _definitions(conf: cfg.ConfigOpts, wanted: BrokerSetup, passwords: _Passwords) -> str:
    users = own_users(
        control_exchange=conf.control_exchange,
        conductor_password_hash=hashed(passwords.conductor),
        management_password_hash=hashed(passwords.management),
    )
    told = definitions(users, virtual_host=wanted.virtual_host, control_exchange=conf.control_exchange)
    return json.dumps(told, indent=1)


def _write_rabbitmq_conf(wanted: BrokerSetup, files: TlsFiles, plugins: str, definition: str) -> bool:
    """Whether RabbitMQ must be restarted to take it."""
    rabbit = _rabbitmq()
    load = wanted.rabbitmq / DEFINITIONS if wanted.is_offline else None
    if load is not None:
        new_files.replace(load, definition, mode=SECRET_MODE, owner=rabbit)
    texts = {
        wanted.rabbitmq / CONFIGURATION: configuration(files, load_definitions=load),
        wanted.rabbitmq / PLUGINS: plugins,
    }
    is_changed = False
    for path, text in texts.items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(mode=0o755, exist_ok=True)
            new_files.replace(path, text, mode=PUBLIC_MODE)
            say(f"RabbitMQ is told by {path}.")
            is_changed = True
    return is_changed


def _plugins(path: Path) -> str:
    text = with_management(path.read_text() if path.exists() else "")
    if text is None:
        raise PluginsUnreadableError(path=path)
    return text


def _rabbitmq() -> tuple[int, int] | None:
    """Uid and gid of RabbitMQ's own user; None where it is not known, or we could give it nothing."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(BROKERS_OWNER)
    except KeyError:
        return None
    return user.pw_uid, user.pw_gid
