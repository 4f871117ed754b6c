"""What is done on a controller: bootstrap once, register hosts, and the key that a host makes for itself."""

import errno
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from common import config, credentials
from common.errors import ConfigurationError
from common.identity import PrivateKey, PublicKey
from compute_agent import management as agent_management
from conductor import bootstrap, broker_management, management
from conductor.app import Conductor
from conductor.db.engine import Database
from tests.fakes import identities
from tests.fakes.broker_management import FakeManagement


class Controller:
    """A directory with a configuration, and what the two programs do with it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.database = directory / "conductor" / "conductor.sqlite"
        self.config_file = directory / "limosa.conf"
        self.config_file.write_text(
            f"[DEFAULT]\nstate_path = {directory}\nhost = controller\n"
            f"[identity]\nconductor_key = {directory}/keys/conductor.key\n"
            f"conductor_public_key = {directory}/keys/conductor.pub\nhost_key = {directory}/keys/host.key\n"
        )
        self._capsys = capsys

    def run(self, *words: str, main=management.main) -> tuple[int, str]:
        try:
            code = main([*words, "--config-file", str(self.config_file)])
        except SystemExit as end:
            code = end.code
        written = self._capsys.readouterr()
        assert "Traceback" not in written.err
        return code, written.out + written.err

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.database) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def controller(tmp_path, capsys):
    yield Controller(tmp_path, capsys)
    config.CONF.reset()


@pytest.fixture
def ready(controller):
    code, _ = controller.run("bootstrap", "--administrator-key", str(controller.directory / "admin.key"))
    assert code == 0
    return controller


def host_public_key(controller, name="compute1"):
    path = controller.directory / f"{name}.pub"
    path.write_text(PrivateKey.generate().public.to_pem())
    return str(path)


def test_bootstrap_makes_everything_and_shows_the_administrators_key_once(controller):
    code, text = controller.run("bootstrap", "--administrator", "ann")

    assert code == 0
    begin = text.index("-----BEGIN PRIVATE KEY-----")
    end = text.index("-----END PRIVATE KEY-----") + len("-----END PRIVATE KEY-----\n")
    shown = controller.directory / "shown.key"
    shown.touch(mode=0o600)
    shown.write_text(text[begin:end])
    [(name, role, public_key)] = controller.rows("SELECT name, role, public_key FROM administrators")
    assert (name, role) == ("ann", "admin")
    assert PublicKey.from_pem(public_key).has_signed(b"text", PrivateKey.load(shown).sign(b"text"))
    private = controller.directory / "keys/conductor.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    public = PublicKey.load(controller.directory / "keys/conductor.pub")
    assert public.has_signed(b"text", PrivateKey.load(private).sign(b"text"))
    kept = [path for path in controller.directory.rglob("*") if path.is_file() and path != shown]
    assert not any(text[begin:end].encode() in path.read_bytes() for path in kept)


def test_bootstrap_refuses_to_run_twice_and_changes_nothing(ready):
    before = {path: path.read_bytes() for path in (ready.directory / "keys").iterdir()}

    code, text = ready.run("bootstrap", "--administrator", "eve", "--administrator-key", "/nowhere")

    assert code == 1
    assert "has administrators already: admin" in text
    assert {path: path.read_bytes() for path in (ready.directory / "keys").iterdir()} == before
    assert ready.rows("SELECT name FROM administrators") == [("admin",)]


def test_a_bootstrap_that_broke_off_is_run_again_and_keeps_the_key(controller):
    (controller.directory / "keys").mkdir()
    PrivateKey.generate().save(controller.directory / "keys/conductor.key")
    before = (controller.directory / "keys/conductor.key").read_bytes()

    code, text = controller.run("bootstrap")

    assert code == 0
    assert "is kept" in text
    assert (controller.directory / "keys/conductor.key").read_bytes() == before


def test_bootstrap_registers_nobody_whose_key_it_could_not_write(controller):
    code, text = controller.run("bootstrap", "--administrator-key", "/nowhere/admin.key")
    assert code == 2
    assert "/nowhere/admin.key" in text
    assert controller.rows("SELECT name FROM administrators") == []


def test_bootstrap_refuses_a_name_that_is_none(controller):
    code, text = controller.run("bootstrap", "--administrator", "a b")
    assert code == 2
    assert "cannot be the name" in text
    assert not controller.database.exists()


def test_bootstrap_refuses_an_owner_whom_the_machine_does_not_know(controller):
    code, text = controller.run("bootstrap", "--owner", "no-such-user")
    assert code == 2
    assert "There is no user no-such-user." in text
    assert not controller.database.exists()


def test_a_host_is_registered_while_a_conductor_is_at_work(ready):
    database = Database(f"sqlite:///{ready.database}")
    try:
        code, text = ready.run("host", "add", "compute1", "--public-key", host_public_key(ready))
    finally:
        database.close()
    assert (code, "compute1 is registered" in text) == (0, True)
    assert ready.run("host", "list") == (0, "compute1\n")
    assert ready.rows("SELECT method, target FROM audit ORDER BY id") == [
        ("bootstrap", "admin"),
        ("host add", "compute1"),
    ]


def test_the_same_key_twice_is_no_error_and_another_needs_to_be_meant(ready):
    first = host_public_key(ready)
    assert ready.run("host", "add", "compute1", "--public-key", first)[0] == 0
    assert ready.run("host", "add", "compute1", "--public-key", first)[0] == 0
    other = host_public_key(ready)
    before = ready.rows("SELECT public_key FROM host_keys")

    code, text = ready.run("host", "add", "compute1", "--public-key", other)

    assert code == 2
    assert "already, with another key" in text
    assert ready.rows("SELECT public_key FROM host_keys") == before
    assert ready.run("host", "add", "compute1", "--public-key", other, "--replace")[0] == 0
    assert ready.rows("SELECT public_key FROM host_keys") != before


def test_a_host_that_is_removed_is_not_listed(ready):
    ready.run("host", "add", "compute1", "--public-key", host_public_key(ready))
    assert ready.run("host", "remove", "compute1")[0] == 0
    assert ready.run("host", "list") == (0, "")
    assert ready.run("host", "remove", "compute1")[0] == 3


@pytest.mark.parametrize("words", [("host", "list"), ("host", "remove", "compute1")])
def test_without_a_database_nothing_is_made_of_a_mistyped_path(controller, words):
    code, text = controller.run(*words)
    assert code == 2
    assert "`limosa-conductor bootstrap` makes it" in text
    assert not controller.database.exists()


def test_a_file_that_is_no_key_registers_nobody(ready):
    code, text = ready.run("host", "add", "compute1", "--public-key", "/etc/hostname")
    assert code == 2
    assert "The key file /etc/hostname cannot be used" in text
    assert ready.run("host", "list") == (0, "")


def test_when_all_keys_are_lost_the_database_lets_another_administrator_in(ready):
    assert ready.run("administrator", "add", "ann", "--public-key", host_public_key(ready, "ann"))[0] == 0
    assert ready.rows("SELECT name, role FROM administrators ORDER BY name") == [
        ("admin", "admin"),
        ("ann", "admin"),
    ]


def test_a_host_makes_its_key_once_and_prints_its_public_half(controller):
    code, first = controller.run("make-key", main=agent_management.main)
    again = controller.run("make-key", main=agent_management.main)

    assert code == 0
    assert again == (0, first)
    private = PrivateKey.load(controller.directory / "keys/host.key")
    assert PublicKey.from_pem(first).has_signed(b"text", private.sign(b"text"))


@pytest.mark.parametrize("words", [(), ("bootstrap", "--nonsense"), ("host",), ("host", "add", "compute1")])
def test_usage_errors_end_with_2(controller, words):
    assert controller.run(*(words or ("host", "nonsense")))[0] == 2


def test_bootstrap_registers_nobody_whose_key_nobody_could_read(controller, monkeypatch):
    def full(sentence):
        if "PRIVATE KEY" in sentence:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("conductor.bootstrap.say", full)
    assert controller.run("bootstrap")[0] == 1
    assert controller.rows("SELECT name FROM administrators") == []

    monkeypatch.undo()
    assert controller.run("bootstrap")[0] == 0


def test_a_bootstrap_that_broke_off_behind_the_administrators_key_takes_that_key(controller):
    path = controller.directory / "admin.key"
    key = PrivateKey.generate()
    key.save(path)

    assert controller.run("bootstrap", "--administrator-key", str(path))[0] == 0

    assert controller.rows("SELECT public_key FROM administrators") == [(key.public.to_pem(),)]


def test_bootstrap_refuses_a_public_key_of_other_conductors_and_leaves_it(controller):
    (controller.directory / "keys").mkdir()
    public = controller.directory / "keys/conductor.pub"
    public.write_text(PrivateKey.generate().public.to_pem())
    before = public.read_text()

    code, text = controller.run("bootstrap")

    assert code == 2
    assert "belongs to another key" in text
    assert public.read_text() == before
    assert controller.rows("SELECT name FROM administrators") == []


def test_a_conductor_with_another_key_than_everybody_knows_does_not_start(ready):
    conf = config.load(["--config-file", str(ready.config_file)], service="tool")
    assert credentials.of_conductor(conf).principal.name == "controller"

    (ready.directory / "keys/conductor.key").unlink()
    PrivateKey.generate().save(ready.directory / "keys/conductor.key")

    with pytest.raises(ConfigurationError, match="does not belong to"):
        credentials.of_conductor(conf)


def test_the_conductors_own_key_is_no_hosts(ready):
    code, text = ready.run(
        "host", "add", "compute1", "--public-key", str(ready.directory / "keys/conductor.pub")
    )
    assert code == 2
    assert "the conductors' own" in text
    assert ready.run("host", "list") == (0, "")


def test_a_database_that_is_broken_is_told_in_a_sentence(ready):
    with sqlite3.connect(ready.database) as connection:
        connection.execute("DROP TABLE host_keys")
    code, text = ready.run("host", "list")
    assert code == 1
    assert "The database does not work as it should: no such table: host_keys." in text


def test_one_key_is_one_hosts(ready):
    path = host_public_key(ready)
    assert ready.run("host", "add", "compute1", "--public-key", path)[0] == 0
    code, text = ready.run("host", "add", "compute2", "--public-key", path)
    assert code == 2
    assert "compute2 would have the key of compute1" in text
    assert ready.run("host", "list") == (0, "compute1\n")


def test_bootstrap_makes_the_directory_that_the_units_would_make(controller):
    text = controller.config_file.read_text().replace(
        f"state_path = {controller.directory}", f"state_path = {controller.directory}/new/state"
    )
    controller.config_file.write_text(text)
    assert controller.run("bootstrap")[0] == 0
    assert (controller.directory / "new/state/conductor/conductor.sqlite").exists()


@pytest.mark.parametrize(
    ("main", "command"), [(management.main, "bootstrap"), (agent_management.main, "make-key")]
)
def test_help_names_the_commands_and_that_without_one_it_is_the_service(capsys, main, command):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert command in text and "Without a command: run" in text


def test_a_conductor_does_not_start_on_a_database_in_which_nobody_is_registered(controller):
    conf = config.load(["--config-file", str(controller.config_file)], service="tool")
    controller.database.parent.mkdir()
    with pytest.raises(ConfigurationError, match="nobody is registered in it"):
        Conductor(conf, identities.CONDUCTOR)


# ---- a client.conf


@pytest.fixture
def broker(controller, monkeypatch):
    """RabbitMQ's management, of a controller that has been through broker-setup."""
    fake = FakeManagement()
    monkeypatch.setattr(broker_management, "configured", lambda conf: fake)
    with controller.config_file.open("a") as file:
        file.write("[broker]\nmanagement_password = s3cret\n")
    return fake


