"""Become a member: with a join code, once. Whatever is refused on the way, this host is as it was before, its key apart.

1. look at code, URL, configuration and directories        nothing is changed
2. get the CA, by the fingerprint in the code               from here on the broker is proven
3. make the host's key                                      it stays once 4 may have succeeded: asked again, it is the same
4. ask to join                                              the conductors register the key
5. write keys and certificates, and log in with them
6. write the configuration                                  this is what makes the host a member
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oslo_config import cfg

from common import broker_names, broker_passwords, certificates, config
from common.broker_url import BrokerUrl
from common.enrolment_api import JoinGrant, JoinRequest, proven_text
from common.errors import LimosaError, OutcomeUnknownError
from common.identity import PrivateKey
from common.join_code import JoinCode
from compute_agent.joining import config_block, places
from compute_agent.joining.door import Door, OtherAuthorityError
from compute_agent.joining.places import Places

_TRANSPORT_URL: Final = re.compile(r"^\s*transport_url\s*[=:]", re.MULTILINE)


class JoinedError(LimosaError):
    message = "This host is a member already: {path} says so."
    hint = "`limosa-compute-agent leave` ends that; then it can join again."
    exit_code = 2


class ConfiguredError(LimosaError):
    message = "{path} sets transport_url already, which joining would override."
    hint = "On a controller that is to have guests, too, give the agent a file of its own: --config-file FILE, here and "
    hint += "in its unit. Otherwise take that line out."
    exit_code = 2


class PlainBrokerError(LimosaError):
    message = "{url} is without TLS: whoever is on the way could read and change all that is said, and log in as this host."
    hint = "Use amqps://. In a lab, --insecure takes it all the same."
    exit_code = 2


class OtherHostError(LimosaError):
    message = "This code is for {host}, and this machine is called {name}."
    hint = "If it is meant, add --host {host}."
    exit_code = 2


class LoginFailedError(LimosaError):
    message = "{host} was registered, and cannot log in at RabbitMQ: {reason}"
    hint = (
        "Run the same command again, within ten minutes: its key is kept, and a host joins once. Later "
        "`limosa-conductor host add {host} --replace` makes another code."
    )


class AnswerMissingError(OutcomeUnknownError):
    message = "No conductor has answered, and whether {host} was registered is not known: {reason}"
    hint = "Run the same command again: asked twice, a host joins once. Its key is kept until then."


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    url: BrokerUrl
    code: JoinCode
    config_file: Path
    ca_file: Path | None
    is_insecure: bool


def join(request: Request, door: Door) -> Places:
    """Raises LimosaError, and then nothing was changed; only the key stays of which the conductors may know."""
    text = _refuse_what_cannot_work(request)
    with ExitStack() as undo, ExitStack() as undo_key:
        with _configured(request, "") as conf:
            where = Places.of(conf, config_file=request.config_file)
        places.make_directories(where, undo)
        authority = _authority(request, door)
        where.refuse_foreign(authority_pem=authority, conductor_public_pem=request.code.conductors.to_pem())
        made = [path for path in (where.authority, where.conductor_public_key) if not path.exists()]
        key = _host_key(where, undo_key)
        certificate_request, certificate_key = certificates.new_request(
            request.code.host, [request.code.host]
        )
        password = broker_passwords.new_password()
        try:
            grant = _ask(request, door, authority, key, certificate_request, password)
        except OutcomeUnknownError as error:
            undo_key.pop_all()
            raise AnswerMissingError(host=request.code.host, reason=error) from error
        except KeyboardInterrupt:
            undo_key.pop_all()
            raise
        undo_key.pop_all()
        _write(request, where, grant, authority, certificate_key, undo)
        block = _block(request, user=grant.broker_user, password=password, authority=where.authority)
        with _configured(request, config_block.text_of(block)) as conf:
            _try_login(conf, request.code.host, door)
        whole = config_block.with_block(text, block, made=[str(path) for path in made])
        places.write(where.config_file, whole, mode=places.CONFIG_MODE, undo=undo)
        undo.pop_all()
    return where


def _refuse_what_cannot_work(request: Request) -> str:
    """The configuration's text as it is."""
    if not request.url.is_tls and not request.is_insecure:
        raise PlainBrokerError(url=request.url)
    path = request.config_file
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise places.FileRefusedError(path=path, reason=reason) from error
    if config_block.has_block(text):
        raise JoinedError(path=path)
    if _TRANSPORT_URL.search(text):
        raise ConfiguredError(path=path)
    return text


