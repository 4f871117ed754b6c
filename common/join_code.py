"""The code with which a host joins: one short line that a person carries from a controller to the host.

It holds a secret that nobody else has, and whom the host is to believe: the conductors' public key and the CA. From the
secret come a password, for a user of RabbitMQ that may do nothing but ask to join, and a key that signs the asking. The
database has only the public half of that key, so nobody joins with what stands there.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Final

from common.errors import LimosaError
from common.identity import PrivateKey, PublicKey, is_name

VERSION: Final = 1  # the first byte; it also keeps the text from beginning with "-", as an option does
SECRET_BYTES: Final = 16
KEY_BYTES: Final = 32
FINGERPRINT_BYTES: Final = 32
CHECKSUM_BYTES: Final = 4
_FIXED_BYTES: Final = 1 + SECRET_BYTES + KEY_BYTES + FINGERPRINT_BYTES
_OF_SIGNATURES: Final = b"limosa join: key of signatures"
_OF_BROKER: Final = b"limosa join: password of the broker"


class JoinCodeError(LimosaError):
    message = "This is no join code: {reason}."
    hint = "`limosa-conductor host add HOST` prints it on a controller; it is one line, to be copied whole."
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCode:
    host: str
    secret: bytes = field(repr=False)
    conductors: PublicKey
    authority: bytes  # SHA-256 of the CA's certificate

    @classmethod
    def new(cls, host: str, *, conductors: PublicKey, authority: bytes) -> "JoinCode":
        return cls(
            host=host,
            secret=secrets.token_bytes(SECRET_BYTES),
            conductors=conductors,
            authority=authority,
        )

    @classmethod
    def parse(cls, text: str) -> "JoinCode":
        """Raises JoinCodeError."""
        text = text.strip()
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise JoinCodeError(reason="it has characters that no code has, or not all of its own") from error
        body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
        if len(body) <= _FIXED_BYTES or _checksum(body) != checksum:
            raise JoinCodeError(reason="a part of it is missing, or was changed")
        if body[0] != VERSION:
            raise JoinCodeError(reason="another version of Limosa has made it")
        secret, rest = body[1 : 1 + SECRET_BYTES], body[1 + SECRET_BYTES :]
        host = body[_FIXED_BYTES:].decode("ascii", errors="replace")
        if not is_name(host):
            raise JoinCodeError(reason="it names no host")
        return cls(
            host=host,
            secret=secret,
            conductors=PublicKey.from_bytes(rest[:KEY_BYTES]),
            authority=rest[KEY_BYTES : KEY_BYTES + FINGERPRINT_BYTES],
        )

    @property
    def text(self) -> str:
        fixed = bytes([VERSION]) + self.secret + self.conductors.to_bytes() + self.authority
        body = fixed + self.host.encode("ascii")
        return base64.urlsafe_b64encode(body + _checksum(body)).decode("ascii").rstrip("=")

    @property
    def key(self) -> PrivateKey:
        """Signs the request to join."""
        return PrivateKey.from_seed(self._derived(_OF_SIGNATURES))

    @property
    def broker_password(self) -> str:
        """Of the user that may do nothing but ask."""
        return base64.urlsafe_b64encode(self._derived(_OF_BROKER)).decode("ascii").rstrip("=")

    def _derived(self, purpose: bytes) -> bytes:
        """One secret, and none of what is made from it tells another: HMAC as a key derivation, RFC 5869."""
        return hmac.digest(self.secret, purpose, hashlib.sha256)


def _checksum(body: bytes) -> bytes:
    """Against a code that was copied badly, not against anybody."""
    return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big")
