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
from importlib.metadata import version
from pathlib import Path

from oslo_config import cfg

from common import migration_flags, rpc, volume_options
from common.backend import BACKEND_VARIABLE, CONFIG_PATH, config_files
from common.concurrency import backend
from common.errors import ConfigurationError, describe_os_error
from common.options import GROUPS

CONF = cfg.CONF  # the global one: oslo.messaging reads some of its options only there

SERVICE_DOWN_HEARTBEATS_MIN = 2

# A name or an address, and nothing that could add to a URI that it is put into.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_SCHEME = re.compile(r"[a-z][a-z0-9]{0,15}")
# oslo.config's own words about a value, with the repr of an object of its.
_BAD_VALUE = re.compile(
    r"Value for option \S+ from LocationInfo\(.*detail='(?P<where>.*?)'\) is not valid: (?P<why>.*)"
)


class Service(StrEnum):
    """Who reads the configuration."""

    CONDUCTOR = "conductor"
    AGENT = "agent"
    CLIENT = "client"
    TOOL = "tool"  # what an administrator runs on a host beside its service


PROGRAMS = {
    Service.CONDUCTOR: "limosa-conductor",
    Service.AGENT: "limosa-compute-agent",
    Service.CLIENT: "limosa",
    Service.TOOL: "limosa",
}


def load(argv: Sequence[str], service: str) -> cfg.ConfigOpts:
    """Read the files (`--config-file PATH`, or /etc/limosa/limosa.conf) and validate; raises ConfigurationError."""
    register_options(CONF)
    program = PROGRAMS[Service(service)]
    try:
        CONF(
            list(argv),
            project="limosa",
            prog=program,
            version=f"{program} {version('limosa')}",
            default_config_files=_default_files(),
            default_config_dirs=[],
        )
    except (cfg.Error, OSError, UnicodeDecodeError) as error:
        reason = _why_not_read(error, config_files(argv))
        raise ConfigurationError(group="DEFAULT", option="--config-file", reason=reason) from error
    validate(CONF, service)
    return CONF


def _default_files() -> list[str]:
    """Also one that we may not read: without a word about it, we would run with the defaults."""
    try:
        Path(CONFIG_PATH).stat()
    except FileNotFoundError:
        return []
    except OSError:
        pass  # told when it is opened
    return [CONFIG_PATH]


def _why_not_read(error: Exception, paths: Sequence[str]) -> str:
    match error:
        case cfg.ConfigFilesNotFoundError():
            return f"{', '.join(error.config_files)} cannot be found"
        case cfg.ConfigFilesPermissionDeniedError():
            return f"{', '.join(error.config_files)} may not be read by this user"
        case UnicodeDecodeError():
            return f"{', '.join(paths)} cannot be read as UTF-8: {error.reason} at byte {error.start}"
        case OSError():
            return describe_os_error(error)
        case _:
            return str(error)


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
    is_service = service in (Service.CONDUCTOR, Service.AGENT)
    if service is Service.CLIENT and not conf.config_file and _is_default(conf, "transport_url"):
        missing = f"neither ~/.config/limosa/client.conf nor {CONFIG_PATH} is there"
        yield "DEFAULT", "transport_url", f"it is not set, and {missing}"
    if is_service and not os.environ.get(BACKEND_VARIABLE) and conf.concurrency_backend != backend():
        reason = f"the service runs with {backend()}: set it in /etc/limosa/limosa.conf or a --config-file"
        yield "DEFAULT", "concurrency_backend", reason
    yield from _libvirt_problems(conf)
    yield from volume_options.problems(conf)


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
    if conf.libvirt.migration_port_min > conf.libvirt.migration_port_max:
        yield "libvirt", "migration_port_max", "it is below migration_port_min"
    address = conf.libvirt.live_migration_inbound_addr
    if address is not None and not _HOST.fullmatch(address):
        yield "libvirt", "live_migration_inbound_addr", f"{address!r} is neither a host name nor an address"


def _read_every_value(conf: cfg.ConfigOpts) -> None:
    """oslo.config converts a value when it is used first; a wrong one must not wait for that."""
    every = ((group, option) for group, names in _known_options().items() for option in sorted(names))
    for group, option in every:
        try:
            conf[option] if group == "DEFAULT" else conf[group][option]
        except cfg.Error as error:
            raise ConfigurationError(group=group, option=option, reason=_why_no_value(error)) from error


def _why_no_value(error: cfg.Error) -> str:
    found = _BAD_VALUE.fullmatch(str(error))
    if found is not None:
        return f"{found['why']} ({found['where']})"
    if isinstance(error, cfg.TemplateSubstitutionError | cfg.NoSuchOptError):  # the latter hides the former
        return "$ stands before the name of another option; write $$ for the sign itself"
    return str(error)


def _is_default(conf: cfg.ConfigOpts, option: str) -> bool:
    location = conf.get_location(option)
    return location is None or location.location in (cfg.Locations.opt_default, cfg.Locations.set_default)


def _known_options() -> dict[str, set[str]]:
    """Ours and oslo.messaging's, by group."""
    known = {group or "DEFAULT": {option.dest for option in options} for group, options in GROUPS.items()}
    for group, names in rpc.option_names().items():
        known.setdefault(group, set()).update(names)
    return known


def _refuse_unknown_options(conf: cfg.ConfigOpts) -> None:
    """An option that is misspelt would silently have its default. Groups of other programs are not ours to judge."""
    known = _known_options()
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
    from oslo_config import generator  # 10 ms of every command, for what only this function needs

    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(["--namespace", "limosa", "--wrap-width", "100"], default_config_files=[], default_config_dirs=[])
    text = io.StringIO()
    generator.generate(conf, text)
    return text.getvalue()


if __name__ == "__main__":
    sys.stdout.write(render_sample())
