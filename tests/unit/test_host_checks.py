"""What a migration checks of its hosts and `doctor` alike: certificates, what may be written, two hosts of one uuid."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common import certificates
from common.checks import Severity
from common.migration import DestinationFacts
from compute_agent.certificate_files import End, certificate_files
from compute_agent.checks import reach, writing
from compute_agent.checks.certificates import certificate_findings, findings_of
from compute_agent.checks.look import PeerLook
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.fakes.hypervisor import FakeWorld

TLS = LiveMigrationSettings(flags=("VIR_MIGRATE_TLS",), scheme="tls")


class Pki:
    """A CA, and the files of one host, where its libvirt has been told that they are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.authority, self.key = certificates.new_authority("Limosa", valid_days=365)
        (root / "libvirtd.conf").write_text(
            f'ca_file = "{root}/ca-cert.pem"\ncert_file = "{root}/server-cert.pem"\n'
        )
        (root / "qemu.conf").write_text(f'migrate_tls_x509_cert_dir = "{root}"\n')
        (root / "ca-cert.pem").write_text(self.authority)
        self.settings = Settings(
            host="compute1",
            state_path=root,
            live_migration=TLS,
            libvirtd_conf=root / "libvirtd.conf",
            qemu_conf=root / "qemu.conf",
        )
        self.write("server-cert.pem")
        self.write("client-cert.pem")

    def write(self, file, *, names=("compute1",), days=365):
        request, _ = certificates.new_request("compute1", names)
        pem = certificates.issue(
            request, authority_pem=self.authority, authority_key_pem=self.key, names=names, valid_days=days
        )
        (self.root / file).write_text(pem)

    def found(self, end=End.SERVER):
        return certificate_findings(self.settings, ends=(end,))


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


def test_certificates_that_last_and_name_the_host_are_no_finding(pki):
    assert pki.found(End.SERVER) == ()
    assert [finding.code for finding in pki.found(End.CLIENT)] == ["certificate_missing"], (
        "of libvirt's client"
    )


def test_one_that_ends_within_30_days_is_a_warning_with_the_command(pki):
    pki.write("server-cert.pem", days=20)
    finding = pki.found()[0]
    assert (finding.code, finding.severity) == ("certificate_ends_soon", Severity.WARNS)
    assert "19 days" in finding.sentence
    assert finding.hint == "`limosa-compute-agent libvirt-setup --transport tls --apply`"


def test_one_that_has_expired_refuses(pki):
    later = datetime.now(UTC) + timedelta(days=366)
    [server, *_] = (one for one in _files(pki) if one.end is End.SERVER)
    found = list(findings_of(server, settings=pki.settings, now=lambda: later))
    assert [(finding.code, finding.severity) for finding in found] == [
        ("certificate_expired", Severity.REFUSES),
        ("certificate_expired", Severity.REFUSES),
    ], "the host's, and that of its CA"
    assert str(pki.root / "server-cert.pem") in found[0].sentence


def test_one_that_is_not_valid_yet_asks_for_the_clock(pki):
    [server, *_] = (one for one in _files(pki) if one.end is End.SERVER)
    found = list(findings_of(server, settings=pki.settings, now=lambda: datetime(2020, 1, 1, tzinfo=UTC)))
    assert {finding.code for finding in found} == {"certificate_unfit"}
    assert "is this host's clock right" in found[0].sentence


def _files(pki):
    from compute_agent.checks.certificates import files_of

    return files_of(pki.settings)


def test_one_that_names_another_host_refuses(pki):
    pki.write("server-cert.pem", names=("compute9",))
    finding = pki.found()[0]
    assert (finding.code, finding.severity) == ("certificate_unfit", Severity.REFUSES)
    assert "compute1" in finding.sentence and "compute9" in finding.sentence


def test_one_of_another_authority_refuses(pki):
    pki.authority, pki.key = certificates.new_authority("Somebody", valid_days=365)
    pki.write("server-cert.pem")
    assert pki.found()[0].code == "certificate_unfit"


def test_the_name_that_counts_is_the_one_by_which_others_come(pki):
    pki.settings = replace(pki.settings, inbound_address="192.0.2.4")
    assert "192.0.2.4" in pki.found()[0].sentence
    pki.write("server-cert.pem", names=("compute1", "192.0.2.4"))
    assert pki.found() == ()


