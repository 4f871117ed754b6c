"""The configuration of a service: read /etc/limosa/limosa.conf, refuse what cannot work, and say where and why.

One file serves all services of a host. `python -m common.config` prints the sample; a test compares.
"""

import difflib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from oslo_config import cfg, generator

from common import migration_flags, rpc
from common.backend import BACKEND_VARIABLE, CONFIG_PATH
from common.concurrency import backend
from common.errors import ConfigurationError
from common.options import GROUPS

CONF = cfg.CONF  # the global one: oslo.messaging reads some of its options only there

SERVICE_DOWN_HEARTBEATS_MIN = 2

# A name or an address, and nothing that could add to a URI that it is put into.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_SCHEME = re.compile(r"[a-z][a-z0-9]{0,15}")


class Service(StrEnum):
    """Who reads the configuration."""

    CONDUCTOR = "conductor"
    AGENT = "agent"
    CLIENT = "client"


PROGRAMS = {
    Service.CONDUCTOR: "limosa-conductor",
    Service.AGENT: "limosa-compute-agent",
    Service.CLIENT: "limosa",
}


def load(argv: Sequence[str], service: str) -> cfg.ConfigOpts:
    """Read the files (`--config-file PATH`, or /etc/limosa/limosa.conf) and validate; raises ConfigurationError."""
    register_options(CONF)
    try:
        CONF(
            list(argv),
            project="limosa",
            prog=PROGRAMS[Service(service)],
            default_config_files=[CONFIG_PATH] if os.access(CONFIG_PATH, os.R_OK) else [],
            default_config_dirs=[],
        )
    except cfg.ConfigFilesNotFoundError as error:
        raise ConfigurationError(
            group="DEFAULT", option="--config-file", reason=f"{', '.join(error.config_files)} cannot be found"
        ) from error
    except cfg.Error as error:
        raise ConfigurationError(group="DEFAULT", option="--config-file", reason=str(error)) from error
    validate(CONF, service)
    return CONF


def register_options(conf: cfg.ConfigOpts) -> None:
    for group, options in GROUPS.items():
        conf.register_opts(options, group=group)
    rpc.register_options(conf)


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    """All options that a file of ours may hold, for oslo-config-generator."""
    return [*GROUPS.items(), *rpc.shown_options()]


# ---- validation


def validate(conf: cfg.ConfigOpts, service: str) -> None:
    """Raise ConfigurationError for the first option that cannot work."""
    _refuse_unknown_options(conf)
    _read_every_value(conf)
    for group, option, reason in _problems(conf, Service(service)):
        raise ConfigurationError(group=group, option=option, reason=reason)


def _problems(conf: cfg.ConfigOpts, service: Service) -> Iterator[tuple[str, str, str]]:
    if not _HOST.fullmatch(conf.host):
        yield "DEFAULT", "host", f"{conf.host!r} is no host name"
    if conf.service_down_time < SERVICE_DOWN_HEARTBEATS_MIN * conf.report_interval:
        yield "DEFAULT", "service_down_time", "must be at least twice report_interval, or hosts flap"
    if not Path(conf.state_path).is_absolute():
        yield "DEFAULT", "state_path", f"{conf.state_path!r} is no absolute path"
    is_service = service is not Service.CLIENT
    if is_service and not os.environ.get(BACKEND_VARIABLE) and conf.concurrency_backend != backend():
        reason = f"the service runs with {backend()}: set it in /etc/limosa/limosa.conf or a --config-file"
        yield "DEFAULT", "concurrency_backend", reason
    yield from _libvirt_problems(conf)


def _libvirt_problems(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str, str]]:
    for problem in migration_flags.problems(conf.libvirt.live_migration_flag):
        yield "libvirt", "live_migration_flag", problem
    if conf.libvirt.live_migration_timeout_action == "force_complete":
        yield "libvirt", "live_migration_timeout_action", "force_complete does not exist yet; use abort"
    uri = conf.libvirt.live_migration_uri
    if uri is not None and (uri.count("%s") != 1 or uri.count("%") != 1 or "://" not in uri):
        yield "libvirt", "live_migration_uri", f"{uri!r} must be a URI with one %s, where the dest is put in"
    scheme = conf.libvirt.live_migration_scheme
    if scheme is not None and not _SCHEME.fullmatch(scheme):
        yield "libvirt", "live_migration_scheme", f"{scheme!r} is no scheme: tcp, tls, ssh, ..."
    address = conf.libvirt.live_migration_inbound_addr
    if address is not None and not _HOST.fullmatch(address):
        yield "libvirt", "live_migration_inbound_addr", f"{address!r} is neither a host name nor an address"


def _read_every_value(conf: cfg.ConfigOpts) -> None:
    """oslo.config converts a value when it is used first; a wrong one must not wait for that."""
    for group, option in ((group, option) for group, options in GROUPS.items() for option in options):
        try:
            conf[group][option.dest] if group else conf[option.dest]
        except cfg.ConfigFileValueError as error:
            reason = str(error)
            raise ConfigurationError(group=group or "DEFAULT", option=option.name, reason=reason) from error


def _refuse_unknown_options(conf: cfg.ConfigOpts) -> None:
    """An option that is misspelt would silently have its default. Groups of other programs are not ours to judge."""
    known = {group or "DEFAULT": {option.dest for option in options} for group, options in GROUPS.items()}
    for group, names in rpc.option_names().items():
        known.setdefault(group, set()).update(names)
    for path in conf.config_file or []:
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for group in sections.keys() & known.keys():
            for name in sections[group].keys() - known[group]:
                raise ConfigurationError(group=group, option=name, reason=_unknown(name, path, known[group]))


def _unknown(name: str, path: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"there is no such option ({path})" + (f"; did you mean {close[0]}?" if close else "")


# ---- the sample


def render_sample() -> str:
    """The text of etc/limosa/limosa.conf.sample."""
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(["--namespace", "limosa", "--wrap-width", "100"], default_config_files=[], default_config_dirs=[])
    text = io.StringIO()
    generator.generate(conf, text)
    return text.getvalue()


if __name__ == "__main__":
    sys.stdout.write(render_sample())
