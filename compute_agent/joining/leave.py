"""Stop being a member: the conductors forget this host first, then what `join` wrote here goes. Guests stay as they are.

Asked again after it broke off, it goes on: a host that the conductors know no more has nothing left to ask them.
"""

from contextlib import suppress
from pathlib import Path

from oslo_config import cfg

from common import config, credentials, new_files
from common.conductor_api import ConductorAPI
from common.errors import LimosaError
from common.identity import KeyUnknownError
from common.rpc import Bus, BusRefusedError
from compute_agent.joining import config_block, places
from compute_agent.joining.places import Places
from compute_agent.ledger import HostTakenError, claim_host


class NotJoinedError(LimosaError):
    message = "This host has not joined with a code: {path} does not say so."
    hint = "One that was registered by hand is removed on a controller: `limosa-conductor host remove HOST`."
    exit_code = 2


class AgentRunsError(LimosaError):
    message = "The compute agent of {host} runs."
    hint = "`systemctl disable --now limosa-compute-agent` first."
    exit_code = 4


def leave(config_file: Path, *, is_local_only: bool) -> str:
    """The host's name. Raises NotJoinedError, AgentRunsError, HostBusyError, ServiceUnreachableError: it stays then."""
    text = _read(config_file)
    conf = config.load(["--config-file", str(config_file)], service="tool")
    host = str(conf.host)
    try:
        claim = claim_host(host)
    except HostTakenError as error:
        raise AgentRunsError(host=host) from error
    where = Places.of(conf, config_file=config_file)
    with claim:
        if not is_local_only and where.host_key.exists():  # it goes first, and only when the conductors know
            _say_farewell(conf, host)
        _remove(where, text)
    return host


def _read(config_file: Path) -> str:
    try:
        text = config_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    if not config_block.has_block(text):
        raise NotJoinedError(path=config_file)
    return text


def _say_farewell(conf: cfg.ConfigOpts, host: str) -> None:
    """Who was removed already, key or broker's user, has nothing to say any more."""
    bus = Bus(conf, identity=credentials.of_host(conf), keyring=credentials.conductors_key(conf))
    try:
        with suppress(KeyUnknownError, BusRefusedError):
            ConductorAPI(bus).leave(host)
    finally:
        bus.close()


def _remove(where: Places, text: str) -> None:
    """The configuration last: as long as it is there, all of this can be done again."""
    for path in (*where.own, *map(Path, config_block.made_in(text))):
        path.unlink(missing_ok=True)
    kept = config_block.without_block(text)
    if kept.strip():
        found = where.config_file.stat()
        owner = (found.st_uid, found.st_gid)
        new_files.replace(where.config_file, kept, mode=places.CONFIG_MODE, owner=owner)
    else:
        where.config_file.unlink()
