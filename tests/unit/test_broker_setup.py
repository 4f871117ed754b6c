"""RabbitMQ made ready in a directory of the test's own: what is written, said and kept, and what is refused."""

import json
import stat

import pytest

from common import broker, broker_names, certificates, config
from common.errors import ConfigurationError
from common.rpc import BusRefusedError
from conductor import broker_setup, programs
from conductor.broker_configuration import with_management
from conductor.broker_setup import BrokerSetup, NoRabbitError, PluginsUnreadableError, set_up
from conductor.programs import ProgramFailedError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A controller with RabbitMQ's directory, and a list of the programs that were run."""
    monkeypatch.setattr(broker_setup.os, "geteuid", lambda: 1000)  # files stay whose they are
    (tmp_path / "rabbitmq").mkdir()
    pki = tmp_path / "pki"
    (tmp_path / "limosa.conf").write_text(
        f"# Ours.\n[DEFAULT]\nhost = mq1\n[pki]\nca_certificate = {pki}/ca.pem\nca_key = {pki}/ca.key\n"
    )
    yield tmp_path
    config.CONF.reset()


@pytest.fixture
def ran(monkeypatch):
    calls = []
    monkeypatch.setattr(programs, "run", lambda *argv, given="": calls.append((argv, given)))
    monkeypatch.setattr(broker_setup, "wait_until_let_in", lambda entrance: calls.append((entrance, "")))
    monkeypatch.setattr(broker_setup, "is_listening", lambda _entrance: True)
    return calls


def load(machine):
    return config.load(["--config-file", str(machine / "limosa.conf")], "tool")


def run(machine, **changes):
    wanted = {
        "names": ("mq1",),
        "virtual_host": "limosa",
        "rabbitmq": machine / "rabbitmq",
        "config_file": machine / "limosa.conf",
        "owner": None,
    }
    set_up(load(machine), BrokerSetup(**{**wanted, **changes}))


def everything(machine):
    return {path: path.read_bytes() for path in machine.rglob("*") if path.is_file()}


def imported(ran):
    [given] = [given for argv, given in ran if argv == ("rabbitmqctl", "import_definitions")]
    return json.loads(given)


def test_the_controller_knows_the_way_afterwards_and_the_file_s_own_words_stay(machine, ran):
    run(machine)

    found = broker.configured(load(machine))
    assert (found.hosts[0].name, found.hosts[0].port, found.virtual_host) == ("mq1", 5671, "limosa")
    assert found.hosts[0].user == broker_names.CONDUCTOR_USER
    assert found.tls.ca_file == str(machine / "pki/ca.pem")
    assert (machine / "limosa.conf").read_text().startswith("# Ours.\n[DEFAULT]\n")
    assert stat.S_IMODE((machine / "limosa.conf").stat().st_mode) == 0o640


def test_the_broker_listens_with_a_certificate_for_all_its_names(machine, ran):
    run(machine, names=("mq1", "192.0.2.1"))

    conf = (machine / "rabbitmq/conf.d/90-limosa.conf").read_text()
    assert "listeners.ssl.default = 5671" in conf and "listeners.tcp.local = 127.0.0.1:5672" in conf
    assert "management.tcp.ip = 127.0.0.1" in conf
    names = certificates.read((machine / "pki/broker.pem").read_text()).names
    assert {"mq1", "192.0.2.1", "localhost", "127.0.0.1"} <= set(names)
    assert stat.S_IMODE((machine / "pki/broker.key").stat().st_mode) == 0o600
    assert (machine / "rabbitmq/enabled_plugins").read_text() == "[rabbitmq_management].\n"


def test_rabbitmq_is_told_hashes_and_no_password(machine, ran):
    run(machine)

    users = {user["name"]: user for user in imported(ran)["users"]}
    assert set(users) == {broker_names.CONDUCTOR_USER, broker_names.MANAGEMENT_USER}
    assert users[broker_names.MANAGEMENT_USER]["tags"] == ["administrator"]
    password = broker.configured(load(machine)).hosts[0].password
    assert password not in json.dumps(imported(ran))


def test_run_again_it_changes_nothing(machine, ran):
    run(machine)
    before = everything(machine)
    ran.clear()

    run(machine, is_restarting=True)

    assert everything(machine) == before
    assert ("rabbitmqctl", "import_definitions") in [argv for argv, _ in ran]
    assert broker_setup.RESTART not in [argv for argv, _ in ran], "what has changed nothing restarts nothing"


def test_a_restart_that_an_earlier_run_has_not_come_to_is_made_up_for(machine, ran, monkeypatch):
    run(machine)
    ran.clear()
    monkeypatch.setattr(broker_setup, "is_listening", lambda _entrance: False)

    run(machine, is_restarting=True)

    assert ran[0] == (broker_setup.RESTART, "")


