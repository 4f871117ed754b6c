"""Nobody in who does not belong, with the real client, broker and conductor: a sentence, an exit code, nothing changed."""

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import broker
from lab.faults import Victim
from lab.lab import Lab
from tests.lab import observer

NAME = "guarded"
USAGE, NOT_PERMITTED = 2, 9
CONFIG = Path("/etc/limosa/limosa.conf")


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1")
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody at the controller with a configuration of his own."""

    lab: Lab
    name: str
    key: Path

    def limosa(self, *words: str) -> subprocess.CompletedProcess[str]:
        configured = [f"OS_IDENTITY__ADMINISTRATOR={self.name}", f"OS_IDENTITY__ADMINISTRATOR_KEY={self.key}"]
        done = self.lab.exec("controller", ["env", *configured, *self.lab.limosa_argv(), *words], check=False)
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def make_person(lab: Lab, request: pytest.FixtureRequest):
    made = []

    def make_person(role: str) -> Person:
        name = f"{request.node.name.removeprefix('test_')[:40]}-{role}".replace("_", "-")
        key = Path(f"/etc/limosa/{name}.key")
        lab.limosa("admin", "create", name, "--role", role, "--key-file", str(key))
        made.append(name)
        return Person(lab=lab, name=name, key=key)

    yield make_person
    for name in made:
        lab.limosa("admin", "revoke", name)
        lab.exec("controller", ["rm", "-f", f"/etc/limosa/{name}.key"])


def assert_refused(
    done: subprocess.CompletedProcess[str], sentence: str, *, code: int = NOT_PERMITTED
) -> None:
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr


def migrations(lab: Lab) -> int:
    [(count,)] = observer.query(lab, "SELECT count(*) FROM migrations")
    return int(count)


def audit(lab: Lab, *words: str) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = json.loads(lab.limosa("audit", "list", "-f", "json", *words).stdout)
    return lines


def test_a_reader_looks_and_moves_nothing(lab: Lab, boot_id: str, make_person) -> None:
    reader, before = make_person("reader"), migrations(lab)
    assert NAME in reader.limosa("list").stdout

    assert_refused(reader.limosa("live-migration", NAME, "compute2"), "may not migrate an instance")

    assert migrations(lab) == before
    assert audit(lab, "--signer", reader.name)[0]["result"] == "not-permitted"
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)


def test_an_operator_registers_nobody(lab: Lab, make_person) -> None:
    operator = make_person("operator")
    key = Path("/etc/limosa/eve.key")
    refused = operator.limosa("admin", "create", "eve", "--role", "admin", "--key-file", str(key))
    assert_refused(refused, "may not create an administrator")
    assert lab.exec("controller", ["test", "-e", str(key)], check=False).returncode != 0
    assert "eve" not in lab.limosa("admin", "list").stdout


def test_a_revoked_key(lab: Lab, make_person) -> None:
    operator = make_person("operator")
    lab.limosa("admin", "revoke", operator.name)
    assert_refused(operator.limosa("list"), f"The key of administrator:{operator.name} was revoked")


def test_an_expired_key(lab: Lab, make_person) -> None:
    operator = make_person("operator")
    with sqlite3.connect(observer.database(lab), timeout=10) as connection:
        connection.execute("UPDATE administrators SET expires_at_ms = 1 WHERE name = ?", (operator.name,))
    connection.close()
    assert_refused(operator.limosa("list"), f"The key of administrator:{operator.name} has expired")


def test_a_wrong_key(lab: Lab, make_person) -> None:
    operator, other = make_person("operator"), make_person("reader")
    forger = Person(lab=lab, name=operator.name, key=other.key)
    refused = forger.limosa("live-migration", NAME, "compute2")
    assert_refused(
        refused, f"A message in the name of administrator:{operator.name} does not bear its signature"
    )
    assert audit(lab, "--result", "rejected")[0]["signer"] == f"administrator:{operator.name}"


def test_somebody_whom_nobody_registered(lab: Lab, make_person) -> None:
    stranger = Person(lab=lab, name="nobody-knows-me", key=make_person("reader").key)
    assert_refused(stranger.limosa("list"), "Nobody of the name administrator:nobody-knows-me is registered")


@pytest.mark.parametrize("path", ["/etc/limosa/none.key", "/etc/hostname"])
def test_a_file_that_is_no_private_key(lab: Lab, path: str) -> None:
    done = Person(lab=lab, name="admin", key=Path(path)).limosa("list")
    assert_refused(done, path, code=USAGE)


def test_a_host_that_is_removed_is_not_heard_and_takes_no_guest(lab: Lab, boot_id: str) -> None:
    conductor = [str(lab.limosa_argv()[0]) + "-conductor"]
    files = ["--config-file", str(CONFIG)]
    rejected = ("--result", "rejected", "--signer", "compute2")
    before = audit(lab, *rejected)[:1]
    lab.exec("controller", [*conductor, "host", "remove", "compute2", *files])
    try:
        observer.wait_until(
            lambda: state_of(lab, "compute2") == "down", what="compute2 is not heard any more"
        )
        assert_refused(
            lab.limosa("live-migration", NAME, "compute2", check=False), "compute2 is down", code=4
        )
        broker.restore_users(lab.controller, paths=lab.paths)  # removing it has removed its user
        observer.wait_until(
            lambda: audit(lab, *rejected)[:1] != before, what="what compute2 says is rejected, and audited"
        )
        assert state_of(lab, "compute2") == "down"
    finally:
        public_key = ["--public-key", "/etc/limosa/compute2.pub"]
        lab.exec("controller", [*conductor, "host", "add", "compute2", *public_key, *files])
        broker.restore_users(lab.controller, paths=lab.paths)
        lab.wait_until_agents_are_up()
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)


def test_bootstrap_refuses_to_run_twice(lab: Lab) -> None:
    lab.stop(Victim.CONDUCTOR)
    try:
        argv = [str(lab.limosa_argv()[0]) + "-conductor", "bootstrap", "--config-file", str(CONFIG)]
        done = lab.exec("controller", argv, check=False)
        assert done.returncode == 1
        assert "has administrators already" in done.stderr
    finally:
        lab.start(Victim.CONDUCTOR)
        lab.wait_until_agents_are_up()


def state_of(lab: Lab, host: str) -> str:
    rows = json.loads(lab.limosa("service", "list", "-f", "json").stdout)
    [state] = [row["state"] for row in rows if row["host"] == host]
    return str(state)
