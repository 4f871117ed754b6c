"""Let hosts join, and have them go: on a controller, in its database and at RabbitMQ, beside the conductor."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from oslo_config import cfg
from sqlalchemy.orm import Session

from common import broker, broker_passwords, certificates, credentials
from common.broker_url import TLS_PORT, BrokerUrl
from common.errors import InvalidRequestError
from common.identity import PublicKey, is_name, refuse_bad_name
from common.join_code import JoinCode
from conductor import authority, membership
from conductor.db import audit, clock, enrolments, keys
from conductor.db.models import HostKey
from conductor.enrolling import users_of
from conductor.membership import NoBrokerUsersError
from conductor.presentation import iso
from conductor.registration import HostKnownError, HostNotRegisteredError, opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a person carries to the host. The code is shown this once."""

    url: str
    code: str = field(repr=False)


def invite(conf: cfg.ConfigOpts, host: str, *, names: Sequence[str], is_replacing: bool) -> Invitation:
    """Make a join code and the user of RabbitMQ with which to ask; the host's last code counts no more.

    Raises NameInvalidError, InvalidRequestError, HostKnownError, NoBrokerUsersError, ConfigurationError,
    BrokerManagementError: then the code is not shown, and the same command is run again.
    """
    refuse_bad_name(host)
    _refuse_bad_names(names)
    url = broker_url(conf)
    code = JoinCode.new(
        host,
        conductors=PublicKey.load(credentials.key_path(conf, "conductor_public_key")),
        authority=certificates.fingerprint(authority.load(conf).certificate_pem),
    )
    with opened(conf) as database:
        users = users_of(conf, database)
        if users is None:
            raise NoBrokerUsersError

        def put(session: Session) -> None:
            if session.get(HostKey, host) is not None and not is_replacing:
                raise HostKnownError(host=host)
            pem = code.key.public.to_pem()
            enrolments.put_code(
                session, host, public_key=pem, names=names, valid_s=conf.enrolment.code_valid_s
            )
            audit.note_by_hand(session, "host add", host)

        database.transact(put)
        users.admit_joining(host, password_hash=broker_passwords.hashed(code.broker_password))
    return Invitation(url=url, code=code.text)


def remove_host(conf: cfg.ConfigOpts, host: str) -> str | None:
    """Take back key and code at once, then its users at RabbitMQ. Raises HostNotRegisteredError.

    What nobody can take back is its certificate: the time until which one is good at the longest; None: it has none of ours.
    Raises BrokerManagementError where RabbitMQ is away: nothing that the host says is believed then already, and the
    conductors go on trying to remove its users.
    """
    with opened(conf) as database:

        def remove(session: Session) -> int | None:
            has_certificate = session.get(HostKey, host) is not None
            if not membership.forget(session, host, after_s=0):
                raise HostNotRegisteredError(host=host)
            audit.note_by_hand(session, "host remove", host)
            return clock.read_ms(session) + conf.pki.valid_days * keys.MS_PER_DAY if has_certificate else None

        good_until_ms = database.transact(remove)
        users = users_of(conf, database)
        if users is None:
            return None
        users.tidy()
        return None if good_until_ms is None else iso(good_until_ms)


def listed_hosts(conf: cfg.ConfigOpts) -> tuple[str, ...]:
    """A line for each, by name: those who are registered, and those who may join."""
    with opened(conf) as database, database.reading() as session:
        lines = {row.host: row.host for row in keys.list_hosts(session)}
        for code in enrolments.pending_codes(session):
            lines[code.host] = f"{code.host}  may join until {iso(code.expires_at_ms)}"
    return tuple(lines[host] for host in sorted(lines))


def broker_url(conf: cfg.ConfigOpts) -> str:
    """Where hosts find RabbitMQ: as this controller does, over TLS, unless it says localhost of its own."""
    known = broker.configured(conf)
    first = known.hosts[0]
    name = conf.host if first.name in ("localhost", "127.0.0.1", "::1") else first.name
    port = first.port if known.tls is not None else TLS_PORT
    return str(BrokerUrl(hosts=((name, port),), virtual_host=known.virtual_host))


def _refuse_bad_names(names: Sequence[str]) -> None:
    for name in names:
        if not is_name(name) and not _is_address(name):
            raise InvalidRequestError(reason=f"{name:.80} is neither a name of a host nor an address.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