def test_bootstrap_writes_one_file_for_the_first_administrator(controller, broker):
    path = controller.directory / "home" / "client.conf"

    code, text = controller.run("bootstrap", "--client-conf", str(path))

    assert code == 0, text
    assert str(path) in text
    written = path.read_text()
    assert "PRIVATE KEY" not in text
    assert "administrator = admin" in written
    assert broker.rights.keys() == {"limosa-administrator-admin"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    conf = config.load(["--config-file", str(path)], "tool")
    pem = credentials.of_administrator(conf).key.public.to_pem()
    assert controller.rows("SELECT name, public_key FROM administrators") == [("admin", pem)]


@pytest.mark.parametrize(
    ("module", "name"),
    [(bootstrap, "_register"), (FakeManagement, "create_user")],
    ids=["at the database", "at RabbitMQ"],
)
def test_a_bootstrap_that_breaks_off_leaves_no_client_conf_and_is_repeated(
    controller, broker, monkeypatch, module, name
):
    def break_off(*_arguments, **_options):
        raise KeyboardInterrupt

    path = controller.directory / "client.conf"
    with monkeypatch.context() as patched:
        patched.setattr(module, name, break_off)
        with suppress(KeyboardInterrupt):
            assert controller.run("bootstrap", "--client-conf", str(path))[0] != 0
    assert not path.exists()
    assert controller.run("bootstrap", "--client-conf", str(path))[0] == 0


@pytest.mark.parametrize("reason", ["connection refused"])
def test_bootstrap_registers_nobody_whom_rabbitmq_does_not_know(controller, broker, reason):
    path = controller.directory / "client.conf"
    broker.reason = reason

    code, text = controller.run("bootstrap", "--client-conf", str(path))

    assert code == 1
    assert reason in text
    assert not path.exists()
    assert controller.rows("SELECT name FROM administrators") == []
    broker.reason = ""
    assert controller.run("bootstrap", "--client-conf", str(path))[0] == 0


def test_a_client_conf_needs_a_broker_that_is_ours(controller):
    code, text = controller.run("bootstrap", "--client-conf", str(controller.directory / "client.conf"))
    assert code == 2
    assert "broker-setup" in text
    assert not (controller.directory / "client.conf").exists()


def test_when_every_key_is_lost_one_command_makes_an_administrator(ready, broker):
    path = ready.directory / "ann.conf"
    assert ready.run("administrator", "add", "ann", "--client-conf", str(path))[0] == 0
    assert "limosa-administrator-ann" in path.read_text()

    before = dict(broker.password_hashes)
    code, _ = ready.run("administrator", "add", "ann", "--client-conf", str(ready.directory / "again.conf"))
    assert code == 2
    assert broker.password_hashes == before
    assert not (ready.directory / "again.conf").exists()
