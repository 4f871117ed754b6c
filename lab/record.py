"""What is remembered of a running lab, and how its processes are found when nothing was remembered."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.namespaces import Namespaces
from lab.paths import SOURCES, LabPaths
from lab.processes import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A lab that stands."""

    broker_password: str
    hosts: dict[str, Namespaces]


def write(record: Record, *, paths: LabPaths) -> None:
    hosts = {
        name: {"pid": host.init.pid, "start_time_ticks": host.init.start_time_ticks}
        for name, host in record.hosts.items()
    }
    paths.record.touch(mode=0o600)
    paths.record.write_text(json.dumps({"broker_password": record.broker_password, "hosts": hosts}, indent=1))


def read(*, paths: LabPaths) -> Record:
    """Return the lab that stands; raises LabError when none does, or when a host of it has died."""
    try:
        content = json.loads(paths.record.read_text())
    except FileNotFoundError as e:
        raise LabError("no lab is up", hint="lab/ctl up") from e
    hosts = {name: Namespaces(name=name, init=Process(**init)) for name, init in content["hosts"].items()}
    dead = sorted(name for name, host in hosts.items() if not host.init.is_alive())
    if dead:
        raise LabError(
            f"the lab is gone: {', '.join(dead)} ended with its owner or was killed", hint="lab/ctl up"
        )
    return Record(broker_password=content["broker_password"], hosts=hosts)


def running_hosts(*, paths: LabPaths) -> list[Namespaces]:
    """Return every host of this lab that lives, also of a lab half made: pid 1 of each is known by its arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, LabError):
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            process = Process.of(int(entry.name))
            name = _host_held_by(arguments, paths=paths)
            if name and process.is_alive():
                found.append(Namespaces(name=name, init=process))
    return found


@contextlib.contextmanager
def locked(*, paths: LabPaths) -> Iterator[None]:
    """Hold the lab's lock: one `up` or `down` at a time."""
    paths.top.mkdir(parents=True, exist_ok=True)
    with paths.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise LabError("another lab/ctl up or down is at work", hint="wait for it, then try again") from e
        yield


def _host_held_by(arguments: list[str], *, paths: LabPaths) -> str:
    if str(SOURCES / "init.py") not in arguments:
        return ""
    for argument in arguments:
        spec = Path(argument)
        if spec.name == "init.json" and spec.parent.parent == paths.hosts:
            return spec.parent.name
    return ""
