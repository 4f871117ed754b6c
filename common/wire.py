"""The codec between our frozen dataclasses and what JSON can say: for messages, the journal and the ledger.

The types decide, never the data: `from_primitive(Command, data)` builds a Command or raises WireError with the path
to what is wrong. Known are dataclasses, StrEnum, tuple[X, ...], tuple[X, Y], Mapping[str, X], str, int, float, bool
and unions of them. In a union of several dataclasses or enums each value carries the name of its class:

    {"$type": "RollbackArguments", "name": "web1", ...}     {"$type": "DestSeen", "$value": "absent"}

An added field must have a default, so that older data and older peers are understood. Data of a newer peer is read
with `ignore_unknown=True`: its added fields are dropped. Codecs are compiled once for each type.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast

from common.errors import LimosaError

TYPE_KEY = "$type"
VALUE_KEY = "$value"

T = TypeVar("T")

Encoder = Callable[[Any], Any]
Decoder = Callable[[Any, str, bool], Any]  # (data, path for messages, ignore_unknown)


class WireError(LimosaError):
    """Data that does not fit its type: a peer of another version, or not one of ours."""

    message = "Malformed message: {path}: {reason}"
    hint = "Run the same version of Limosa on all hosts."


def to_primitive(value: object, kind: object = None) -> Any:
    """What JSON can say of the value; `kind` is its declared type, where that is a union."""
    return _encoder(type(value) if kind is None else kind)(value)


def from_primitive(kind: type[T], data: object, *, ignore_unknown: bool = False) -> T:
    """The value that `to_primitive` was given; raises WireError. `kind` may be a union or tuple[...] too."""
    name = getattr(kind, "__name__", str(kind))
    value: T = _decoder(cast(Hashable, kind))(data, name, ignore_unknown)
    return value


# ---- encoding


@cache
def _encoder(kind: Any) -> Encoder:
    if kind in (str, bool, int, types.NoneType):
        return _identity
    if kind is float:
        return _encode_float
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return str
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_encoder(kind)
    if kind in (tuple, list, dict):  # a bare container: each item by its own type
        return _encode_items if kind is not dict else _encode_mapping
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_encoder(kind)
    if origin is tuple:
        return _tuple_encoder(typing.get_args(kind))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        encode = _encoder(typing.get_args(kind)[1])
        return lambda value: {key: encode(item) for key, item in value.items()}
    raise TypeError(f"{kind} cannot travel: see common.wire")


def _identity(value: Any) -> Any:
    return value


def _encode_float(value: float) -> float:
    if not math.isfinite(value):
        raise WireError(path="float", reason=f"{value} is not a finite number")
    return value


def _encode_items(value: Any) -> list[Any]:
    return [to_primitive(item) for item in value]


def _encode_mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: to_primitive(item) for key, item in value.items()}


def _dataclass_encoder(kind: type) -> Encoder:
    hints = typing.get_type_hints(kind)
    # Resolved at the first use, not here: a dataclass may contain itself.
    names = tuple(field.name for field in dataclasses.fields(kind))

    def encode(value: Any) -> dict[str, Any]:
        return {name: _encoder(hints[name])(getattr(value, name)) for name in names}

    return encode


def _tuple_encoder(items: tuple[Any, ...]) -> Encoder:
    if len(items) == 2 and items[1] is Ellipsis:
        encode = _encoder(items[0])
        return lambda value: [encode(item) for item in value]
    encoders = tuple(_encoder(item) for item in items)
    return lambda value: [encode(item) for encode, item in zip(encoders, value, strict=True)]


def _union_encoder(kind: Any) -> Encoder:
    members = typing.get_args(kind)
    tagged = _tagged_members(kind)
    plain = [member for member in members if member not in tagged.values()]

    def encode(value: Any) -> Any:
        if type(value) in tagged.values():
            encoded = to_primitive(value)
            if isinstance(encoded, dict):
                return {TYPE_KEY: type(value).__name__, **encoded}
            return {TYPE_KEY: type(value).__name__, VALUE_KEY: encoded}
        return _encoder(_plain_member_of(plain, value))(value)

    return encode


def _plain_member_of(plain: list[Any], value: Any) -> Any:
    """The member of the union that an untagged value belongs to: by its class, or by the container's class."""
    for member in plain:
        if type(value) is (typing.get_origin(member) or member):
            return member
    for member in plain:  # an int where float is declared, a dict where Mapping is
        if (member is float and type(value) is int) or (
            isinstance(value, Mapping) and issubclass(typing.get_origin(member) or member, Mapping)
        ):
            return member
    raise WireError(path=type(value).__name__, reason=f"is none of {', '.join(map(str, plain))}")


def _tagged_members(kind: Any) -> dict[str, type]:
    """The members of a union that need their class's name beside them; none where only one could be meant."""
    classes = [
        member
        for member in typing.get_args(kind)
        if isinstance(member, type) and (dataclasses.is_dataclass(member) or issubclass(member, StrEnum))
    ]
    return {member.__name__: member for member in classes} if len(classes) > 1 else {}


