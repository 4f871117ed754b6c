"""Whether this host belongs to a Limosa: its configuration, its keys, its agent, and its way to the conductors.

Only asked by hand: an agent that is asked over the bus has all of it.
"""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

from common import broker, config, credentials
from common.backend import CONFIG_PATH
from common.broker import BrokerUnreachableError
from common.conductor_api import ConductorAPI
from common.diagnosis import Diagnosis
from common.doctor_checks import (
    AGENT_ABSENT,
    BROKER_IN_CLEAR,
    BROKER_UNUSABLE,
    CONDUCTOR_SILENT,
    CONFIGURATION_EXPOSED,
    CONFIGURATION_MISSING,
    CONFIGURATION_UNUSABLE,
    HOST_UNKNOWN,
    KEY_UNUSABLE,
)
from common.doctor_questions import AGENT, BROKER, CONFIGURATION, KEYS
from common.errors import ConfigurationError, LimosaError, ServiceUnreachableError
from common.identity import Identity, NotProvenError
from common.rpc import Bus, BusRefusedError, ReplyNotProvenError
from compute_agent.ledger import HostTakenError, claim_host


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The configuration, or the defaults where there is none that can work."""

    conf: cfg.ConfigOpts
    is_usable: bool
    diagnoses: tuple[Diagnosis, ...]


def configured(files: Sequence[str]) -> Configured:
    """As the agent would read it."""
    paths = [Path(path) for path in files] or [Path(CONFIG_PATH)]
    words = [word for path in files for word in ("--config-file", path)]
    try:
        conf = config.load(words, service="tool")
    except ConfigurationError as error:
        conf = _defaults()
        missing = [path for path in paths if not path.exists()]
        if missing:
            finding = CONFIGURATION_MISSING.finding(conf.host, path=missing[0])
        else:
            finding = CONFIGURATION_UNUSABLE.finding(conf.host, reason=str(error).rstrip("."))
        lines = (CONFIGURATION.found(finding, host=conf.host),)
        return Configured(conf=conf, is_usable=False, diagnoses=lines)
    return Configured(conf=conf, is_usable=True, diagnoses=tuple(_exposure(conf, paths)))


def answer_agent(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    """By the address that an agent holds for as long as it lives."""
    try:
        claim_host(conf.host).close()
    except HostTakenError:
        yield AGENT.passed(f"The compute agent of {conf.host} runs.", host=conf.host)
    else:
        yield AGENT.found(AGENT_ABSENT.finding(conf.host), host=conf.host)


def answer_keys(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    try:
        identity = credentials.of_host(conf)
        credentials.conductors_key(conf)
    except ConfigurationError as error:
        yield KEYS.found(KEY_UNUSABLE.finding(conf.host, reason=str(error).rstrip(".")), host=conf.host)
        return
    yield KEYS.passed(f"It signs as {identity.principal}, and knows the conductors' key.", host=conf.host)


def answer_broker(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    """Log in, then greet a conductor: that proves both ways."""
    host, told = conf.host, broker.configured(conf)
    try:
        told.open().close()
    except (BrokerUnreachableError, BusRefusedError) as error:
        yield BROKER.found(BROKER_UNUSABLE.finding(host, reason=str(error).rstrip(".")), host=host)
        return
    if told.tls is None and not told.is_in_memory:
        yield BROKER.found(BROKER_IN_CLEAR.finding(host), host=host)
    else:
        yield BROKER.passed(f"{told.name} lets it in.", host=host)
    try:
        identity = credentials.of_host(conf)
    except ConfigurationError:
        return  # told by the question of keys
    yield from _greeted(conf, identity)


def _greeted(conf: cfg.ConfigOpts, identity: Identity) -> Iterator[Diagnosis]:
    host = conf.host
    try:
        bus = Bus(conf, identity=identity, keyring=credentials.conductors_key(conf))
    except ConfigurationError:
        return
    try:
        ConductorAPI(bus).greet(host)
    except (NotProvenError, ReplyNotProvenError) as error:
        yield BROKER.found(HOST_UNKNOWN.finding(host, reason=str(error).rstrip(".")), host=host)
    except (ServiceUnreachableError, LimosaError) as error:
        yield BROKER.found(CONDUCTOR_SILENT.finding(host, reason=str(error).rstrip(".")), host=host)
    else:
        yield BROKER.passed(f"A conductor answers {host}.", host=host)
    finally:
        bus.close()


def _exposure(conf: cfg.ConfigOpts, paths: Sequence[Path]) -> Iterator[Diagnosis]:
    for path in paths:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & stat.S_IROTH:
            finding = CONFIGURATION_EXPOSED.finding(conf.host, path=path, mode=f"{mode:04o}")
            yield CONFIGURATION.found(finding, host=conf.host)
        else:
            yield CONFIGURATION.passed(f"{path} can work.", host=conf.host)


def _defaults() -> cfg.ConfigOpts:
    config.CONF.reset()
    config.register_options(config.CONF)
    config.CONF([], project="limosa", default_config_files=[], default_config_dirs=[])
    return config.CONF
