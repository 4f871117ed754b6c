"""Register hosts and administrators in the database, on a controller and beside the conductor that runs there."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from oslo_config import cfg
from sqlalchemy.orm import Session

from common import credentials
from common.errors import AdministratorExistsError, LimosaError
from common.identity import KeyFileError, PublicKey, refuse_bad_name
from common.states import Role
from conductor import introducing
from conductor.app import connection
from conductor.db import audit, keys
from conductor.db.engine import Database
from conductor.db.models import Administrator, HostKey


class HostKnownError(LimosaError):
    message = "{host} is registered already, with another key."
    hint = "With --replace the new key takes its place, and the old one proves nothing any more."
    exit_code = 2


class HostNotRegisteredError(LimosaError):
    message = "{host} is not registered."
    hint = "`limosa-conductor host list` shows those that are."
    exit_code = 3


def add_host(conf: cfg.ConfigOpts, host: str, public_key: Path, *, is_replacing: bool) -> None:
    """Raises NameInvalidError, KeyFileError, HostKnownError. The same key twice is no error."""
    refuse_bad_name(host)
    pem = PublicKey.load(public_key).to_pem()
    if pem == _conductors(conf):
        raise KeyFileError(path=public_key, reason="it is the conductors' own; a host makes one of its own")
    with opened(conf) as database:

        def add(session: Session) -> None:
            known = session.get(HostKey, host)
            if known is not None and known.public_key != pem and not is_replacing:
                raise HostKnownError(host=host)
            keys.add_host(session, host, pem)
            audit.note_by_hand(session, "host add", host)

        database.transact(add)


def add_administrator(
    conf: cfg.ConfigOpts, name: str, public_key: Path | None, *, client_conf: Path | None = None
) -> None:
    """With this key, or a new one in a client.conf. Raises NameInvalidError, KeyFileError, AdministratorExistsError.

    And for a client.conf what `conductor.introducing` raises; a file is left only by who is registered.
    """
    refuse_bad_name(name)
    with opened(conf) as database, ExitStack() as undo:
        if public_key is not None:
            pem = PublicKey.load(public_key).to_pem()
        else:
            assert client_conf is not None, "one of both"
            _refuse_known(database, name)
            users = introducing.refuse_without_users(conf, database)
            pem = introducing.introduce(conf, users, name=name, path=client_conf).public.to_pem()
            undo.callback(client_conf.unlink, missing_ok=True)

        def add(session: Session) -> None:
            keys.add_administrator(
                session, name, role=Role.ADMIN, public_key=pem, by=audit.BY_HAND, valid_days=None
            )
            audit.note_by_hand(session, "administrator add", name)

        database.transact(add)
        undo.pop_all()


def _refuse_known(database: Database, name: str) -> None:
    """Before the password of his user is another one."""
    with database.reading() as session:
        if session.get(Administrator, name) is not None:
            raise AdministratorExistsError(name=name)


@contextmanager
def opened(conf: cfg.ConfigOpts) -> Iterator[Database]:
    """The conductors' database, for a short look or change beside them."""
    database = Database(connection(conf), max_retries=conf.database.max_retries, beside_conductor=True)
    try:
        yield database
    finally:
        database.close()


def _conductors(conf: cfg.ConfigOpts) -> str | None:
    path = credentials.key_path(conf, "conductor_public_key")
    return PublicKey.load(path).to_pem() if path.exists() else None
