"""Which guests the lab has made: names, numbers in the data network, and disks."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.network import FIRST_GUEST_NUMBER, LAST_GUEST_NUMBER, guest_address
from lab.paths import LabPaths


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRecord:
    name: str
    number: int

    @property
    def address(self) -> str:
        return guest_address(self.number)


def add(name: str, *, paths: LabPaths) -> GuestRecord:
    """Record a new guest under the lowest free number."""
    with _locked(paths) as numbers:
        if name in numbers:
            raise LabError(
                f"there is a guest {name} already", hint=f"lab/ctl guest delete {name}, or another name"
            )
        free = set(range(FIRST_GUEST_NUMBER, LAST_GUEST_NUMBER + 1)) - set(numbers.values())
        if not free:
            raise LabError(f"there are {len(numbers)} guests already: no address is left")
        numbers[name] = min(free)
        return GuestRecord(name=name, number=numbers[name])


def remove(name: str, *, paths: LabPaths) -> None:
    with _locked(paths) as numbers:
        numbers.pop(name, None)


def get(name: str, *, paths: LabPaths) -> GuestRecord:
    for record in everything(paths=paths):
        if record.name == name:
            return record
    raise LabError(f"the lab has made no guest {name}", hint="see lab/ctl guest list")


def everything(*, paths: LabPaths) -> list[GuestRecord]:
    with _locked(paths) as numbers:
        return [GuestRecord(name=name, number=number) for name, number in sorted(numbers.items())]


@contextmanager
def _locked(paths: LabPaths) -> Iterator[dict[str, int]]:
    """Give the recorded numbers by name, and write them back when the block ends well."""
    paths.guests.parent.mkdir(parents=True, exist_ok=True)
    with Path(paths.guests).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = file.read()
        numbers: dict[str, int] = json.loads(before or "{}")
        yield numbers
        after = json.dumps(numbers)
        if after != before:
            file.seek(0)
            file.truncate()
            file.write(after)
