"""`limosa-compute-agent doctor` as a person and a program run it: with a configuration, a broken one, and none."""

import json
from pathlib import Path

import pytest

from common import config, log
from common.identity import PrivateKey
from compute_agent import management
from compute_agent.doctor import command, membership
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.ledger import claim_host
from tests.fakes.hypervisor import FakeWorld
from tests.fakes.network import FakeNetwork


class Host:
    """A directory with a configuration, keys, and a libvirt in memory."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.file = root / "limosa.conf"
        self.hypervisor = FakeWorld("compute1", "compute2").hosts["compute1"]
        self._capsys = capsys
        self.configure()

    def configure(self, further: str = "") -> None:
        self.file.write_text(
            f"[DEFAULT]\nhost = compute1\nstate_path = {self.root}\ntransport_url = fake://\n"
            f"[identity]\nhost_key = {self.root}/host.key\nconductor_public_key = {self.root}/conductor.pub\n"
            f"[agent]\ninstances_path = {self.root}\n{further}"
        )
        self.file.chmod(0o640)

    def run(self, *words: str) -> tuple[int, list[dict[str, str]]]:
        code = management.main(["doctor", *words, "-f", "json", "--config-file", str(self.file)])
        return code, json.loads(self._capsys.readouterr().out)

    def found(self, question: str) -> list[str]:
        _, rows = self.run()
        return [row["code"] or row["result"] for row in rows if row["question"] == question]


@pytest.fixture
def host(tmp_path, capsys, monkeypatch):
    host = Host(tmp_path, capsys)
    real = command._look

    def look(conf):
        found = real(conf)
        fields = {name: getattr(found, name) for name in ("settings", "paths")}
        return type(found)(hypervisor=host.hypervisor, network=FakeNetwork(), **fields)

    monkeypatch.setattr(command, "_look", look)
    monkeypatch.setattr(log, "setup", lambda _level: None)  # it is for the whole process
    monkeypatch.setattr(membership.ConductorAPI, "greet", lambda _self, _host: True)
    yield host
    config.CONF.reset()


def test_without_a_configuration_it_says_so_and_looks_at_the_rest(host):
    host.file.unlink()
    code, rows = host.run()
    assert code == 4
    assert rows[0]["code"] == "configuration_missing"
    assert "limosa-compute-agent join BROKER-URL CODE" in rows[0]["fix"]
    assert {"libvirt", "hook", "state", "clock"} <= {row["question"] for row in rows}


def test_an_option_that_is_misspelt_is_named(host):
    host.configure("instance_path = /x\n")
    _, rows = host.run()
    assert rows[0]["code"] == "configuration_unusable"
    assert "instance_path" in rows[0]["sentence"]


def test_a_configuration_that_everybody_may_read_is_a_warning(host):
    host.file.chmod(0o644)
    _, rows = host.run()
    assert (rows[0]["code"], rows[0]["fix"]) == ("configuration_exposed", f"`chmod 0640 {host.file}`")


def test_keys_that_are_missing_and_keys_that_are_there(host):
    assert host.found("keys") == ["key_unusable"]
    key = PrivateKey.generate()
    key.save(host.root / "host.key")
    key.public.save(host.root / "conductor.pub")
    assert host.found("keys") == ["pass"]


def test_an_agent_that_runs_is_told_from_one_that_does_not(host):
    assert host.found("agent") == ["agent_absent"]
    with claim_host("compute1"):
        assert host.found("agent") == ["pass"]


def test_a_broker_that_is_away_is_told_without_its_password(host):
    host.configure()
    text = host.file.read_text().replace("fake://", "rabbit://compute1:sesame@127.0.0.1:1/")
    host.file.write_text(text)
    _, rows = host.run()
    [line] = [row for row in rows if row["question"] == "broker"]
    assert line["code"] == "broker_unusable"
    assert "sesame" not in json.dumps(rows)


def test_a_text_has_one_line_for_each_thing_and_ends_with_the_command(host, capsys):
    code = management.main(["doctor", "--config-file", str(host.file)])
    lines = capsys.readouterr().out.splitlines()
    assert code == 4
    assert all(
        line.startswith(("pass  compute1  ", "warn  compute1  ", "fix   compute1  ")) for line in lines
    )
    assert all(line.endswith("`") for line in lines if not line.startswith("pass"))


def test_a_peer_is_looked_at_by_its_name(host):
    code, rows = host.run("compute2")
    assert (rows[-1]["peer"], rows[-1]["question"], rows[-1]["result"]) == ("compute2", "peer", "pass")
    assert code == 4


def test_nothing_is_left_of_a_run(host):
    before = sorted(host.root.rglob("*"))
    host.run()
    assert sorted(host.root.rglob("*")) == before


def test_a_libvirt_that_hangs_is_one_line_and_no_traceback(host, monkeypatch):
    def silent():
        raise HypervisorUnreachableError(uri="qemu:///system", reason="it hangs")

    monkeypatch.setattr(host.hypervisor, "host_facts", silent)
    assert host.found("libvirt") == ["libvirt_unusable"]
