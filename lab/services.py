"""Limosa's own services in the lab: their configuration, start and readiness."""

import configparser
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab import broker, network
from lab.errors import LabError, last_lines
from lab.namespaces import Namespaces
from lab.paths import VENV_BIN, LabPaths
from lab.processes import Process
from lab.waiting import wait_until

CONDUCTOR = "limosa-conductor"
AGENT = "limosa-compute-agent"
READY_TIMEOUT_S = 60.0
ASK_TIMEOUT_S = 1
CONFIG_FILE = Path("/etc/limosa/limosa.conf")
CA_CERTIFICATE = Path("/etc/limosa/pki/ca.pem")

Values = Mapping[str, str]  # "section.option" -> value


def base_configuration(name: str) -> dict[str, str]:
    """Return what a host's limosa.conf says unless the user of the lab wants it otherwise, but for the broker."""
    values = {
        "DEFAULT.host": name,
        "DEFAULT.state_path": "/var/lib/limosa",
        "DEFAULT.log_level": "INFO",
    }
    if name == network.CONTROLLER:
        values["database.connection"] = "sqlite:////var/lib/limosa/limosa.sqlite"
        values["identity.administrator"] = "admin"
        values["identity.administrator_key"] = "/etc/limosa/administrator.key"
    else:
        values["libvirt.connection_uri"] = "qemu:///system"
        values["libvirt.live_migration_uri"] = "qemu+tls://%s/system"
        values["libvirt.live_migration_inbound_addr"] = name
        management = network.addresses(name).management
        assert management is not None, f"{name} is no compute host"
        values["vnc.server_listen"] = management
        values["network.vtep_address"] = management
    return values


def way_to_broker(name: str, *, password: str) -> dict[str, str]:
    """Return what a compute host's limosa.conf says of the broker; the controller's is written by broker-setup."""
    return {
        "DEFAULT.transport_url": broker.hosts_transport_url(name, password),
        "oslo_messaging_rabbit.ssl": "true",
        "oslo_messaging_rabbit.ssl_ca_file": str(CA_CERTIFICATE),
    }


def write_configuration(name: str, values: Values, *, paths: LabPaths) -> None:
    """Set options in the host's limosa.conf and keep the others. A running service does not notice."""
    path = paths.host(name) / CONFIG_FILE.relative_to("/")
    # oslo.config's [DEFAULT] is a section like any other, configparser's would leak into all.
    parser = configparser.RawConfigParser(default_section="no such section", delimiters=("=",))
    parser.read(path)
    for key, value in values.items():
        section, separator, option = key.partition(".")
        if not separator:
            raise LabError(
                f"{key!r} names no option", hint="write SECTION.OPTION=VALUE, as libvirt.cpu_mode=none"
            )
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, option, value)
    with path.open("w") as file:
        parser.write(file)


def start(host: Namespaces, service: str) -> Process:
    """Start one service; it is not ready yet when this returns."""
    argv = [str(program(service)), "--config-file", str(CONFIG_FILE)]
    return host.spawn(service, argv, log=log_file(service), environment={"PYTHONUNBUFFERED": "1"})


def program(name: str) -> Path:
    """Return a console script of the venv; raises LabError when it is not there."""
    path = VENV_BIN / name
    if not path.exists():
        raise LabError(f"{path} does not exist", hint="run lab/bootstrap.sh")
    return path


def log_file(service: str) -> Path:
    return Path(f"/var/log/limosa/{service}.log")


def wait_until_ready(controller: Namespaces, started: Iterable[tuple[Namespaces, str]]) -> None:
    """Return when the conductor says that every agent started is up."""
    started = list(started)
    wanted = {host.name for host, service in started if service == AGENT}

    def ready() -> bool:
        for host, service in started:
            _require_running(host, service)
        return wanted <= agents_up(controller)

    wait_until(
        ready,
        what=f"the conductor sees {', '.join(sorted(wanted))} up",
        timeout_s=READY_TIMEOUT_S,
        hint=lambda: "\n  ".join(_end_of_log(host, service) for host, service in started),
    )


def agents_up(controller: Namespaces) -> set[str]:
    """Return the hosts whose agent the conductor calls up; none while the conductor does not answer."""
    # A request from before the conductor has its queue is lost: do not wait for its answer for long.
    impatient = f"OS_DEFAULT__RPC_RESPONSE_TIMEOUT={ASK_TIMEOUT_S}"
    done = controller.run(
        ["env", impatient, str(program("limosa")), "service", "list", "-f", "json"], check=False
    )
    if done.returncode != 0:
        return set()
    rows = [{key.lower(): value for key, value in row.items()} for row in json.loads(done.stdout)]
    return {row["host"] for row in rows if row["state"] == "up"}


def _require_running(host: Namespaces, service: str) -> None:
    try:
        host.spawned(service)
    except LabError as e:
        raise LabError(f"{host.name}: {service} ended while starting", hint=_end_of_log(host, service)) from e


def _end_of_log(host: Namespaces, service: str) -> str:
    log = host.seen_from_outside(log_file(service))
    text = log.read_text(errors="replace") if log.exists() else ""
    return f"{host.name} {service}: {last_lines(text) or '(empty log)'}"
