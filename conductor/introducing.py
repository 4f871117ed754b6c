"""An administrator's client.conf, made on a controller: for the first one, and for when nobody is left who could."""

from contextlib import ExitStack
from pathlib import Path

from oslo_config import cfg

from common import broker_passwords, client_file
from common.identity import PrivateKey
from conductor.broker_users import BrokerUsers
from conductor.db.engine import Database
from conductor.enrolling import users_of
from conductor.membership import NoBrokerUsersError

DIRECTORY_MODE = 0o700


def refuse_without_users(conf: cfg.ConfigOpts, database: Database) -> BrokerUsers:
    """Raises NoBrokerUsersError: without a user of the broker the file would open nothing."""
    users = users_of(conf, database)
    if users is None:
        raise NoBrokerUsersError
    return users


def introduce(conf: cfg.ConfigOpts, users: BrokerUsers, *, name: str, path: Path) -> PrivateKey:
    """Write the file and make the user; the key that is in it and is to be registered.

    Raises ClientFileError, ConfigurationError, BrokerManagementError; then there is no file.
    """
    key, password = PrivateKey.generate(), broker_passwords.new_password()
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    client_file.write(path, client_file.introduction(conf, name=name, key=key, password=password))
    with ExitStack() as undo:
        undo.callback(path.unlink, missing_ok=True)
        users.admit_administrator(name, password_hash=broker_passwords.hashed(password))
        undo.pop_all()
    return key
