"""Keys for tests, made once a process: every host, conductor and administrator of a test shares one key pair of its kind."""

from collections.abc import Callable
from typing import Any

from common.dispatch import Answer, Request
from common.envelope import Envelope
from common.errors import LimosaError
from common.identity import Identity, KeyUnknownError, Kind, Principal, PrivateKey, PublicKey

KEYS = {kind: PrivateKey.generate() for kind in Kind}
PUBLIC_KEYS = {kind: key.public for kind, key in KEYS.items()}

CONDUCTOR = Identity(principal=Principal(kind=Kind.CONDUCTOR, name="controller"), key=KEYS[Kind.CONDUCTOR])
ADMINISTRATOR = Identity(
    principal=Principal(kind=Kind.ADMINISTRATOR, name="ann"), key=KEYS[Kind.ADMINISTRATOR]
)


def host(name: str) -> Identity:
    return Identity(principal=Principal(kind=Kind.HOST, name=name), key=KEYS[Kind.HOST])


class EverybodysKeys:
    """A keyring that knows everybody of this module, under any name."""

    def __init__(self, *kinds: Kind) -> None:
        self._kinds = kinds or tuple(Kind)

    def key_of(self, principal: Principal) -> PublicKey:
        if principal.kind not in self._kinds:
            raise KeyUnknownError(signer=principal)
        return PUBLIC_KEYS[principal.kind]


class LetThrough:
    """A guard that lets everybody call everything, and notes what was rejected before it."""

    def __init__(self) -> None:
        self.rejections: list[tuple[str, LimosaError]] = []

    def answer(self, _request: Request, carry_out: Callable[[], Answer]) -> Any:
        return carry_out()

    def rejected(self, envelope: Envelope, error: LimosaError) -> None:
        self.rejections.append((envelope.signer, error))
