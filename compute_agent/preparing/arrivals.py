"""What was made on this host for guests that are to come: written before it is made, so that all of it can be undone.

    STATE_PATH/arrivals/MIGRATION.json

An item that is intended may exist, or not, or only half: whoever undoes it looks. What is on the host and in no record is
somebody else's, and left alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from common import concurrency, new_files, wire
from compute_agent import durable

DIRECTORY = "arrivals"
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing, by the preparation that made it. `identity` is what tells it from another one of its name."""

    part: str  # Preparation.name
    kind: str  # file, image, rule, ...: the preparation's word
    name: str
    identity: Mapping[str, str] = field(default_factory=dict)


Items = tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    migration: str
    instance: str
    items: tuple[Item, ...] = ()


class ArrivalRecord:
    """The record of one migration. Safe for several threads; every change is on the disk when it returns."""

    def __init__(self, path: Path, page: _Page) -> None:
        self._path = path
        self._page = page
        self._version = 0  # of the page in memory
        self._saved = 0  # the newest version that is on the disk
        self._lock = concurrency.native_rlock()
        self._saving = concurrency.native_rlock()

    @property
    def instance(self) -> str:
        return self._page.instance

    @property
    def migration(self) -> str:
        return self._page.migration

    def items(self, part: str) -> tuple[Item, ...]:
        """What this preparation has written, oldest first."""
        return tuple(item for item in self._page.items if item.part == part)

    @property
    def all_items(self) -> tuple[Item, ...]:
        """Of every preparation."""
        return self._page.items

    def write(self, item: Item) -> None:
        """Add it, or replace the one of the same part, kind and name."""
        self._change(lambda others: (*others, item), item)

    def forget(self, item: Item) -> None:
        """It is not there any more, or not for this migration."""
        self._change(lambda others: others, item)

    def _change(self, items: Callable[[Items], Items], item: Item) -> None:
        """`items` is told all but the one of this part, kind and name."""
        with self._lock:
            others = tuple(known for known in self._page.items if _key(known) != _key(item))
            changed = replace(self._page, items=items(others))
            if changed != self._page:
                self._page = changed
                self._version += 1
            version = self._version
        concurrency.sleep(0)  # preparations that write at this moment share one fsync
        self._save(version)

    def _save(self, version: int) -> None:
        """Return when this version is on the disk, or a newer one that holds it."""
        with self._saving:
            if self._saved >= version:
                return
            with self._lock:
                page, newest = self._page, self._version
            durable.write(self._path, json.dumps(wire.to_primitive(page)))
            self._saved = newest


class Arrivals:
    """The records of this host."""

    def __init__(self, state_path: Path) -> None:
        self._directory = state_path / DIRECTORY
        durable.make_directory(self._directory)

    def open(self, migration: str, *, instance: str) -> ArrivalRecord:
        """The record of this migration; a new one, which is on the disk only with its first item."""
        page = self._read(self._path(migration)) or _Page(migration=migration, instance=instance)
        return ArrivalRecord(self._path(migration), page)

    def all(self) -> Iterator[ArrivalRecord]:
        """Those that have not been removed, of whatever migration."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            page = self._read(path)
            if page is not None:
                yield ArrivalRecord(path, page)

    def remove(self, migration: str) -> None:
        """All of it is undone, or is the guest's."""
        self._path(migration).unlink(missing_ok=True)
        new_files.sync_directory(self._directory)

    def _path(self, migration: str) -> Path:
        return self._directory / f"{migration}{_SUFFIX}"

    def _read(self, path: Path) -> _Page | None:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return wire.from_primitive(_Page, json.loads(text), ignore_unknown=True)


def _key(item: Item) -> tuple[str, str, str]:
    return item.part, item.kind, item.name
