"""`limosa-conductor bootstrap`: from an empty controller to one that an administrator may speak to. Once.

Done is what the database says: there is an administrator. Before that commit a run that was interrupted may be repeated,
and takes over the key that it finds.
"""

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from oslo_config import cfg
from sqlalchemy.orm import Session

from common import credentials
from common.errors import LimosaError
from common.identity import KeyFileError, PrivateKey, PublicKey, refuse_bad_name
from common.states import Role
from common.tools import say
from conductor import introducing, owners
from conductor.app import connection
from conductor.db import audit, keys
from conductor.db.engine import Database

STATE_MODE = 0o711  # the agent's state may be there, too, with another owner

_KEEP = """\
The private key of the first administrator, {name}. It is kept nowhere else and is not shown again:

{pem}
Save it as ~/.config/limosa/administrator.key (chmod 600) where {name} works, and set there
[identity]administrator = {name}, or run as a user of that name."""

_INTRODUCED = (
    "All that {name} needs is in {path}: `limosa` finds it as ~/.config/limosa/client.conf (chmod 600)."
)

_NEXT = """\
The conductors' key is {private}: who has it commands every host, and without it none obeys. Keep a copy.
Next: start the conductor, and for each host run `limosa-conductor host add HOST`, which says what to run there.
A further controller needs {private}, too."""


class BootstrappedError(LimosaError):
    message = "This database has administrators already: {names}."
    hint = "`limosa admin create` makes further ones; if all keys are lost: `limosa-conductor administrator add`."


def bootstrap(
    conf: cfg.ConfigOpts,
    *,
    administrator: str,
    administrator_key: Path | None,
    client_conf: Path | None = None,
    owner: str | None,
) -> None:
    """Make database, schema, keys and the first administrator, and say what must be kept.

    The administrator is registered last, when his key is in his hands: whatever breaks off before, the same command
    is run again. With `client_conf` the key is in that file, and he has a user of RabbitMQ.

    Raises BootstrappedError, NameInvalidError, KeyFileError, OwnerUnknownError, ConfigurationError, and what
    `conductor.introducing` raises.
    """
    refuse_bad_name(administrator)
    user = owners.owner(owner)
    _make_state_directory(conf)
    database = Database(connection(conf), max_retries=conf.database.max_retries)
    with closing(database), ExitStack() as undo:
        _refuse_if_bootstrapped(database)
        users = None if client_conf is None else introducing.refuse_without_users(conf, database)
        private, public = _conductors_key(conf)
        owners.give_to(user, [private, public, *_files_of(conf)])
        if client_conf is None or users is None:
            key = _administrators_key(administrator_key)
            _hand_over(administrator, key, administrator_key)
        else:
            key = introducing.introduce(conf, users, name=administrator, path=client_conf)
            undo.callback(client_conf.unlink, missing_ok=True)
            say(_INTRODUCED.format(name=administrator, path=client_conf))
        _register(database, administrator, key.public)
        undo.pop_all()
        owners.give_to(user, _files_of(conf))  # SQLite's log may have come with that commit
    say(f"{administrator} is an administrator now, and the database is ready.")
    say(_NEXT.format(private=private))


def _make_state_directory(conf: cfg.ConfigOpts) -> None:
    """As the units of systemd would make it at the first start."""
    if not conf.database.connection:
        Path(conf.state_path).mkdir(mode=STATE_MODE, parents=True, exist_ok=True)


def _administrators_key(path: Path | None) -> PrivateKey:
    """A new key, or the one that a run which broke off has left in the file."""
    if path is not None and os.path.lexists(path):
        return PrivateKey.load(path)
    key = PrivateKey.generate()
    if path is not None:
        key.save(path)
    return key


def _hand_over(name: str, key: PrivateKey, path: Path | None) -> None:
    """Raises OSError where nobody can have read it."""
    if path is not None:
        say(f"The private key of the first administrator, {name}, is in {path}.")
    elif sys.stdout is None:
        raise OSError(errno.EBADF, "there is no standard output to show the administrator's key on")
    else:
        say(_KEEP.format(name=name, pem=key.to_pem()))


def _refuse_if_bootstrapped(database: Database) -> None:
    with database.reading() as session:
        names = [row.name for row in keys.list_administrators(session)]
    if names:
        raise BootstrappedError(names=", ".join(names))


def _conductors_key(conf: cfg.ConfigOpts) -> tuple[Path, Path]:
    """The files of the conductors' key: an existing one is taken over, be it of a run that broke off."""
    private = credentials.key_path(conf, "conductor_key")
    public = credentials.key_path(conf, "conductor_public_key")
    private.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if os.path.lexists(private):
        key = PrivateKey.load(private)
        say(f"The conductors' key is there already, and is kept: {private}")
    else:
        key = PrivateKey.generate()
        key.save(private)
    public.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if os.path.lexists(public):
        if PublicKey.load(public).to_pem() != key.public.to_pem():
            reason = f"it belongs to another key than {private}: remove the one that is not meant"
            raise KeyFileError(path=public, reason=reason)
    else:
        key.public.save(public)
    return private, public


def _register(database: Database, name: str, key: PublicKey) -> None:
    def register(session: Session) -> None:
        keys.add_administrator(
            session, name, role=Role.ADMIN, public_key=key.to_pem(), by="bootstrap", valid_days=None
        )
        audit.note_by_hand(session, "bootstrap", name)

    database.transact(register)


def _files_of(conf: cfg.ConfigOpts) -> Iterable[Path]:
    """SQLite's files, with their directory if it is ours."""
    scheme, _, path = connection(conf).partition(":///")
    if not scheme.startswith("sqlite"):
        return
    database = Path("/" + path.lstrip("/"))
    yield from database.parent.glob(f"{database.name}*")
    if database.parent == Path(conf.state_path) / "conductor":
        yield database.parent
