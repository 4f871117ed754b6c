"""Views as rows: for people a selection of readable columns, for programs every key, always under the same name.

The keys of `-f json` are the fields of `common.views` and `schema_version`. A heading is its key in readable
spelling, so that cliff's `-c` and `--sort-column`, which ignore case and take spaces for underscores, know both.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from client import progress, sentences
from common.errors import InvalidRequestError
from common.views import SCHEMA_VERSION
from common.wire import to_primitive

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TABLE: Final = "table"
_STRUCTURED: Final = ("json", "yaml")  # formats that can carry lists and objects
_VERSION_KEY: Final = "schema_version"
_SPELLINGS: Final[Mapping[str, str]] = {
    "uuid": "UUID",
    "id": "ID",
    "mac": "MAC",
    "mtu": "MTU",
    "cpu": "CPU",
    "vcpus": "VCPUs",
    "mib": "MiB",
    "gib": "GiB",
}
_NOTHING: Final[tuple[object, ...]] = (None, "", (), {})
_TIMES: Final = (
    "at", "created_at", "updated_at", "finished_at", "expires_at", "revoked_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which keys of a kind of view are shown, and how."""

    keys: tuple[str, ...]
    formatter: str
    headings: Mapping[str, str] = field(default_factory=dict)  # of a table, where not made of the key

    @classmethod
    def choose(
        cls,
        kind: "type[DataclassInstance]",
        *,
        table_keys: tuple[str, ...],
        formatter: str,
        requested: Sequence[str],
    ) -> "Layout":
        """Take every key, but only `table_keys` for a table for which no columns are requested.

        Raises InvalidRequestError for a requested column that does not exist.
        """
        every = (_VERSION_KEY, *(each.name for each in fields(kind)))
        for name in requested:
            if _normalised(name) not in every:
                raise InvalidRequestError(reason=f"There is no column {name}; there are: {', '.join(every)}.")
        return cls(keys=table_keys if formatter == TABLE and not requested else every, formatter=formatter)

    def without_nothing(self, *views: "DataclassInstance", among: tuple[str, ...] | None = None) -> "Layout":
        """Leave out what is empty in all views, for a person; of all keys unless given `among` which."""
        keys = tuple(
            key
            for key in self.keys
            if (among is not None and key not in among)
            or any(_value(view, key) not in _NOTHING for view in views)
        )
        return replace(self, keys=keys)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names as cliff is to show them."""
        if self.formatter != TABLE:
            return self.keys
        return tuple(self.headings.get(key, heading(key)) for key in self.keys)

    def row(self, view: "DataclassInstance") -> tuple[object, ...]:
        """The values under `names`."""
        if self.formatter == TABLE:
            return tuple(readable(key, _value(view, key)) for key in self.keys)
        data = {_VERSION_KEY: SCHEMA_VERSION, **to_primitive(view)}
        if self.formatter in _STRUCTURED:
            return tuple(data[key] for key in self.keys)
        return tuple(_flat(data[key]) for key in self.keys)


def heading(key: str) -> str:
    """The heading over a key: `memory_mib` gives `Memory MiB`."""
    first, *rest = key.split("_")
    return " ".join(
        [_SPELLINGS.get(first, first.capitalize()), *(_SPELLINGS.get(word, word) for word in rest)]
    )


def readable(key: str, value: object) -> object:
    """A value as a person reads it in a table; numbers stay numbers, so that they are aligned and sorted as such."""
    if value in _NOTHING:
        return "-"
    if key in _TEXTS:
        return _TEXTS[key](value)
    if key in _TIMES:
        return (
            str(value).partition(".")[0].replace("T", " ")
        )  # UTC, as all of them; programs get the whole of it
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return round(value, 2)
    return value if isinstance(value, int) else str(value)


def _value(view: "DataclassInstance", key: str) -> Any:
    return SCHEMA_VERSION if key == _VERSION_KEY else getattr(view, key)


def _flat(primitive: object) -> object:
    """One line for formats that have no lists and objects: those are JSON there."""
    return json.dumps(primitive) if isinstance(primitive, dict | list) else primitive


def _normalised(column: str) -> str:
    return column.lower().strip().replace(" ", "_")


_TEXTS: Final[Mapping[str, Callable[..., str]]] = {
    "conflict": ", ".join,
    "guests": ", ".join,
    "attached": ", ".join,
    "peers": ", ".join,
    "hosts": ", ".join,
    "features": ", ".join,
    "problems": "\n".join,
    "findings": lambda found: "\n".join(map(sentences.of_finding, found)),
    "progress": lambda newest: progress.numbers(newest.statistics, eta_s=newest.eta_s),
    "addresses": "\n".join,
    "servers": "\n".join,
    "properties": lambda values: "\n".join(f"{key}={value}" for key, value in sorted(values.items())),
    "groups": "\n".join,
    "rules": lambda rules: "\n".join(map(sentences.of_rule, rules)),
    "ports": lambda ports: "\n".join(map(sentences.of_port, ports)),
    "steps": lambda steps: "\n".join(map(sentences.of_step, steps)),
}
"""Keys whose values are more than a word or a number."""
