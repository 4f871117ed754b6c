"""What a person or a machine gets wrong: each in a sentence, with its exit code, and nothing has changed."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from lab import services
from lab.faults import Victim
from lab.lab import Lab
from tests.lab import observer

NAME = "steady"
OTHER_ERROR, USAGE, NOT_FOUND, REFUSED = 1, 2, 3, 4
MALFORMED_UUID = "5a8d6e0c-2c5e-4c0f-9d3b-6c696d6f736"  # one digit short
CONFIG = "/etc/limosa/limosa.conf"
WRONG = "/etc/limosa/wrong.conf"
# Short, so that a host which hangs is given up within the test.
IMPATIENT = {"conductor.check_timeout_s": "4", "conductor.silence_timeout_s": "6"}
USUAL = {"conductor.check_timeout_s": "60", "conductor.silence_timeout_s": "30"}
CLIENT_TIMEOUT_S = 3
BY_HAND_TIMEOUT_S = 30


@pytest.fixture(scope="module")
def boot_id(lab: Lab) -> Iterator[str]:
    first = lab.guest_create(NAME, "compute1")
    observer.wait_until_found(lab, NAME)
    yield first.boot_id
    lab.guest_delete(NAME)


@pytest.fixture(autouse=True)
def nothing_changes(lab: Lab, boot_id: str) -> Iterator[None]:
    """The guest runs on, where it ran; nobody holds a claim on it, and no service has stumbled."""
    before = tracebacks(lab)
    yield
    observer.assert_one_guest(lab, NAME, host="compute1", boot_id=boot_id)
    assert tracebacks(lab) == before


def tracebacks(lab: Lab) -> int:
    logs = [lab.log(host, services.AGENT) for host in lab.compute_hosts]
    logs.append(lab.log("controller", services.CONDUCTOR))
    return sum(log.read_text().count("Traceback") for log in logs)


def migrations(lab: Lab) -> int:
    [(count,)] = observer.query(lab, "SELECT count(*) FROM migrations")
    return int(count)


def assert_told(done: subprocess.CompletedProcess[str], *sentences: str, code: int) -> None:
    told = done.stderr + done.stdout
    assert done.returncode == code, told
    assert "Traceback" not in told
    for sentence in sentences:
        assert sentence in told


# ---- words that name nothing


@pytest.mark.parametrize(
    "word",
    [MALFORMED_UUID, "steady ", "../../etc/passwd", "x'; DROP TABLE instances; --", "%s{0}", "größer", "*"],
)
def test_an_instance_that_does_not_exist(lab: Lab, word: str) -> None:
    before = migrations(lab)

    for command in (["show", word], ["check", word, "compute2"], ["live-migration", word, "compute2"]):
        assert_told(lab.limosa(*command, check=False), f"There is no instance {word}.", code=NOT_FOUND)

    assert migrations(lab) == before


@pytest.mark.parametrize("command", ["show", "log", "watch", "abort", "judge"])
def test_a_migration_that_does_not_exist(lab: Lab, command: str) -> None:
    done = lab.limosa("migration", command, MALFORMED_UUID, check=False)

    assert_told(done, f"There is no migration {MALFORMED_UUID}.", code=NOT_FOUND)


def test_a_host_that_cannot_exist(lab: Lab) -> None:
    before = migrations(lab)

    for host in ("../compute2", "compute2; reboot", "COMPUTE2", "qemu+tcp://compute2/system"):
        for command in ("check", "live-migration"):
            done = lab.limosa(command, NAME, host, check=False)
            assert_told(done, f"There is no host {host}.", "compute1, compute2", code=REFUSED)

    assert migrations(lab) == before


@pytest.mark.parametrize(
    "words",
    [["show", ""], ["live-migration", NAME, "\n"], ["live-migration", NAME, "compute2", "--timeout", "0"]],
)
def test_words_that_cannot_be_meant(lab: Lab, words: list[str]) -> None:
    assert_told(lab.limosa(*words, check=False), "usage:", "error:", code=USAGE)


def test_a_name_longer_than_any(lab: Lab) -> None:
    for command in (["show", "n" * 5000], ["live-migration", NAME, "n" * 5000]):
        assert_told(lab.limosa(*command, check=False), "no name has more than 255 characters", code=USAGE)


# ---- configurations that cannot work


@contextmanager
def wrong_configuration(lab: Lab, host: str, *, old: str, new: str) -> Iterator[list[str]]:
    """A copy of a host's configuration with one mistake, as the words that name it."""
    directory = lab.paths.host(host) / "etc/limosa"
    text = (directory / "limosa.conf").read_text()
    assert text.count(old) == 1
    (directory / "wrong.conf").write_text(text.replace(old, new))
    yield ["--config-file", WRONG]
    (directory / "wrong.conf").unlink()


def by_hand(lab: Lab, host: str, service: str, *words: str) -> subprocess.CompletedProcess[str]:
    return lab.exec(host, [str(services.program(service)), *words], check=False, timeout_s=BY_HAND_TIMEOUT_S)


