"""Another administrator's client.conf, made from our own way to the conductors."""

from collections.abc import Sequence
from pathlib import Path

from common.identity import PrivateKey, PublicKey


def write(config_files: Sequence[str], path: Path, *, name: str) -> tuple[PublicKey, str]:
    """The public key and the password's hash of what is in the file now; raises ClientFileError, ConfigurationError."""
    from client import settings
    from common import broker_passwords, client_file

    conf = settings.load(config_files)
    key, password = PrivateKey.generate(), broker_passwords.new_password()
    text = client_file.introduction(conf, name=name, key=key, password=password)
    client_file.write(path, text)
    return key.public, broker_passwords.hashed(password)
