"""The secrets of a fake libvirtd."""

from collections.abc import Callable
from typing import Protocol

from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError, HypervisorUnreachableError
from compute_agent.hypervisor.secrets import Secret, SecretValue


class _Peer(Protocol):
    def secret(self, name: str) -> Secret | None: ...

    def value_of(self, name: str) -> SecretValue | None: ...


class FakeSecrets:
    """`kept_secrets` by uuid, each with its value."""

    secrets: dict[str, str]  # usage by uuid: what `resources` names

    def __init__(self, peer_by_uri: Callable[[str], _Peer]) -> None:
        self.kept_secrets: dict[str, tuple[Secret, SecretValue | None]] = {}
        self._secrets_peer = peer_by_uri

    def secret(self, name: str) -> Secret | None:
        self._require_up()
        for uuid, (secret, _) in self.kept_secrets.items():
            if name in (uuid, secret.usage):
                return secret
        for uuid, usage in self.secrets.items():
            if name in (uuid, usage):
                return Secret(uuid=uuid, usage=usage, is_private=True)
        return None

    def secret_at(self, uri: str, name: str) -> Secret | None:
        return self._secrets_peer_at(uri).secret(name)

    def secret_value_at(self, uri: str, name: str) -> SecretValue | None:
        return self._secrets_peer_at(uri).value_of(name)

    def define_secret(self, secret: Secret, value: SecretValue) -> None:
        self._require_up()
        self.kept_secrets[secret.uuid] = (secret, value)
        self.secrets[secret.uuid] = secret.usage

    def remove_secret(self, uuid: str) -> None:
        self._require_up()
        self.kept_secrets.pop(uuid, None)
        self.secrets.pop(uuid, None)

    def value_of(self, name: str) -> SecretValue | None:
        found = self.secret(name)
        if found is None or found.is_private:
            return None
        return self.kept_secrets[found.uuid][1]

    def _secrets_peer_at(self, uri: str) -> _Peer:
        try:
            return self._secrets_peer(uri)
        except HypervisorOperationError as error:  # nobody there
            raise HypervisorUnreachableError(uri=uri, reason=error.text) from error

    def _require_up(self) -> None:
        raise NotImplementedError
