"""Who this process is, by its configuration: [identity] names the files of the keys."""

import getpass
from pathlib import Path

from oslo_config import cfg

from common.errors import ConfigurationError
from common.identity import ConductorsOnly, Identity, KeyFileError, Kind, Principal, PrivateKey, PublicKey

GROUP = "identity"


def of_conductor(conf: cfg.ConfigOpts) -> Identity:
    """Raises ConfigurationError, as all of these."""
    return _identity(
        conf, Kind.CONDUCTOR, conf.host, "conductor_key", "`limosa-conductor bootstrap` makes it"
    )


def of_host(conf: cfg.ConfigOpts) -> Identity:
    """As the compute agent of this host."""
    return _identity(conf, Kind.HOST, conf.host, "host_key", "`limosa-compute-agent make-key` makes it")


def of_administrator(conf: cfg.ConfigOpts) -> Identity:
    """As the one whom [identity]administrator names, or whose login this is."""
    name = conf.identity.administrator or _login()
    made_by = "`limosa-conductor bootstrap` or `limosa admin create` makes it"
    return _identity(conf, Kind.ADMINISTRATOR, name, "administrator_key", made_by)


def conductors_key(conf: cfg.ConfigOpts) -> ConductorsOnly:
    """The keyring of whoever believes conductors only."""
    path = _path(conf, "conductor_public_key")
    try:
        return ConductorsOnly(PublicKey.load(path))
    except KeyFileError as error:
        made_by = "`limosa-conductor bootstrap` makes it; copy it from there"
        raise _unusable("conductor_public_key", error, made_by) from error


def key_path(conf: cfg.ConfigOpts, option: str) -> Path:
    """Where a key of ours is, or is to be made."""
    return _path(conf, option)


def _identity(conf: cfg.ConfigOpts, kind: Kind, name: str, option: str, made_by: str) -> Identity:
    try:
        key = PrivateKey.load(_path(conf, option))
    except KeyFileError as error:
        raise _unusable(option, error, made_by) from error
    return Identity(principal=Principal(kind=kind, name=name), key=key)


def _unusable(option: str, error: KeyFileError, made_by: str) -> ConfigurationError:
    path, reason = error.fields["path"], error.fields["reason"]
    return ConfigurationError(group=GROUP, option=option, reason=f"{path}: {reason}; {made_by}")


def _path(conf: cfg.ConfigOpts, option: str) -> Path:
    return Path(conf[GROUP][option]).expanduser()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # whoever that is, no conductor knows it
