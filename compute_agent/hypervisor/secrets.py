"""What a hypervisor offers for secrets of libvirt. A value is for memory only: never for the wire, a file or a log."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret as a libvirtd has it. `usage` is unique among those of its kind."""

    uuid: str
    kind: str = ""  # ceph, iscsi, volume, tls, vtpm; empty: none is named
    usage: str = ""
    is_private: bool = False  # its value cannot be read, by nobody but libvirt
    is_ephemeral: bool = False
    has_value: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretValue:
    """What a secret opens."""

    data: bytes = field(repr=False)


class Secrets(Protocol):
    """`name` is a uuid or a usage, as domain XML names a secret."""

    def secret(self, name: str) -> Secret | None:
        """The one of this host; None if there is none."""

    def secret_at(self, uri: str, name: str) -> Secret | None:
        """The one of another host, by its libvirtd. Raises HypervisorUnreachableError."""

    def secret_value_at(self, uri: str, name: str) -> SecretValue | None:
        """Its value, where that can be read. Who asks sees to it that the way there is encrypted."""

    def define_secret(self, secret: Secret, value: SecretValue) -> None:
        """Make it, or give it this value."""

    def remove_secret(self, uuid: str) -> None:
        """Nothing happens if there is none."""
