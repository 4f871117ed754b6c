"""What is true in the lab, seen with virsh, files and plain SQL: none of Limosa's code is used here."""

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.lab import Lab

FINAL = ("completed", "failed", "cancelled", "error")
FINAL_TIMEOUT_S = 150.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What a migration may leave behind, by host; everything empty when all is well."""

    claims: tuple[str, ...]
    open_migrations: tuple[str, ...]
    permits: tuple[str, ...]
    definitions: tuple[str, ...]  # of guests under way, in the agents' ledgers
    probes: tuple[str, ...]


NOTHING = Residue(claims=(), open_migrations=(), permits=(), definitions=(), probes=())


def database(lab: Lab) -> Path:
    return lab.paths.host("controller") / "var/lib/limosa/limosa.sqlite"


def query(lab: Lab, sql: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{database(lab)}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def running_copies(lab: Lab, name: str) -> list[str]:
    """The hosts on which the guest runs or is paused, as libvirt has it."""
    return [place.host for place in lab.guest_places() if place.name == name and place.state != "shut off"]


def defined_on(lab: Lab, name: str) -> list[str]:
    return [place.host for place in lab.guest_places() if place.name == name]


def database_host(lab: Lab, name: str) -> str:
    [(host,)] = query(lab, "SELECT host FROM instances WHERE name = ? AND is_present", name)
    return str(host)


def task_state(lab: Lab, name: str) -> str | None:
    [(state,)] = query(lab, "SELECT task_state FROM instances WHERE name = ? AND is_present", name)
    return state if state is None else str(state)


def is_found(lab: Lab, name: str) -> bool:
    return query(lab, "SELECT 1 FROM instances WHERE name = ? AND is_present", name) != []


def wait_until_found(lab: Lab, name: str) -> None:
    wait_until(lambda: is_found(lab, name), what=f"{name} is found", timeout_s=20)


def status(lab: Lab, migration: str) -> str:
    [(word,)] = query(lab, "SELECT status FROM migrations WHERE id = ?", migration)
    return str(word)


def phase(lab: Lab, migration: str) -> str:
    [(word,)] = query(lab, "SELECT phase FROM migrations WHERE id = ?", migration)
    return str(word)


def residue(lab: Lab) -> Residue:
    """What is left of all migrations so far; the ledger's one line for each guest is meant to stay."""
    return Residue(
        claims=tuple(str(row) for row in query(lab, "SELECT host, instance FROM claims")),
        open_migrations=tuple(
            row[0] for row in query(lab, "SELECT id FROM migrations WHERE phase != 'done'")
        ),
        permits=_files(lab, "permits/*"),
        definitions=_files(lab, "ledger/*.definition*"),
        probes=tuple(str(path) for path in lab.paths.shared.rglob(".limosa-probe-*")),
    )


def _files(lab: Lab, pattern: str) -> tuple[str, ...]:
    found: list[str] = []
    for host in lab.compute_hosts:
        state = lab.paths.host(host) / "var/lib/limosa"
        found += [f"{host}:{path.name}" for path in state.glob(pattern)]
    return tuple(sorted(found))


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = FINAL_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {timeout_s:.0f} s"
        time.sleep(POLL_S)


def wait_until_final(lab: Lab, migration: str) -> str:
    """Wait until the migration has ended, and return its status."""
    wait_until(lambda: phase(lab, migration) == "done", what=f"migration {migration} ends")
    return status(lab, migration)


def start_migration(lab: Lab, name: str, dest: str) -> str:
    """Ask for a migration without waiting for it, and return its id."""
    done = lab.limosa("live-migration", name, dest, "--no-wait", "-f", "json")
    return str(json.loads(done.stdout)["id"])


def migrate(lab: Lab, name: str, dest: str) -> dict[str, Any]:
    """Migrate, wait, and return what the client prints."""
    done = lab.limosa("live-migration", name, dest, "-f", "json")
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def assert_one_guest(lab: Lab, name: str, *, host: str, boot_id: str, is_defined_once: bool = True) -> None:
    """One running copy, on that host, the same boot; the database says so; nothing else is left."""
    assert running_copies(lab, name) == [host]
    if is_defined_once:
        assert defined_on(lab, name) == [host]
    assert lab.probe(name).boot_id == boot_id
    wait_until(lambda: database_host(lab, name) == host, what="the database follows", timeout_s=15)
    assert task_state(lab, name) is None
    wait_until(lambda: residue(lab) == NOTHING, what=f"nothing is left: {residue(lab)}", timeout_s=15)