# ---- decoding


@cache
def _decoder(kind: Any) -> Decoder:
    if kind in (str, bool, int):
        return _scalar_decoder(kind)
    if kind is float:
        return _decode_float
    if kind is types.NoneType:
        return _decode_none
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _enum_decoder(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_decoder(kind)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(kind)
    if origin is tuple:
        return _tuple_decoder(typing.get_args(kind))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_decoder(typing.get_args(kind)[1])
    raise TypeError(f"{kind} cannot travel: see common.wire")


def _expected(path: str, what: str, data: object) -> WireError:
    return WireError(path=path, reason=f"expected {what}, got {type(data).__name__}")


def _scalar_decoder(kind: type) -> Decoder:
    def decode(data: Any, path: str, _ignore_unknown: bool) -> Any:
        if type(data) is not kind:  # `is`: True is no int on the wire
            raise _expected(path, kind.__name__, data)
        return data

    return decode


def _decode_float(data: Any, path: str, _ignore_unknown: bool) -> float:
    try:
        if type(data) in (int, float) and math.isfinite(data):
            return float(data)
    except OverflowError:  # an int beyond all floats
        pass
    raise _expected(path, "a finite number", data)


def _decode_none(data: Any, path: str, _ignore_unknown: bool) -> None:
    if data is not None:
        raise _expected(path, "null", data)


def _enum_decoder(kind: type[StrEnum]) -> Decoder:
    members = {str(member): member for member in kind}

    def decode(data: Any, path: str, _ignore_unknown: bool) -> StrEnum:
        member = members.get(data) if isinstance(data, str) else None
        if member is None:
            raise WireError(path=path, reason=f"{data!r:.80} is no {kind.__name__}")
        return member

    return decode


def _dataclass_decoder(kind: type) -> Decoder:
    hints = typing.get_type_hints(kind)
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    def decode(data: Any, path: str, ignore_unknown: bool) -> Any:
        if not isinstance(data, Mapping):
            raise _expected(path, kind.__name__, data)
        values = {}
        for name, item in data.items():
            if name in hints:
                values[name] = _decoder(hints[name])(item, f"{path}.{name}", ignore_unknown)
            elif name != TYPE_KEY and not ignore_unknown:
                raise WireError(path=path, reason=f"unknown field {name!r:.80}")
        if missing := required - values.keys():
            raise WireError(path=path, reason=f"missing {', '.join(sorted(missing))}")
        return kind(**values)

    return decode


def _tuple_decoder(items: tuple[Any, ...]) -> Decoder:
    is_open = len(items) == 2 and items[1] is Ellipsis
    decoders = tuple(_decoder(item) for item in items if item is not Ellipsis)

    def decode(data: Any, path: str, ignore_unknown: bool) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            raise _expected(path, "a list", data)
        if not is_open and len(data) != len(decoders):
            raise WireError(path=path, reason=f"expected {len(decoders)} items, got {len(data)}")
        return tuple(
            decoders[0 if is_open else index](item, f"{path}[{index}]", ignore_unknown)
            for index, item in enumerate(data)
        )

    return decode


def _mapping_decoder(kind: Any) -> Decoder:
    decode_item = _decoder(kind)

    def decode(data: Any, path: str, ignore_unknown: bool) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise _expected(path, "an object", data)
        if not all(isinstance(key, str) for key in data):
            raise WireError(path=path, reason="keys must be text")
        return {key: decode_item(item, f"{path}.{key}", ignore_unknown) for key, item in data.items()}

    return decode


def _union_decoder(kind: Any) -> Decoder:
    tagged = _tagged_members(kind)
    is_optional = types.NoneType in typing.get_args(kind)
    members = [m for m in typing.get_args(kind) if m not in tagged.values() and m is not types.NoneType]

    def decode(data: Any, path: str, ignore_unknown: bool) -> Any:
        if data is None and is_optional:
            return None
        if isinstance(data, Mapping) and TYPE_KEY in data and tagged:
            return _decode_tagged(tagged, data, path, ignore_unknown)
        if len(members) == 1:  # X | None: the message about X says more than one about the union
            return _decoder(members[0])(data, path, ignore_unknown)
        for member in members:
            with suppress(WireError):
                return _decoder(member)(data, path, ignore_unknown)
        raise _expected(
            path, " or ".join(getattr(m, "__name__", str(m)) for m in typing.get_args(kind)), data
        )

    return decode


def _decode_tagged(tagged: dict[str, type], data: Mapping[str, Any], path: str, ignore_unknown: bool) -> Any:
    kind = tagged.get(str(data[TYPE_KEY]))
    if kind is None:
        raise WireError(path=path, reason=f"unknown {TYPE_KEY} {data[TYPE_KEY]!r:.80}")
    return _decoder(kind)(data.get(VALUE_KEY) if issubclass(kind, StrEnum) else data, path, ignore_unknown)
