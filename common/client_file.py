"""`client.conf`: one file with all that an administrator needs to work from any machine."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from oslo_config import cfg

from common import broker, broker_names, credentials, new_files, pem_text
from common.errors import ConfigurationError, LimosaError, describe_os_error
from common.identity import Kind, Principal, PrivateKey, PublicKey

MODE: Final = 0o600

_HEAD: Final = """\
# Of {name}, and of nobody else: who has this file is {name} to Limosa.
# Put it to ~/.config/limosa/client.conf (chmod 600) where {name} works.
"""


class ClientFileError(LimosaError):
    message = "{path} cannot be written: {reason}."
    exit_code = 2


def introduction(conf: cfg.ConfigOpts, *, name: str, key: PrivateKey, password: str) -> str:
    """The text for somebody who goes the way to the conductors that `conf` describes; raises ConfigurationError."""
    rabbit = conf.oslo_messaging_rabbit
    return text_of(
        name=name,
        key=key,
        conductors=credentials.conductors_public_key(conf),
        transport_url=_transport_url(conf, name=name, password=password),
        authority_pem=_authority(rabbit.ssl_ca_file) if rabbit.ssl else None,
    )


def text_of(
    *, name: str, key: PrivateKey, conductors: PublicKey, transport_url: str, authority_pem: str | None
) -> str:
    """`authority_pem`: of the broker's CA; None for one without TLS."""
    lines = [
        _HEAD.format(name=name),
        "[DEFAULT]",
        f"transport_url = {transport_url.replace('$', '$$')}",
        "",
        "[identity]",
        f"administrator = {name}",
        f"administrator_key_text = {pem_text.one_line(key.to_pem())}",
        f"conductor_public_key_text = {pem_text.one_line(conductors.to_pem())}",
    ]
    if authority_pem is not None:
        lines += ["", "[oslo_messaging_rabbit]", "ssl = true"]
        lines += ["", "[pki]", f"ca_certificate_text = {pem_text.one_line(authority_pem)}"]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Raises ClientFileError, also where a file is already: it may be somebody's key."""
    try:
        new_files.write_new(path, text, mode=MODE)
    except FileExistsError as error:
        raise ClientFileError(path=path, reason="it exists already, and no key is overwritten") from error
    except OSError as error:
        reason = error.strerror or describe_os_error(error)
        raise ClientFileError(path=path, reason=reason) from error


def _transport_url(conf: cfg.ConfigOpts, *, name: str, password: str) -> str:
    """The same hosts, another user."""
    known = broker.configured(conf)
    user = broker_names.user_of(Principal(kind=Kind.ADMINISTRATOR, name=name))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    hosts = ",".join(f"{login}@{_in_url(host.name)}:{host.port}" for host in known.hosts)
    path = "" if known.virtual_host == "/" else quote(known.virtual_host, safe="")
    return f"rabbit://{hosts}/{path}"


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _authority(path: str) -> str:
    """Of the broker, as we know it ourselves."""
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else f"{path} is no PEM file"
        raise ConfigurationError(
            group="oslo_messaging_rabbit", option="ssl_ca_file", reason=reason
        ) from error
