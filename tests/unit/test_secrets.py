"""libvirt secrets: where their values may come from, what refuses, and what undo leaves."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from common.transfer import Declarations, TransferPlan
from compute_agent import checks
from compute_agent.checks.secrets import check_secrets
from compute_agent.hypervisor.secrets import Secret, SecretValue
from compute_agent.preparing import Arrival, Arrivals, Undoing
from compute_agent.preparing.secrets import SecretPreparation
from compute_agent.secret_sources import SecretFileError, SecretUnavailableError, is_encrypted
from compute_agent.settings import LiveMigrationSettings, Settings
from compute_agent.volume_settings import VolumeSettings
from tests.fakes.domain import guest_xml
from tests.fakes.hypervisor import FakeWorld

UUID, INSTANCE = "0f2f6f6e-1111-4222-8333-000000000001", "9b77af9f-482a-4f4c-85a2-71c2c1833cc5"
VALUE = SecretValue(data=b"MARKER")


class Hosts:
    """compute2 expects a guest of compute1, which it reaches by this scheme."""

    def __init__(self, directory: Path, scheme: str) -> None:
        self.world = FakeWorld("compute1", "compute2")
        self.source, self.dest = self.world.hosts["compute1"], self.world.hosts["compute2"]
        self.secrets_path = directory / "secrets"
        self.secrets_path.mkdir(mode=0o700)
        self.settings = Settings(
            host="compute2",
            state_path=directory,
            live_migration=LiveMigrationSettings(flags=(), scheme=scheme),
            volumes=VolumeSettings(secrets_path=self.secrets_path),
        )
        self.arrivals = Arrivals(directory)
        self.preparation = SecretPreparation(self.dest, arrivals=self.arrivals, settings=self.settings)

    def write_file(self, mode: int = 0o600) -> Path:
        path = self.secrets_path / UUID
        path.write_bytes(VALUE.data)
        path.chmod(mode)
        return path

    def prepare(self, migration: str = "m1", instance: str = INSTANCE) -> None:
        arrival = Arrival(
            instance=instance,
            name="web1",
            migration=migration,
            plan=TransferPlan(secrets=(UUID,)),
            declared=Declarations(),
            record=self.arrivals.open(migration, instance=instance),
            source_address="compute1",
        )
        self.preparation.prepare(arrival)

    def undo(self, migration: str = "m1") -> tuple[str, ...]:
        record = self.arrivals.open(migration, instance=INSTANCE)
        return self.preparation.undo(
            Undoing(instance=INSTANCE, migration=migration, record=record, keep_disks=False)
        )

    def codes(self) -> list[str]:
        source = self.source.add_guest(guest_xml("web1", uuid=INSTANCE)).facts()
        look = checks.DestLook(
            hypervisor=self.dest,
            network=self.world.network,
            links=None,  # type: ignore[arg-type]
            settings=self.settings,
            instance=INSTANCE,
            guest=replace(source, secrets=(UUID,)),
            dest=self.dest.host_facts(),
            source=None,
            source_host="compute1",
        )
        return [finding.code for finding in check_secrets(look)]


@pytest.fixture(params=["tls"])
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Hosts:
    return Hosts(tmp_path, request.param)


def test_a_secret_that_is_here_is_left_alone(hosts: Hosts) -> None:
    hosts.dest.secrets[UUID] = ""
    assert hosts.codes() == []
    hosts.prepare()
    assert hosts.undo() == ()
    assert UUID in hosts.dest.secrets


def test_a_secret_is_made_from_a_file_of_root_s_and_removed_by_undo(hosts: Hosts) -> None:
    hosts.write_file()
    assert hosts.codes() == []
    hosts.prepare()
    assert hosts.dest.kept_secrets[UUID] == (Secret(uuid=UUID, is_private=True), VALUE)
    assert hosts.undo() == (f"secret {UUID} was removed",)
    assert hosts.dest.secret(UUID) is None


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o606])
def test_a_file_that_others_may_read_is_refused_and_not_read(hosts: Hosts, mode: int) -> None:
    hosts.write_file(mode)
    assert hosts.codes() == ["secret_unsafe"]
    with pytest.raises(SecretFileError):
        hosts.prepare()
    assert hosts.dest.kept_secrets == {}


def test_a_file_of_another_user_and_a_link_are_refused(hosts: Hosts, tmp_path: Path) -> None:
    path = hosts.write_file()
    os.chown(path, 65534, -1)
    assert hosts.codes() == ["secret_unsafe"]
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretFileError, match="it is a link"):
        hosts.prepare()


def test_a_directory_that_others_may_write_to_is_refused(hosts: Hosts) -> None:
    hosts.write_file()
    hosts.secrets_path.chmod(0o777)
    assert hosts.codes() == ["secret_unsafe"]


def test_a_secret_is_fetched_over_an_encrypted_connection(hosts: Hosts) -> None:
    secret = Secret(uuid=UUID, kind="iscsi", usage="t")
    hosts.source.define_secret(secret, VALUE)
    assert hosts.codes() == []
    hosts.prepare()
    assert hosts.dest.kept_secrets[UUID] == (secret, VALUE)


def test_a_private_one_is_a_finding_of_its_own(hosts: Hosts) -> None:
    hosts.source.define_secret(Secret(uuid=UUID, is_private=True), VALUE)
    assert hosts.codes() == ["secret_private"]
    with pytest.raises(SecretUnavailableError, match="does not tell it"):
        hosts.prepare()


@pytest.mark.parametrize("hosts", ["tcp"], indirect=True)
def test_no_value_is_asked_for_over_a_connection_that_is_not_encrypted(hosts: Hosts) -> None:
    hosts.source.define_secret(Secret(uuid=UUID), VALUE)
    assert hosts.codes() == ["secret_missing"]
    with pytest.raises(SecretUnavailableError, match="not encrypted"):
        hosts.prepare()
    assert hosts.dest.kept_secrets == {}


def test_undo_leaves_what_another_guest_on_its_way_here_needs(hosts: Hosts) -> None:
    hosts.write_file()
    hosts.prepare()
    hosts.prepare(migration="m2", instance="1f6a3f1e-0000-4000-8000-000000000002")
    assert hosts.undo() == ()
    assert hosts.undo(migration="m2") != ()
    assert hosts.dest.secret(UUID) is None


def test_no_value_is_shown() -> None:
    assert "MARKER" not in repr((VALUE, Secret(uuid=UUID)))


@pytest.mark.parametrize(
    ("uri", "is_so"),
    [
        ("qemu+tls://h/system", True),
        ("qemu+ssh://h/system", True),
        ("qemu+tcp://h/system", False),
        ("qemu://h/system", False),  # libvirt takes tls, but nothing here is staked on a default
        ("", False),
    ],
)
def test_which_connections_are_encrypted(uri: str, is_so: bool) -> None:
    assert is_encrypted(uri) is is_so