def test_a_restart_is_said_and_only_done_when_asked_for(machine, ran, capsys):
    run(machine)
    assert "RabbitMQ must be restarted" in capsys.readouterr().out
    assert broker_setup.RESTART not in [argv for argv, _ in ran]
    (machine / "rabbitmq/conf.d/90-limosa.conf").unlink()

    run(machine, is_restarting=True)

    assert broker_setup.RESTART in [argv for argv, _ in ran]


def test_at_the_end_it_has_entered_as_the_conductors_do(machine, ran):
    run(machine)
    ran.clear()

    run(machine)

    entrance = ran[-1][0]
    known = broker.configured(load(machine))
    assert (entrance.hosts, entrance.virtual_host, entrance.tls) == (
        known.hosts,
        known.virtual_host,
        known.tls,
    )


REFUSED = BusRefusedError(bus="mq1:5671", reason="ACCESS_REFUSED")
AWAY = broker.BrokerUnreachableError(bus="mq1:5671", reason="Connection refused")


class Door:
    """Lets somebody in after so many refusals."""

    def __init__(self, refusals, error=REFUSED):
        self.refusals = refusals
        self.error = error

    def open(self):
        self.refusals -= 1
        if self.refusals >= 0:
            raise self.error
        return self

    def close(self):
        """Nothing."""


@pytest.mark.parametrize(
    ("door", "is_listening"), [(Door(0), True), (Door(1, REFUSED), True), (Door(1, AWAY), False)]
)
def test_rabbitmq_listens_also_to_whom_it_does_not_know_yet(door, is_listening):
    assert broker_setup.is_listening(door) is is_listening


def test_users_that_are_not_imported_yet_are_waited_for(monkeypatch):
    monkeypatch.setattr(broker_setup, "ENTRANCE_PAUSE_S", 0)
    broker_setup.wait_until_let_in(Door(3))

    with pytest.raises(BusRefusedError):
        broker_setup.wait_until_let_in(Door(1_000))


def test_a_further_name_makes_a_new_certificate_of_the_same_ca(machine, ran):
    run(machine)
    before = everything(machine)

    run(machine, names=("mq1", "mq.example.org"))

    changed = {path.name for path, content in everything(machine).items() if before[path] != content}
    assert changed == {"broker.pem", "broker.key"}


def test_offline_rabbitmq_finds_its_users_when_it_starts(machine, ran):
    run(machine, is_offline=True)

    definitions = machine / "rabbitmq/limosa-definitions.json"
    assert stat.S_IMODE(definitions.stat().st_mode) == 0o600
    assert len(json.loads(definitions.read_text())["users"]) == 2
    conf = (machine / "rabbitmq/conf.d/90-limosa.conf").read_text()
    assert f"load_definitions = {definitions}" in conf
    assert ran == []


def test_a_way_by_several_brokers_stays(machine, ran):
    with (machine / "limosa.conf").open("a") as file:
        url = "rabbit://limosa-conductor:a@mq1:5671,limosa-conductor:a@mq2:5671/limosa"
        file.write(f"[DEFAULT]\ntransport_url = {url}\n")

    run(machine)

    assert [host.name for host in broker.configured(load(machine)).hosts] == ["mq1", "mq2"]


def test_without_rabbitmq_nothing_is_written(machine, ran):
    (machine / "rabbitmq").rmdir()
    before = everything(machine)

    with pytest.raises(NoRabbitError, match="no RabbitMQ configured in"):
        run(machine)

    assert everything(machine) == before and ran == []


def test_plugins_that_nobody_can_read_stop_it_before_anything_is_written(machine, ran):
    (machine / "rabbitmq/enabled_plugins").write_text("rabbitmq_management")
    before = everything(machine)

    with pytest.raises(PluginsUnreadableError):
        run(machine)

    assert everything(machine) == before and ran == []


def test_half_a_ca_is_told(machine, ran):
    (machine / "pki").mkdir()
    (machine / "pki/ca.pem").write_text("")

    with pytest.raises(ConfigurationError):
        run(machine)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[rabbitmq_management].\n"),
        ("[].\n", "[rabbitmq_management].\n"),
        ("[rabbitmq_top, rabbitmq_management].", "[rabbitmq_top,rabbitmq_management].\n"),
        ("[rabbitmq_top].", "[rabbitmq_top,rabbitmq_management].\n"),
        ("nonsense", None),
    ],
)
def test_other_plugins_stay(before, after):
    assert with_management(before) == after


def test_a_program_that_fails_is_told_with_what_it_says():
    with pytest.raises(
        ProgramFailedError, match="`sh -c echo no such node >&2; exit 3` failed: no such node"
    ):
        programs.run("sh", "-c", "echo no such node >&2; exit 3")


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(ProgramFailedError, match="No such file"):
        programs.run("/nowhere/rabbitmqctl")
