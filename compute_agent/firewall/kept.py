"""The rules that this host was told of its guests, on disk: an agent that starts has them before any conductor answers.

    STATE_PATH/firewall/INSTANCE.json

Which interfaces a guest is met by stands there too, as they were seen last, or as they are to be for one that is to come.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common import new_files, wire
from common.facts import InterfaceFacts
from common.transfer import Filtering
from compute_agent import durable
from compute_agent.firewall.guests import FilteredGuest, filtered

DIRECTORY = "firewall"
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known here of one guest's filtering. Without ports: it was told that there are none (any more)."""

    instance: str  # uuid
    filtering: Filtering
    interfaces: tuple[InterfaceFacts, ...] = ()
    is_arriving: bool = False  # it is not here yet, and its taps are named as the dest names them

    @property
    def guest(self) -> FilteredGuest:
        return filtered(self.instance, self.filtering, self.interfaces, is_arriving=self.is_arriving)


class KeptFilterings:
    """All of them. One writer; every change is on the disk when it returns."""

    def __init__(self, state_path: Path) -> None:
        self._directory = state_path / DIRECTORY
        durable.make_directory(self._directory)
        self._kept = {kept.instance: kept for kept in self._read()}

    def get(self, instance: str) -> Kept | None:
        return self._kept.get(instance)

    def all(self) -> tuple[Kept, ...]:
        return tuple(self._kept.values())

    def put(self, kept: Kept) -> None:
        durable.write(self._path(kept.instance), json.dumps(wire.to_primitive(kept)))
        self._kept[kept.instance] = kept

    def remove(self, instance: str) -> None:
        self._path(instance).unlink(missing_ok=True)
        new_files.sync_directory(self._directory)
        self._kept.pop(instance, None)

    def _read(self) -> Iterator[Kept]:
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            yield wire.from_primitive(Kept, json.loads(path.read_text(encoding="utf-8")), ignore_unknown=True)

    def _path(self, instance: str) -> Path:
        return self._directory / f"{instance}{_SUFFIX}"
