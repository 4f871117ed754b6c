"""Whether a guest's memory and disks are encrypted: agreed by both hosts, and never given up because of decay."""

from dataclasses import replace

import pytest

from common import certificates
from common.checks import Severity
from common.facts import HostFacts
from common.migration import DestinationFacts
from common.states import MemoryTls
from compute_agent import encryption
from compute_agent.checks.encryption import check_encryption, check_transport
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor import tls_files
from compute_agent.subprocesses import User
from tests.fakes.domain import HOST_FACTS
from tests.fakes.host import FLAGS, MIGRATION, Hosts

TLS = "VIR_MIGRATE_TLS"


@pytest.fixture(scope="module")
def authority():
    return certificates.new_authority("Limosa", valid_days=3650)


def certificate_of(name: str, authority) -> str:
    request, _ = certificates.new_request(name, [name])
    ca, key = authority
    return certificates.issue(request, authority_pem=ca, authority_key_pem=key, names=[name], valid_days=300)


def with_tls(name: str, authority) -> HostFacts:
    certificate = certificate_of(name, authority)
    return replace(
        HOST_FACTS, tls_directory="/etc/pki/qemu", tls_certificate=certificate, tls_authority=authority[0]
    )


@pytest.fixture
def look(tmp_path):
    hosts = Hosts(tmp_path)
    hosts.add_guest()
    hypervisor = hosts.source.hypervisor
    definition = hypervisor.definition(hosts.uuid)
    settings = replace(
        hosts.source.settings, live_migration=replace(hosts.source.settings.live_migration, scheme="tls")
    )
    yield SourceLook(
        hypervisor=hypervisor,
        network=hosts.world.network,
        links=hosts.source.links,
        settings=settings,
        instance=hosts.uuid,
        guest=hypervisor.guest_facts(hosts.uuid),
        definition=definition,
        observed=hosts.source.core.observation.source(hosts.uuid, MIGRATION),
        source=HOST_FACTS,
        reach=DestinationFacts(connect_address="compute2", host="compute2", facts=HOST_FACTS),
        dest=HOST_FACTS,
        dest_host="compute2",
    )
    hosts.stop()


def between(look: SourceLook, source: HostFacts, dest: HostFacts) -> SourceLook:
    return replace(look, source=source, dest=dest, reach=replace(look.reach, facts=dest))


def told(look: SourceLook, mode: MemoryTls, *, flags: tuple[str, ...] = FLAGS) -> SourceLook:
    settings = replace(look.settings.live_migration, tls=mode, flags=flags)
    return replace(look, settings=replace(look.settings, live_migration=settings))


def is_agreed(look: SourceLook) -> bool:
    return encryption.is_agreed(look.source, look.dest, settings=look.settings.live_migration)


def test_two_hosts_with_certificates_of_one_authority_encrypt_by_themselves(look, authority):
    both = between(look, with_tls("compute1", authority), with_tls("compute2", authority))

    assert list(check_encryption(both)) == []
    assert is_agreed(both)
    assert encryption.tls_name(both.reach) == "compute2"


def test_where_one_lacks_them_a_warning_says_which(look, authority):
    one = between(look, with_tls("compute1", authority), HOST_FACTS)

    [finding] = check_encryption(one)

    assert (finding.code, finding.severity) == ("tls_missing", Severity.WARNS)
    assert finding.evidence["lacking"] == "compute2"
    assert not is_agreed(one)


@pytest.mark.parametrize(("mode", "flags"), [(MemoryTls.REQUIRED, FLAGS), (MemoryTls.AUTO, (*FLAGS, TLS))])
def test_where_it_is_required_the_guest_stays(look, authority, mode, flags):
    one = told(between(look, HOST_FACTS, with_tls("compute2", authority)), mode, flags=flags)

    [finding] = check_encryption(one)

    assert (finding.severity, finding.evidence["lacking"]) == (Severity.REFUSES, "compute1")
    assert len(list(check_encryption(between(one, HOST_FACTS, HOST_FACTS)))) == 2


def test_where_none_has_them_and_nobody_asked_nothing_is_said(look):
    assert list(check_encryption(look)) == []
    assert not is_agreed(look)