@pytest.mark.parametrize(
    ("program", "host"),
    [("limosa", "controller"), (services.CONDUCTOR, "controller"), (services.AGENT, "compute1")],
)
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("transport_url", "trasnport_url", "[DEFAULT]trasnport_url: there is no such option"),
        ("log_level = INFO", "log_level = LOUD", "[DEFAULT]log_level:"),
        (
            "state_path = /var/lib/limosa",
            "state_path = here",
            "[DEFAULT]state_path: 'here' is no absolute path",
        ),
        ("[DEFAULT]", "DEFAULT]", WRONG),
    ],
    ids=["misspelt", "wrong-word", "relative-path", "broken-section"],
)
def test_a_configuration_with_a_mistake_stops_each_program(
    lab: Lab, program: str, host: str, old: str, new: str, sentence: str
) -> None:
    words = ["list"] if program == "limosa" else []
    with wrong_configuration(lab, host, old=old, new=new) as config:
        assert_told(by_hand(lab, host, program, *config, *words), sentence, code=USAGE)


def test_a_configuration_that_is_not_there(lab: Lab) -> None:
    done = lab.limosa("--config-file", "/etc/limosa/nowhere.conf", "list", check=False)

    assert_told(done, "/etc/limosa/nowhere.conf cannot be found", code=USAGE)


# ---- a message bus that is not there


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (":5671/", ":5673/", "cannot be reached: controller:5673: Connection refused"),
        ("@controller:", "@nowhere:", "cannot be reached: nowhere:5671"),
        ("limosa-conductor:", "limosa-conductor:x", "refuses us"),
    ],
    ids=["port", "name", "password"],
)
def test_a_broker_that_cannot_be_reached(lab: Lab, old: str, new: str, sentence: str) -> None:
    with wrong_configuration(lab, "controller", old=old, new=new) as config:
        done = impatiently(lab, *config, "show", NAME)

    assert_told(done, sentence, "transport_url", code=OTHER_ERROR)
    assert "***" in done.stderr, "the password is not shown"


@pytest.mark.parametrize("victim", [Victim.RABBITMQ, Victim.CONDUCTOR])
def test_a_broker_or_conductor_that_hangs(lab: Lab, victim: Victim) -> None:
    with hanging(lab, victim):
        assert_told(impatiently(lab, "list"), "No conductor answered within", code=OTHER_ERROR)
    lab.wait_until_agents_are_up()


def impatiently(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    environment = f"OS_DEFAULT__RPC_RESPONSE_TIMEOUT={CLIENT_TIMEOUT_S}"
    return lab.controller.run(["env", environment, *lab.limosa_argv(), *words], check=False)


@contextmanager
def hanging(lab: Lab, victim: Victim, host: str | None = None) -> Iterator[None]:
    lab.pause(victim, host_name=host)
    try:
        yield
    finally:
        lab.resume(victim, host_name=host)


# ---- hosts that cannot answer


@pytest.fixture(scope="module")
def impatient(lab: Lab) -> Iterator[None]:
    restart_conductor(lab, IMPATIENT)
    yield
    restart_conductor(lab, USUAL)


def restart_conductor(lab: Lab, values: Mapping[str, str]) -> None:
    lab.write_config("controller", values)
    lab.stop(Victim.CONDUCTOR)
    lab.start(Victim.CONDUCTOR)
    lab.wait_until_agents_are_up()


def wait_until_hosts_answer(lab: Lab) -> None:
    """Until the conductor has heard that both libvirtd answer again."""

    def all_answer() -> bool:
        rows = json.loads(lab.limosa("service", "list", "-f", "json").stdout)
        ages = [row["hypervisor_age_s"] for row in rows if row["host"] in lab.compute_hosts]
        return all(age is not None and age < 2 for age in ages)

    lab.wait_until_agents_are_up()
    observer.wait_until(all_answer, what="both libvirtd answer", timeout_s=30)


@pytest.mark.parametrize("host", ["compute2", "compute1"], ids=["dest", "source"])
def test_a_libvirtd_that_is_down(lab: Lab, impatient: None, host: str) -> None:
    lab.stop(Victim.LIBVIRTD, host_name=host)
    try:
        done = lab.limosa("live-migration", NAME, "compute2", check=False)
    finally:
        lab.start(Victim.LIBVIRTD, host_name=host)
        wait_until_hosts_answer(lab)

    assert_told(done, f"{host}: ", "libvirt", "does not answer", code=REFUSED)


@pytest.mark.parametrize("host", ["compute2", "compute1"], ids=["dest", "source"])
def test_an_agent_that_hangs(lab: Lab, impatient: None, host: str) -> None:
    with hanging(lab, Victim.AGENT, host):
        done = lab.limosa("live-migration", NAME, "compute2", check=False)
    wait_until_hosts_answer(lab)

    assert_told(done, f"{host} did not answer", "within 4 s", "[check_timed_out]", code=REFUSED)


def test_a_libvirtd_that_hangs(lab: Lab, impatient: None) -> None:
    with hanging(lab, Victim.LIBVIRTD, "compute2"):
        done = lab.limosa("live-migration", NAME, "compute2", check=False)
    wait_until_hosts_answer(lab)

    assert_told(done, "compute2", code=REFUSED)
