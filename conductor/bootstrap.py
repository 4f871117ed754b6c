"""`limosa-conductor bootstrap`: from an empty controller to one that an administrator may speak to. Once.

Done is what the database says: there is an administrator. Before that commit a run that was interrupted may be repeated,
and takes over the key that it finds.
"""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from oslo_config import cfg
from sqlalchemy.orm import Session

from common import credentials
from common.errors import LimosaError
from common.identity import NameInvalidError, PrivateKey, PublicKey, is_name
from common.states import AuditResult, Role
from common.tools import say
from conductor.app import connection
from conductor.db import audit, keys
from conductor.db.engine import Database
from conductor.management import DEFAULT_OWNER

PUBLIC_MODE = 0o644

_KEEP = """\
The private key of the first administrator, {name}. It is kept nowhere else and is not shown again:

{pem}
Save it as ~/.config/limosa/administrator.key (chmod 600) where {name} works, and set there
[identity]administrator = {name}, or run as a user of that name."""

_NEXT = """\
Next: copy {public} to every host and client; on each host run `limosa-compute-agent make-key`, and here
`limosa-conductor host add HOST --public-key FILE` for it. A further controller needs {private}, too."""


class BootstrappedError(LimosaError):
    message = "This database has administrators already: {names}."
    hint = "`limosa admin create` makes further ones; if all keys are lost: `limosa-conductor administrator add`."


class OwnerUnknownError(LimosaError):
    message = "There is no user {owner}."
    exit_code = 2


def bootstrap(
    conf: cfg.ConfigOpts, *, administrator: str, administrator_key: Path | None, owner: str | None
) -> None:
    """Make database, schema, keys and the first administrator, and say what must be kept.

    Raises BootstrappedError, NameInvalidError, KeyFileError, OwnerUnknownError, ConfigurationError: nothing that was
    there before is changed then.
    """
    if not is_name(administrator):
        raise NameInvalidError(name=f"{administrator:.80}")
    user = _user(owner)
    database = Database(connection(conf), max_retries=conf.database.max_retries)
    try:
        _refuse_if_bootstrapped(database)
        private, public = _conductors_key(conf)
        key = PrivateKey.generate()
        if administrator_key is not None:
            key.save(administrator_key)
        _register(database, administrator, key.public)
    finally:
        database.close()
    _give_to(user, [private, public, *_files_of(conf)])
    say(
        f"The database is ready: {connection(conf)}"
        if "@" not in connection(conf)
        else "The database is ready."
    )
    if administrator_key is None:
        say(_KEEP.format(name=administrator, pem=key.to_pem()))
    else:
        say(f"The private key of the first administrator, {administrator}, is in {administrator_key}.")
    say(_NEXT.format(public=public, private=private))


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
    public.write_text(key.public.to_pem(), encoding="ascii")
    public.chmod(PUBLIC_MODE)
    return private, public


def _register(database: Database, name: str, key: PublicKey) -> None:
    def register(session: Session) -> None:
        keys.add_administrator(
            session, name, role=Role.ADMIN, public_key=key.to_pem(), by="bootstrap", valid_days=None
        )
        audit.note(
            session,
            signer="limosa-conductor",
            method="bootstrap",
            target=name,
            result=AuditResult.DONE,
            detail="",
            request_id="",
        )

    database.transact(register)


def _user(owner: str | None) -> pwd.struct_passwd | None:
    """Whom the files are given to; None: they stay ours."""
    if owner is None and os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(owner or DEFAULT_OWNER)
    except KeyError:
        if owner is None:
            return None
        raise OwnerUnknownError(owner=owner) from None


def _files_of(conf: cfg.ConfigOpts) -> Iterable[Path]:
    """SQLite's files, with their directory if it is ours."""
    scheme, _, path = connection(conf).partition(":///")
    if not scheme.startswith("sqlite"):
        return
    database = Path("/" + path.lstrip("/"))
    yield from database.parent.glob(f"{database.name}*")
    if database.parent == Path(conf.state_path) / "conductor":
        yield database.parent


def _give_to(user: pwd.struct_passwd | None, paths: Iterable[Path]) -> None:
    if user is not None:
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)
