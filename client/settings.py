"""Where the `limosa` command finds its configuration.

One file: what --config-file names, else the first that is there of ~/.config/limosa/client.conf, /etc/limosa/client.conf and
/etc/limosa/limosa.conf. An environment variable LIMOSA_OPTION, or LIMOSA_GROUP__OPTION, has the last word on its option.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common.backend import CONFIG_PATH

if TYPE_CHECKING:
    from oslo_config import cfg

PREFIX: Final = "LIMOSA_"
OWN_FILE: Final = Path("limosa/client.conf")
MACHINES_FILE: Final = Path("/etc/limosa/client.conf")
_OTHERS_MAY: Final = stat.S_IRWXG | stat.S_IRWXO  # as with every key file
_SECRET_OPTION: Final = "administrator_key_text"


def load(config_files: Sequence[str]) -> "cfg.ConfigOpts":
    """Raises ConfigurationError."""
    from common import config

    files = list(config_files) or _found()
    for path in files:
        _refuse_if_open_to_others(path)
    _hand_over(os.environ)
    conf = config.load([word for path in files for word in ("--config-file", path)], service="client")
    _unpack_authority(conf)
    return conf


def _found() -> list[str]:
    """The first that is there, also one that we may not read: without a word about it, another one would be taken."""
    for path in (_own_file(), MACHINES_FILE, Path(CONFIG_PATH)):
        if path is not None and os.path.lexists(path):
            return [str(path)]
    return []


def _own_file() -> Path | None:
    directory = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(directory) if directory else Path.home() / ".config") / OWN_FILE
    except RuntimeError:  # nobody knows our home
        return None


def _refuse_if_open_to_others(path: str) -> None:
    """With a key in it, it is a key file."""
    from common.errors import ConfigurationError

    try:
        file = Path(path)
        if not file.stat().st_mode & _OTHERS_MAY or _SECRET_OPTION not in file.read_text(errors="replace"):
            return
    except OSError:
        return  # told when it is opened
    reason = f"it is in {path}, which others may read (chmod 600)"
    raise ConfigurationError(group="identity", option=_SECRET_OPTION, reason=reason)


def _hand_over(environment: "os._Environ[str] | dict[str, str]") -> None:
    """To oslo.config, which has the name OS_GROUP__OPTION for it. One that is set by that name stays."""
    for name, value in translated(environment).items():
        environment.setdefault(name, value)


def translated(environment: Mapping[str, str]) -> dict[str, str]:
    """LIMOSA_X as OS_DEFAULT__X, LIMOSA_G__X as OS_G__X."""
    found = {}
    for name, value in environment.items():
        if name.startswith(PREFIX):
            group, separator, option = name.removeprefix(PREFIX).partition("__")
            found[f"OS_{group}__{option}" if separator else f"OS_DEFAULT__{group}"] = value
    return found


def _unpack_authority(conf: "cfg.ConfigOpts") -> None:
    """OpenSSL wants a file: one in memory, that ends with this process."""
    from common import pem_text

    text = conf.pki.ca_certificate_text
    if not text or conf.oslo_messaging_rabbit.ssl_ca_file:
        return
    number = os.memfd_create("limosa-ca")
    os.write(number, pem_text.pem(text, label=pem_text.CERTIFICATE).encode())
    conf.set_override("ssl_ca_file", f"/proc/self/fd/{number}", group="oslo_messaging_rabbit")
