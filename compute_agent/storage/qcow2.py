"""The header of a qcow2 image: what another one like it is made from. Pure.

QEMU's docs/interop/qcow2.rst. Read here rather than by `qemu-img info`, which opens the images below as well, and knows
no other format than what a guest may have written into its raw disk.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAGIC = b"QFI\xfb"
HEADER_MAX_BYTES = (
    65536  # QEMU: header, extensions and backing name lie in the first cluster, of 64 KiB by default
)

_FIXED = struct.Struct(">4sIQIIQIIQQIIQ")  # up to the offset of the snapshots, version 2
_VERSION_3 = struct.Struct(
    ">QQQII"
)  # features: incompatible, compatible, autoclear; refcount order, header length
_EXTENSION = struct.Struct(">II")
_BACKING_FORMAT = 0xE2792ACA
_EXTENSIONS_MAX = 64
_VERSION_2_BYTES = 72

_HAS_DATA_FILE = 1 << 2
_HAS_EXTENDED_L2 = 1 << 4
_HAS_LAZY_REFCOUNTS = 1 << 0
_DEFAULT_REFCOUNT_ORDER = 4
_REFCOUNT_ORDER_MAX = 6
_CLUSTER_BITS = range(9, 22)  # 512 bytes to 2 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    virtual_bytes: int
    backing: str = ""  # as it stands there: may be relative to the image's directory
    backing_format: str = ""
    snapshots: int = 0  # internal ones
    is_encrypted: bool = False
    has_data_file: bool = False
    options: Mapping[str, str] = field(default_factory=dict)  # of `qemu-img create -o`


def read(data: bytes) -> Header:
    """Its header, from the image's first HEADER_MAX_BYTES. Raises ValueError with a half-sentence."""
    if len(data) < _FIXED.size or not data.startswith(MAGIC):
        raise ValueError("it is no qcow2 image")
    fields = _FIXED.unpack_from(data)
    _, version, backing_at, backing_length, cluster_bits, virtual_bytes, encryption = fields[:7]
    snapshots = fields[11]
    if version not in (2, 3):
        raise ValueError(f"it is a qcow2 image of version {version}")
    if version == 3 and len(data) < _VERSION_2_BYTES + _VERSION_3.size:
        raise ValueError("its header is cut off")
    incompatible = compatible = 0
    refcount_order, header_length = _DEFAULT_REFCOUNT_ORDER, _VERSION_2_BYTES
    if version == 3:
        incompatible, compatible, _, refcount_order, header_length = _VERSION_3.unpack_from(
            data, _VERSION_2_BYTES
        )
    if cluster_bits not in _CLUSTER_BITS or refcount_order > _REFCOUNT_ORDER_MAX:
        raise ValueError("its header makes no sense")
    backing = data[backing_at : backing_at + backing_length] if backing_at else b""
    return Header(
        virtual_bytes=virtual_bytes,
        backing=backing.decode("utf-8"),
        backing_format=_backing_format(data, header_length),
        snapshots=snapshots,
        is_encrypted=encryption != 0,
        has_data_file=bool(incompatible & _HAS_DATA_FILE),
        options={
            "compat": "1.1" if version == 3 else "0.10",
            "cluster_size": str(1 << cluster_bits),
            "lazy_refcounts": "on" if compatible & _HAS_LAZY_REFCOUNTS else "off",
            "refcount_bits": str(1 << refcount_order),
            **({"extended_l2": "on"} if incompatible & _HAS_EXTENDED_L2 else {}),
        },
    )


def _backing_format(data: bytes, start: int) -> str:
    for kind, content in _extensions(data, start):
        if kind == _BACKING_FORMAT:
            return content.decode("ascii", "replace")
    return ""


def _extensions(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    at = start
    for _ in range(_EXTENSIONS_MAX):
        if at + _EXTENSION.size > len(data):
            return
        kind, length = _EXTENSION.unpack_from(data, at)
        if kind == 0:
            return
        at += _EXTENSION.size
        yield kind, data[at : at + length]
        at += -(-length // 8) * 8  # padded to 8 bytes
