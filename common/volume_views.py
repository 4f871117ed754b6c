"""Volumes, as clients ask for them and are shown them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeView:
    """How the server of one disk is reached: as its guest's XML or its host says, and as was declared."""

    instance_uuid: str
    instance_name: str
    target: str  # vda
    driver: str  # nbd, iscsi, rbd, fibre_channel, ...
    name: str
    servers: tuple[str, ...]
    secret: str  # uuid or usage of a libvirt secret; never its value
    properties: Mapping[str, str]
    is_host_attached: bool  # a block device of the host; else QEMU is connected itself
    is_declared: bool  # by `limosa volume set`
    is_present: bool  # its guest is there and has such a disk


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRequest:
    """Declare how a disk is attached, in the place of what was declared of it before."""

    instance: str  # name or uuid
    target: str
    driver: str
    name: str
    servers: tuple[str, ...] = ()
    secret: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFilter:
    """Which volumes to list."""

    instance: str | None = None  # name or uuid
