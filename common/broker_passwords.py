"""Passwords of RabbitMQ's users. Whoever needs one makes it; to the conductors goes its hash alone."""

import base64
import hashlib
import re
import secrets
from typing import Final

PASSWORD_BYTES: Final = 24
SALT_BYTES: Final = 4
HASH_BYTES: Final = 32
# What a salted SHA-256 is in base64, as RabbitMQ writes it.
_HASH: Final = re.compile(r"[A-Za-z0-9+/]{48}")


def new_password() -> str:
    """One that nobody guesses, also not from its hash, in characters that no URL needs to escape."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hashed(password: str, *, salt: bytes | None = None) -> str:
    """As RabbitMQ keeps it: https://www.rabbitmq.com/docs/passwords#computing-password-hash"""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode("ascii")


def is_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None
