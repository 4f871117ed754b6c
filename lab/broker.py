"""A private RabbitMQ node in the controller; nothing of it, epmd included, is reachable from outside."""

import json
import secrets
import string
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import network
from lab.errors import LabError, last_lines
from lab.namespaces import Namespaces
from lab.paths import CHECKOUT, VENV_BIN, LabPaths
from lab.processes import Process, command_name
from lab.waiting import wait_until

SERVICE = "rabbitmq"
USER = "lab"  # may do everything: to look on
VIRTUAL_HOST = "limosa"
PORT = 5672  # on the controller alone
TLS_PORT = 5671
DEFINITIONS = "limosa-definitions.json"  # as broker-setup calls the file
LOG = Path("/var/log/limosa/rabbitmq.out")
START_TIMEOUT_S = 60.0
_ERLANG = "beam.smp"
_RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
_AMQP_0_9_1_HEADER = b"AMQP\x00\x00\x09\x01"

_CONF = """\
log.file = rabbitmq.log
log.file.level = info
log.console = false
disk_free_limit.absolute = 50MB
"""


def new_password() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def transport_url(password: str) -> str:
    """As the lab itself enters, from the controller."""
    return f"rabbit://{USER}:{password}@127.0.0.1:{PORT}/{VIRTUAL_HOST}"


def hosts_transport_url(host: str, password: str) -> str:
    """As one host's agent enters, and nobody else."""
    return f"rabbit://limosa-host-{host}:{password}@{network.CONTROLLER}:{TLS_PORT}/{VIRTUAL_HOST}"


def configure(
    host: Namespaces, *, set_up: Sequence[str], password: str, hosts: Mapping[str, str], paths: LabPaths
) -> None:
    """Have `limosa-conductor broker-setup` (`set_up`) write all files; users and certificates are there at the start.

    The users are made at the node's first start: rabbitmqctl would take seconds. `hosts` has their passwords.
    """
    top = _top(paths)
    top.mkdir(parents=True, exist_ok=True)
    (top / "rabbitmq.conf").write_text(_CONF)
    (top / "rabbitmq-env.conf").write_text("")
    host.run([*set_up, "--offline", "--rabbitmq-directory", str(top), "--virtual-host", VIRTUAL_HOST])
    users = {"lab": {"name": USER, "password": password}, "hosts": dict(hosts)}
    subprocess.run(
        [str(VENV_BIN / "python"), "-m", "lab.broker_users", str(top / DEFINITIONS)],
        input=json.dumps(users),
        text=True,
        check=True,
        cwd=CHECKOUT,
    )


def start(host: Namespaces, *, paths: LabPaths) -> None:
    """Start the node, on what it stored before if anything, and return when it speaks AMQP."""
    script = host.spawn(
        SERVICE, ["/usr/lib/rabbitmq/bin/rabbitmq-server"], log=LOG, environment=_environment(paths)
    )
    wait_until(
        lambda: _speaks_amqp(host, script),
        what="RabbitMQ speaks AMQP",
        timeout_s=START_TIMEOUT_S,
        hint=lambda: _end_of_log(host),
    )


def node(host: Namespaces) -> Process:
    """Return the Erlang machine, which is the broker; the script that started it is not."""
    for process in host.processes().values():
        if command_name(process) == _ERLANG and process.is_alive():
            return process
    raise LabError("RabbitMQ is not running")


def trace(host: Namespaces, *, is_on: bool, paths: LabPaths) -> None:
    """Have the node copy every message that enters or leaves it to the exchange amq.rabbitmq.trace, or stop that."""
    _control(host, "trace_on" if is_on else "trace_off", "-p", VIRTUAL_HOST, paths=paths)


def restore_users(host: Namespaces, *, paths: LabPaths) -> None:
    """Let everybody in again whom the node let in at its first start. Takes seconds."""
    _control(host, "import_definitions", str(_top(paths) / DEFINITIONS), paths=paths)


def queues(host: Namespaces, *, paths: LabPaths) -> set[str]:
    """Return the names of all queues that the node has. Takes seconds."""
    words = ("list_queues", "-p", VIRTUAL_HOST, "name", "--no-table-headers")
    return set(_control(host, *words, paths=paths).split())


def _control(host: Namespaces, *words: str, paths: LabPaths) -> str:
    """Run rabbitmqctl itself, since Debian's wrapper would change the user and lose our cookie; what it prints."""
    environment = [f"{name}={value}" for name, value in _environment(paths).items()]
    return host.run(["env", *environment, _RABBITMQCTL, "--quiet", *words]).stdout


def _environment(paths: LabPaths) -> dict[str, str]:
    top = _top(paths)
    return {
        "HOME": str(top),  # the Erlang cookie
        "RABBITMQ_NODENAME": f"limosa@{network.CONTROLLER}",
        "RABBITMQ_CONF_ENV_FILE": str(top / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(top / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(top / "conf.d"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(top / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(top / "mnesia"),
        "RABBITMQ_LOG_BASE": str(top / "log"),
        "RABBITMQ_PID_FILE": "/run/rabbitmq.pid",
    }


def _top(paths: LabPaths) -> Path:
    return paths.host(network.CONTROLLER) / "rabbitmq"


def _speaks_amqp(host: Namespaces, script: Process) -> bool:
    if not script.is_alive():
        raise LabError("RabbitMQ ended while starting", hint=_end_of_log(host))
    return _greets(host)


def _greets(host: Namespaces) -> bool:
    """Send AMQP's header from within the namespace; a node that is ready answers with Connection.Start, and on TLS."""
    code = (
        f"import socket,sys; socket.create_connection(({network.CONTROLLER!r},{TLS_PORT}),2).close();"
        f" s=socket.create_connection(('127.0.0.1',{PORT}),2); s.settimeout(2);"
        f" s.sendall({_AMQP_0_9_1_HEADER!r}); sys.exit(s.recv(1) != b'\\x01')"
    )
    return host.run(["/usr/bin/python3", "-I", "-S", "-c", code], check=False).returncode == 0


def _end_of_log(host: Namespaces) -> str:
    log = host.seen_from_outside(LOG)
    return last_lines(log.read_text(errors="replace")) if log.exists() else ""