def _authority(request: Request, door: Door) -> str:
    if request.ca_file is None:
        return (
            "" if not request.url.is_tls else door.authority(request.url, fingerprint=request.code.authority)
        )
    try:
        pem = request.ca_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise places.FileRefusedError(path=request.ca_file, reason=error) from error
    if certificates.fingerprint(pem) != request.code.authority:
        raise OtherAuthorityError(url=request.url)
    return pem


def _host_key(where: Places, undo: ExitStack) -> PrivateKey:
    """One that is there is taken: of `make-key`, or of a run that got no answer."""
    if where.host_key.exists():
        return PrivateKey.load(where.host_key)
    key = PrivateKey.generate()
    key.save(where.host_key)
    undo.callback(where.host_key.unlink, missing_ok=True)
    return key


def _ask(
    request: Request, door: Door, authority: str, key: PrivateKey, certificate_request: str, password: str
) -> JoinGrant:
    """As the broker's user that may do nothing else."""
    code = request.code
    password_hash = broker_passwords.hashed(password)
    proven = proven_text(code.host, certificate_request=certificate_request, password_hash=password_hash)
    asking = JoinRequest(
        public_key=key.public.to_pem(),
        certificate_request=certificate_request,
        password_hash=password_hash,
        proof=key.sign(proven),
    )
    with tempfile.TemporaryDirectory() as directory:
        ca_file = Path(directory) / "ca.pem"
        ca_file.write_text(authority)
        user = broker_names.joining_user(code.host)
        block = _block(request, user=user, password=code.broker_password, authority=ca_file)
        with _configured(request, config_block.text_of(block)) as conf:
            return door.ask(conf, code, asking, url=request.url)


def _write(
    request: Request, where: Places, grant: JoinGrant, authority: str, certificate_key: str, undo: ExitStack
) -> None:
    """What the conductors say of their CA is believed as far as the code names it."""
    if certificates.fingerprint(grant.authority) != request.code.authority:
        raise OtherAuthorityError(url=request.url)
    public, secret = places.PUBLIC_MODE, places.SECRET_MODE
    places.write(where.authority, authority or grant.authority, mode=public, undo=undo)
    places.write(where.conductor_public_key, request.code.conductors.to_pem(), mode=public, undo=undo)
    places.write(where.certificate_key, certificate_key, mode=secret, undo=undo)
    places.write(where.certificate, grant.certificate, mode=public, undo=undo)


def _try_login(conf: cfg.ConfigOpts, host: str, door: Door) -> None:
    try:
        door.try_login(conf)
    except LimosaError as error:
        raise LoginFailedError(host=host, reason=error) from error


def _block(request: Request, *, user: str, password: str, authority: Path) -> dict[str, dict[str, str]]:
    values = {
        "DEFAULT": {
            "host": request.code.host,
            "transport_url": request.url.transport_url(user=user, password=password),
        }
    }
    if request.url.is_tls:
        values["oslo_messaging_rabbit"] = {"ssl": "true", "ssl_ca_file": str(authority)}
    return values


@contextmanager
def _configured(request: Request, further: str) -> Iterator[cfg.ConfigOpts]:
    """The operator's configuration with these lines behind it, as it will be; raises ConfigurationError."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:  # 0600
        file.write(further)
        file.flush()
        own = [request.config_file] if request.config_file.exists() else []
        files = [word for path in (*own, file.name) for word in ("--config-file", str(path))]
        yield config.load(files, service="tool")
