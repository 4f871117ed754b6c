"""RabbitMQ's management without RabbitMQ: what was asked for can be looked at."""

from dataclasses import dataclass, field

from common.broker_rights import Rights
from conductor.broker_management import BrokerManagementError


@dataclass(slots=True)
class FakeManagement:
    """`reason` set: RabbitMQ is away, and says so to whatever is asked."""

    password_hashes: dict[str, str] = field(default_factory=dict)
    rights: dict[str, Rights] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    deleted_queues: list[str] = field(default_factory=list)
    reason: str = ""

    def create_user(self, name: str, *, password_hash: str, rights: Rights) -> None:
        self._refuse_if_away("make a user")
        self.password_hashes[name] = password_hash
        self.rights[name] = rights

    def delete_user(self, name: str) -> None:
        self._refuse_if_away("remove a user")
        self.password_hashes.pop(name, None)
        self.rights.pop(name, None)

    def set_password(self, name: str, *, password_hash: str) -> None:
        self._refuse_if_away("set a password")
        self.password_hashes[name] = password_hash

    def close_connections(self, name: str) -> None:
        self._refuse_if_away("close connections")
        self.closed.append(name)

    def delete_queue(self, name: str) -> None:
        self._refuse_if_away("remove a queue")
        self.deleted_queues.append(name)

    def _refuse_if_away(self, what: str) -> None:
        if self.reason:
            raise BrokerManagementError(url="http://broker.example", what=what, reason=self.reason)
