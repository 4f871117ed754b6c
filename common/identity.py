"""Who somebody is, and how it is proven: principals, Ed25519 keys and their files (TLS has common/certificates.py).

A private key is a PEM file (PKCS 8, as `openssl genpkey -algorithm ed25519` writes it) that only its owner may read;
it never travels. A public key is a PEM text. All conductors share one key: none of them owns anything.
"""

import base64
import binascii
import os
import re
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from common import new_files
from common.errors import LimosaError, describe_os_error

KEY_FILE_MAX_BYTES = 8_192
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,253}[A-Za-z0-9])?")


class Kind(StrEnum):
    """What somebody is; what each kind may do, the receiver decides."""

    CONDUCTOR = "conductor"
    HOST = "host"  # a compute agent, speaking for its host
    ADMINISTRATOR = "administrator"


class NotProvenError(LimosaError):
    """Whoever sent this has not proven to be somebody whom we know."""

    message = "{signer} is not proven: {reason}"
    exit_code = 9


class KeyUnknownError(NotProvenError):
    message = "Nobody of the name {signer} is registered."
    hint = "An administrator's name is [identity]administrator, or else the login; `limosa admin create` registers one, "
    hint += "`limosa-conductor host add` a host."


class KeyExpiredError(NotProvenError):
    message = "The key of {signer} has expired, at {at}."
    hint = "Ask another administrator for a new one: `limosa admin create`."


class KeyRevokedError(NotProvenError):
    message = "The key of {signer} was revoked, at {at}."
    hint = "Ask another administrator why, or for a new one: `limosa admin create`."


class SignatureWrongError(NotProvenError):
    message = "A message in the name of {signer} does not bear its signature."
    hint = "Either the private key in use there is not the one that is registered, or the public key known here is old."


class NameInvalidError(LimosaError):
    message = "{name} cannot be the name of a host or an administrator."
    hint = "Letters, digits, and . _ @ - between them; at most 255."
    exit_code = 2


class KeyFileError(LimosaError):
    message = "The key file {path} cannot be used: {reason}."
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who signs messages, as text `KIND:NAME`."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Principal":
        """Raises NotProvenError for a text that names nobody."""
        kind, _, name = text.partition(":")
        if kind not in set(Kind) or not is_name(name):
            raise NotProvenError(signer=f"{text:.80}", reason="that is nobody's name")
        return cls(kind=Kind(kind), name=name)


def is_name(text: str) -> bool:
    """Whether a host or an administrator may be called so."""
    return _NAME.fullmatch(text) is not None


def refuse_bad_name(text: str) -> None:
    """Raise NameInvalidError for what no host and no administrator may be called."""
    if not is_name(text):
        raise NameInvalidError(name=f"{text:.80}")


class PublicKey:
    """Proves that a signature was made with the private key that belongs to it."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def from_pem(cls, pem: str, *, path: str = "the text") -> "PublicKey":
        """Raises KeyFileError."""
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(path=path, reason="it holds no public key in PEM form") from error
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(path=path, reason="it is no Ed25519 key")
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> "PublicKey":
        """Raises KeyFileError."""
        return cls.from_pem(_read(path), path=str(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> "PublicKey":
        """From `to_bytes`: 32 of them."""
        return cls(Ed25519PublicKey.from_public_bytes(data))

    def to_bytes(self) -> bytes:
        return self._key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def to_pem(self) -> str:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def save(self, path: Path) -> None:
        """Write a new file that everybody may read; raises KeyFileError. It is there whole or not at all."""
        _save(path, self.to_pem(), mode=0o644)

    def has_signed(self, text: bytes, signature: str) -> bool:
        try:
            self._key.verify(base64.b64decode(signature, validate=True), text)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


class PrivateKey:
    """Signs. Its repr and its errors never show it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> "PrivateKey":
        """The key that 32 secret bytes stand for, always the same."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path) -> "PrivateKey":
        """Raises KeyFileError, also for a file that others may read: it is no secret then."""
        return cls.from_pem(_read(path, is_secret=True), path=str(path))

    @classmethod
    def from_pem(cls, pem: str, *, path: str = "the text") -> "PrivateKey":
        """Raises KeyFileError."""
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
            reason = "it holds no private key in PEM form without a password"
            raise KeyFileError(path=path, reason=reason) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(path=path, reason="it is no Ed25519 key")
        return cls(key)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key())

    def sign(self, text: bytes) -> str:
        return base64.b64encode(self._key.sign(text)).decode("ascii")

    def to_pem(self) -> str:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def save(self, path: Path) -> None:
        """Write a new file that only we may read; raises KeyFileError, also if there is one already.

        It is there whole or not at all.
        """
        _save(path, self.to_pem(), mode=0o600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are, with the proof."""

    principal: Principal
    key: PrivateKey = field(repr=False)


class Keyring(Protocol):
    """Whose word counts here."""

    def key_of(self, principal: Principal) -> PublicKey:
        """Raises KeyUnknownError, KeyExpiredError, KeyRevokedError."""


class ConductorsOnly:
    """The keyring of agents and clients: they know the conductors' key, and nobody else's."""

    def __init__(self, key: PublicKey) -> None:
        self._key = key

    def key_of(self, principal: Principal) -> PublicKey:
        if principal.kind is not Kind.CONDUCTOR:
            raise KeyUnknownError(signer=principal)
        return self._key


def _read(path: Path, *, is_secret: bool = False) -> str:
    try:
        # Without O_NONBLOCK a pipe of that name would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileError(path=path, reason="it is no file")
            if is_secret and mode & _OTHERS_MAY:
                raise KeyFileError(path=path, reason="others than its owner may read it (chmod 600)")
            return file.read(KEY_FILE_MAX_BYTES).decode("ascii", errors="replace")
    except OSError as error:
        raise KeyFileError(path=path, reason=describe_os_error(error).removeprefix(f"{path}: ")) from error


def _save(path: Path, pem: str, *, mode: int) -> None:
    try:
        new_files.write_new(path, pem, mode=mode)
    except FileExistsError as error:
        raise KeyFileError(path=path, reason="it exists already, and no key is overwritten") from error
    except OSError as error:
        raise KeyFileError(path=path, reason=error.strerror or str(error)) from error