def test_what_is_no_certificate_refuses(pki):
    (pki.root / "server-cert.pem").write_text("-----BEGIN")
    assert pki.found()[0].code == "certificate_unfit"


def test_one_that_is_not_there_refuses_only_where_it_is_needed(pki):
    (pki.root / "server-cert.pem").unlink()
    assert {finding.code for finding in pki.found()} == {"certificate_missing"}
    pki.settings = replace(pki.settings, live_migration=LiveMigrationSettings(flags=()))
    assert pki.found() == ()


def test_one_that_expired_is_found_where_it_is_used_though_nobody_demands_it(pki):
    pki.settings = replace(pki.settings, live_migration=LiveMigrationSettings(flags=()))
    pki.write("server-cert.pem", days=20)
    assert {finding.code for finding in pki.found()} == {"certificate_ends_soon"}


def test_the_places_are_libvirts_own_where_its_files_say_nothing():
    files = certificate_files(peer_uri="qemu+tls://x/system", flags=(), libvirtd_conf="", qemu_conf="")
    assert [(str(one.path), one.is_needed) for one in files] == [
        ("/etc/pki/libvirt/servercert.pem", True),
        ("/etc/pki/libvirt/clientcert.pem", True),
        ("/etc/pki/qemu/server-cert.pem", False),
        ("/etc/pki/qemu/client-cert.pem", False),
        ("/etc/limosa/pki/host.pem", False),
    ]


# ---- what may be written


def settings(state_path):
    return Settings(host="compute1", state_path=state_path, live_migration=LiveMigrationSettings(flags=()))


class Look:
    def __init__(self, settings):
        self.settings = settings


def test_a_state_path_that_can_be_written_is_no_finding_and_stays_as_it_was(tmp_path):
    (tmp_path / "permits").mkdir()
    assert list(writing.check_writing(Look(settings(tmp_path)))) == []
    assert [path.name for path in tmp_path.rglob("*")] == ["permits"]


@pytest.mark.parametrize("below", ["", "ledger", "permits", "arrivals"])
def test_a_file_that_the_agent_may_not_write_refuses_with_the_path(tmp_path, monkeypatch, below):
    path = tmp_path / below
    path.mkdir(exist_ok=True)
    monkeypatch.setattr(writing, "_try", lambda directory: refuse(directory == path))

    [finding] = writing.check_writing(Look(settings(tmp_path)))

    assert (finding.code, finding.severity) == ("state_not_writable", Severity.REFUSES)
    assert str(path) in finding.sentence and "Read-only file system" in finding.sentence
    assert f"ls -ld {path}" in finding.hint


def refuse(is_so):
    if is_so:
        raise OSError(30, "Read-only file system")


def test_where_no_file_without_a_name_can_be_made_the_permissions_are_asked(tmp_path, monkeypatch):
    def no_tmpfile(*_arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(writing.os, "open", no_tmpfile)
    assert writing.why_not_written(tmp_path) == ""
    monkeypatch.setattr(writing.os, "access", lambda *_: False)
    assert writing.why_not_written(tmp_path) == "Permission denied"


# ---- two hosts of one uuid


def test_two_hosts_of_one_uuid_refuse(tmp_path):
    world = FakeWorld("compute1", "compute2")
    own, other = (world.hosts[name].identity().uuid for name in ("compute1", "compute2"))

    def look(uuid):
        return PeerLook(
            hypervisor=world.hosts["compute1"],
            network=world.network,
            settings=settings(tmp_path),
            reach=DestinationFacts(connect_address="compute2", host="compute2", host_uuid=uuid),
            dest=None,
            dest_host="compute2",
        )

    assert list(reach.check_host_uuid(look(other))) == []
    assert list(reach.check_host_uuid(look(""))) == [], "one that tells none, as an older agent"
    [finding] = reach.check_host_uuid(look(own))
    assert (finding.code, finding.severity) == ("host_uuid_shared", Severity.REFUSES)
    assert own in finding.sentence and finding.hint.endswith('`host_uuid = "UUID"`')
