"""A disk on a server, and how a host is connected to it: found in a guest's XML, read from a host, or declared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

UNIX_PREFIX = "unix:"  # of a server that is a socket of the host itself


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeConnection:
    """A disk on a server, and how a host is connected to it. Never a password."""

    target: str
    driver: str  # nbd, iscsi, rbd, ...: libvirt's protocol; or os-brick's word where the host attaches it
    name: str  # export, IQN/LUN, pool/image
    servers: tuple[str, ...] = ()  # host:port
    is_host_attached: bool = False  # a block device of the host; else QEMU is connected itself
    initiator: str = ""  # IQN that QEMU uses on the source
    secret: str = ""  # uuid or usage of the libvirt secret
    properties: Mapping[str, str] = field(default_factory=dict)  # what the driver needs besides

    @property
    def export(self) -> str:
        """What its server grants access to: of iSCSI the target, whatever the LUN."""
        return self.name.partition("/")[0] if self.driver == "iscsi" else self.name


def joined(
    found: Iterable[VolumeConnection], declared: Iterable[VolumeConnection]
) -> tuple[VolumeConnection, ...]:
    """What both know: of a disk that QEMU connects itself, its XML has the last word, and the rest is what was declared."""
    by_target = {volume.target: volume for volume in declared}
    volumes = []
    for volume in found:
        said = by_target.pop(volume.target, None)
        if said is None:
            volumes.append(volume)
        elif volume.is_host_attached:
            volumes.append(said)
        else:
            volumes.append(replace(volume, properties={**said.properties, **volume.properties}))
    return (*volumes, *by_target.values())
