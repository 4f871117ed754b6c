"""Who this process is, by its configuration: [identity] names the files of the keys."""

import getpass
import os
from pathlib import Path

from oslo_config import cfg

from common import pem_text
from common.errors import ConfigurationError
from common.identity import (
    ConductorsOnly,
    Identity,
    KeyFileError,
    Kind,
    Principal,
    PrivateKey,
    PublicKey,
    is_name,
)

GROUP = "identity"


def of_conductor(conf: cfg.ConfigOpts) -> Identity:
    """Raises ConfigurationError, as all of these."""
    made_by = "`limosa-conductor bootstrap` makes it"
    identity = _identity(conf, Kind.CONDUCTOR, conf.host, "conductor_key", made_by)
    _refuse_another_half(conf, identity.key)
    return identity


def of_host(conf: cfg.ConfigOpts) -> Identity:
    """As the compute agent of this host."""
    return _identity(conf, Kind.HOST, conf.host, "host_key", "`limosa-compute-agent make-key` makes it")


def of_administrator(conf: cfg.ConfigOpts) -> Identity:
    """As the one whom [identity]administrator names, or whose login this is."""
    name = administrator_name(conf)
    if conf.identity.administrator_key_text:
        return _identity_of(Kind.ADMINISTRATOR, name, _key_in_text(conf))
    made_by = "`limosa-conductor bootstrap` or `limosa admin create` makes it"
    return _identity(conf, Kind.ADMINISTRATOR, name, "administrator_key", made_by)


def administrator_name(conf: cfg.ConfigOpts) -> str:
    return str(conf.identity.administrator or _login())


def conductors_key(conf: cfg.ConfigOpts) -> ConductorsOnly:
    """The keyring of whoever believes conductors only."""
    return ConductorsOnly(conductors_public_key(conf))


def conductors_public_key(conf: cfg.ConfigOpts) -> PublicKey:
    text = conf.identity.conductor_public_key_text
    path = _path(conf, "conductor_public_key")
    try:
        if text:
            return PublicKey.from_pem(pem_text.pem(text, label=pem_text.PUBLIC_KEY))
        return PublicKey.load(path)
    except KeyFileError as error:
        if text:
            reason = error.fields["reason"]
            raise ConfigurationError(
                group=GROUP, option="conductor_public_key_text", reason=reason
            ) from error
        made_by = "`limosa-conductor bootstrap` makes it; copy it from there"
        raise _unusable("conductor_public_key", error, made_by) from error


def _refuse_another_half(conf: cfg.ConfigOpts, key: PrivateKey) -> None:
    """With a key that nobody knows a conductor would do what it is asked, and nobody would believe its answers."""
    path = _path(conf, "conductor_public_key")
    try:
        known = PublicKey.load(path)
    except KeyFileError:
        return  # only hosts and clients need it
    if known.to_pem() != key.public.to_pem():
        reason = f"it does not belong to {path}, by which hosts and clients know the conductors"
        raise ConfigurationError(group=GROUP, option="conductor_key", reason=reason)


def key_path(conf: cfg.ConfigOpts, option: str) -> Path:
    """Where a key of ours is, or is to be made."""
    return _path(conf, option)


def _identity(conf: cfg.ConfigOpts, kind: Kind, name: str, option: str, made_by: str) -> Identity:
    try:
        key = PrivateKey.load(_path(conf, option))
    except KeyFileError as error:
        raise _unusable(option, error, made_by) from error
    return _identity_of(kind, name, key)


def _key_in_text(conf: cfg.ConfigOpts) -> PrivateKey:
    text = pem_text.pem(conf.identity.administrator_key_text, label=pem_text.PRIVATE_KEY)
    try:
        return PrivateKey.from_pem(text)
    except KeyFileError as error:
        reason = error.fields["reason"]
        raise ConfigurationError(group=GROUP, option="administrator_key_text", reason=reason) from error


def _identity_of(kind: Kind, name: str, key: PrivateKey) -> Identity:
    if not is_name(name):
        raise ConfigurationError(
            group=GROUP,
            option="administrator",
            reason=f"{name!r:.80} cannot be anybody's name: set another one",
        )
    return Identity(principal=Principal(kind=kind, name=name), key=key)


def _unusable(option: str, error: KeyFileError, made_by: str) -> ConfigurationError:
    path, reason = error.fields["path"], error.fields["reason"]
    remedy = "" if os.path.lexists(path) else f"; {made_by}"
    return ConfigurationError(group=GROUP, option=option, reason=f"{path}: {reason}{remedy}")


def _path(conf: cfg.ConfigOpts, option: str) -> Path:
    try:
        return Path(conf[GROUP][option]).expanduser()
    except RuntimeError as error:  # there is no such user, or nobody knows our home
        raise ConfigurationError(group=GROUP, option=option, reason=str(error)) from error


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # whoever that is, no conductor knows it