@pytest.mark.parametrize("flag", ["VIR_MIGRATE_TUNNELLED", "VIR_MIGRATE_ZEROCOPY"])
def test_what_cannot_be_encrypted_is_not(look, authority, flag):
    both = between(look, with_tls("compute1", authority), with_tls("compute2", authority))

    assert not is_agreed(told(both, MemoryTls.AUTO, flags=(*FLAGS, flag)))
    assert not is_agreed(told(both, MemoryTls.OFF))


def refusal(look: SourceLook) -> str:
    [finding] = check_encryption(look)
    assert (finding.code, finding.severity) == ("tls_unusable", Severity.REFUSES)
    return finding.sentence


def test_another_authority_on_one_side_is_found_on_both(look, authority):
    other = certificates.new_authority("Other", valid_days=10)
    pair = between(look, with_tls("compute1", authority), with_tls("compute2", other))

    findings = list(check_encryption(pair))

    assert [finding.evidence["broken"] for finding in findings] == ["compute1", "compute2"]


def test_a_certificate_of_another_name_is_found(look, authority):
    sentence = refusal(between(look, with_tls("compute1", authority), with_tls("compute9", authority)))

    assert "It is not good for compute2, only for compute9." in sentence


def test_the_name_that_the_certificate_has_is_asked_for(look, authority):
    facts = with_tls("192.0.2.2", authority)
    reach = replace(look.reach, facts=facts, connect_address="192.0.2.2")

    assert encryption.tls_name(reach) == "192.0.2.2"


def test_what_the_host_itself_finds_is_told(look, authority):
    broken = replace(with_tls("compute2", authority), tls_problem="QEMU may not read server-key.pem in /x.")

    assert "QEMU may not read" in refusal(between(look, with_tls("compute1", authority), broken))


def test_tcp_is_said_to_be_open_to_all(look):
    assert list(check_transport(look)) == []
    settings = replace(look.settings.live_migration, scheme="tcp")

    [finding] = check_transport(replace(look, settings=replace(look.settings, live_migration=settings)))

    assert (finding.code, finding.severity) == ("peer_open_to_all", Severity.WARNS)


# ---- the files


@pytest.fixture
def directory(tmp_path, authority):
    for name in (tls_files.AUTHORITY, *tls_files.CERTIFICATES, *tls_files.KEYS):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o644)
    return tmp_path


def looked(directory, *, uid=64055, gid=64055):
    return tls_files.look(f'migrate_tls_x509_cert_dir = "{directory}"\n', qemu_uid=uid, qemu_gid=gid)


def test_a_whole_directory_has_no_problem(directory):
    found = looked(directory)

    assert (found.problem, found.certificate, found.authority) == ("", "server-cert.pem", "ca-cert.pem")


def test_none_of_the_files_is_no_problem_either(tmp_path):
    assert looked(tmp_path / "nowhere") == tls_files.TlsFiles(directory=tmp_path / "nowhere")


def test_half_of_the_files_is_one(directory):
    (directory / "client-cert.pem").unlink()

    assert "there is no client-cert.pem" in looked(directory).problem


def test_a_key_that_qemus_user_may_not_read_is_one(directory):
    (directory / "server-key.pem").chmod(0o600)

    assert "QEMU may not read server-key.pem" in looked(directory).problem
    assert looked(directory, uid=0, gid=0).problem == ""


def test_a_key_of_a_further_group_of_qemus_user_may_be_read(directory, monkeypatch):
    for name in tls_files.KEYS:
        (directory / name).chmod(0o640)
    group = (directory / tls_files.KEYS[0]).stat().st_gid
    assert "QEMU may not read" in looked(directory).problem

    monkeypatch.setattr(User, "groups", [64055, group])

    assert looked(directory).problem == ""


def test_the_directory_is_chosen_as_libvirt_does():
    assert str(tls_files.directory_in("")) == "/etc/pki/qemu"
    assert str(tls_files.directory_in('default_tls_x509_cert_dir = "/a"\n')) == "/a"
    both = 'default_tls_x509_cert_dir = "/a"\nmigrate_tls_x509_cert_dir = "/b"\n'
    assert str(tls_files.directory_in(both)) == "/b"
