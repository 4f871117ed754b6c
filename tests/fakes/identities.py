"""Keys for tests, made once a process: everybody has one of his own, all conductors share theirs."""

from collections.abc import Callable
from functools import cache
from typing import Any

from common.dispatch import Answer, Request
from common.envelope import Envelope
from common.errors import LimosaError
from common.identity import Identity, KeyUnknownError, Kind, Principal, PrivateKey, PublicKey


def identity(kind: Kind, name: str) -> Identity:
    return Identity(principal=Principal(kind=kind, name=name), key=_key(kind, name))


def host(name: str) -> Identity:
    return identity(Kind.HOST, name)


def administrator(name: str) -> Identity:
    return identity(Kind.ADMINISTRATOR, name)


@cache
def _key_of_one(kind: Kind, name: str) -> PrivateKey:
    return PrivateKey.generate()


def _key(kind: Kind, name: str) -> PrivateKey:
    return _key_of_one(kind, "" if kind is Kind.CONDUCTOR else name)


CONDUCTOR = identity(Kind.CONDUCTOR, "controller")
ADMINISTRATOR = administrator("ann")


class EverybodysKeys:
    """A keyring that knows everybody of this module, under any name."""

    def __init__(self, *kinds: Kind) -> None:
        self._kinds = kinds or tuple(Kind)

    def key_of(self, principal: Principal) -> PublicKey:
        if principal.kind not in self._kinds:
            raise KeyUnknownError(signer=principal)
        return _key(principal.kind, principal.name).public


class LetThrough:
    """A guard that lets everybody call everything, and notes what was rejected before it."""

    def __init__(self) -> None:
        self.rejections: list[tuple[str, LimosaError]] = []

    def answer(self, _request: Request, carry_out: Callable[[], Answer]) -> Any:
        return carry_out()

    def rejected(self, envelope: Envelope, error: LimosaError) -> None:
        self.rejections.append((envelope.signer, error))
