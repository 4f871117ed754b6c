"""`limosa-compute-agent libvirt-setup` on trees of hosts: it does, shows, checks and undoes, or changes nothing."""

import grp
import json
import os
import stat
import time
from pathlib import Path

import pytest

from common import certificates, config
from compute_agent import management
from compute_agent.errors import CommandError, NetworkError
from compute_agent.joining import renewal
from compute_agent.libvirt_setup import copies, units
from compute_agent.libvirt_setup import observe as observe_module
from compute_agent.network import HostNetwork
from tests.fakes.systemd import FakeSystemd

HOOK = "etc/libvirt/hooks/qemu.d/limosa"
UNITS = ("libvirtd.service", "libvirtd.socket", "libvirtd-tls.socket", "libvirtd-tcp.socket")


@pytest.fixture(scope="module")
def authority():
    return certificates.new_authority("Limosa", valid_days=3650)


class Host:
    """The tree of one, and the command on it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        for unit in UNITS:
            self.write(f"usr/lib/systemd/system/{unit}", "")
        self.write("etc/libvirt/libvirtd.conf", '#listen_tls = 0\n#tls_port = "16514"\n')
        self.write("etc/libvirt/qemu.conf", 'vnc_password = "secret"\nuser = "root"\n', mode=0o600)
        self.write(
            "etc/limosa/limosa.conf",
            "[DEFAULT]\nhost = compute1\ntransport_url = rabbit://u:secret@c/\n",
            mode=0o640,
        )

    def write(self, path: str, text: str, *, mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def join(self, authority, *, name: str = "compute1", valid_days: int = 300) -> None:
        request, key = certificates.new_request(name, [name])
        certificate, authority_key = authority
        issued = certificates.issue(
            request,
            authority_pem=certificate,
            authority_key_pem=authority_key,
            names=[name],
            valid_days=valid_days,
        )
        self.write("etc/limosa/pki/ca.pem", certificate)
        self.write("etc/limosa/pki/host.pem", issued)
        self.write("etc/limosa/pki/host.key", key, mode=0o600)

    def setup(self, *words: str) -> tuple[int, str]:
        try:
            code = management.main(["libvirt-setup", "--root", str(self.root), *words])
        except SystemExit as end:
            code = end.code
        finally:
            config.CONF.reset()
        written = self._capsys.readouterr()
        assert "Traceback" not in written.err
        return code, written.out + written.err

    def tree(self) -> dict[str, tuple[str, int]]:
        return {
            str(path.relative_to(self.root)): (path.read_text(), stat.S_IMODE(path.stat().st_mode))
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def start(self, daemon: str, *, at_s: float) -> None:
        """As /run and /proc tell of it."""
        pid = len(daemon)
        ticks = int(1000 * os.sysconf("SC_CLK_TCK"))
        self.write(f"run/{daemon}.pid", f"{pid}\n")
        self.write(f"proc/{pid}/stat", " ".join([str(pid), f"({daemon})", "S", *["0"] * 18, str(ticks), "0"]))
        boot = int(at_s) - 1000
        self.write("proc/stat", f"btime {boot}\n")

    @property
    def needs_restart(self) -> bool:
        record = (self.root / "var/lib/limosa/libvirt-setup/record.json").read_text()
        return bool(json.loads(record)["needs_restart"])

    def directories(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if path.is_dir()}


def _closed(_network: HostNetwork, _address: str, _port: int) -> None:
    raise NetworkError(reason="connection refused")


@pytest.fixture
def systemd(monkeypatch):
    monkeypatch.setattr(HostNetwork, "connect", _closed)
    fake = FakeSystemd()
    monkeypatch.setattr(units, "Systemd", fake.at)
    return fake


@pytest.fixture
def host(tmp_path, capsys, systemd):
    return Host(tmp_path, capsys)


def test_print_shows_the_changes_and_makes_none(host, authority):
    host.join(authority)
    before = host.tree()

    code, said = host.setup("--print")

    assert code == 0
    assert host.tree() == before
    assert "+listen_tls = 1" in said
    assert "systemctl enable libvirtd-tls.socket" in said
    assert "PRIVATE KEY" not in said and "secret" not in said


def test_apply_does_what_print_showed_and_undo_takes_all_of_it_back(host, authority, systemd):
    host.join(authority)
    before, directories = host.tree(), host.directories()

    code, said = host.setup("--apply")

    assert code == 0, said
    assert "listen_tls = 1" in (host.root / "etc/libvirt/libvirtd.conf").read_text()
    assert 'migrate_tls_x509_cert_dir = "/etc/pki/qemu"' in (host.root / "etc/libvirt/qemu.conf").read_text()
    assert os.access(host.root / HOOK, os.X_OK)
    assert stat.S_IMODE((host.root / "etc/pki/libvirt/private/serverkey.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((host.root / "etc/libvirt/qemu.conf").stat().st_mode) == 0o600
    assert systemd.enabled == ["libvirtd-tls.socket"]

    code, said = host.setup("--undo")

    assert code == 0, said
    assert host.tree() == before
    assert host.directories() - directories <= {
        host.root / "var",
        host.root / "var/lib",
        host.root / "var/lib/limosa",
    }
    assert systemd.enabled == []


def test_qemus_user_reaches_its_certificates_whatever_roots_umask_is(host, authority):
    host.join(authority)

    before = os.umask(0o077)
    try:
        host.setup("--apply")
    finally:
        os.umask(before)

    for path, mode in (("etc/pki", 0o755), ("etc/pki/qemu", 0o755), ("etc/pki/libvirt/private", 0o700)):
        assert stat.S_IMODE((host.root / path).stat().st_mode) == mode, path


def test_a_second_apply_changes_nothing_and_the_backup_stays_the_first(host, authority):
    host.join(authority)
    host.write("etc/systemd/system/sockets.target.wants/libvirtd-tls.socket", "")
    before = host.tree()
    host.setup("--apply")
    once = host.tree()

    code, _ = host.setup("--apply")
    assert (code, host.tree()) == (0, once)
    host.join(authority)  # renewed
    host.setup("--apply")
    host.setup("--undo")

    assert host.tree()["etc/libvirt/qemu.conf"] == before["etc/libvirt/qemu.conf"]
    assert HOOK not in host.tree()


def test_nothing_is_restarted_without_being_told(host, authority, systemd):
    host.join(authority)

    _, said = host.setup("--apply")

    assert systemd.commands == []
    assert "systemctl start libvirtd.service" in said


def test_the_file_that_the_agent_reads_gets_the_scheme(host, authority):
    host.join(authority)
    usual = host.root / "etc/limosa/limosa.conf"
    own = usual.rename(usual.with_name("agent.conf"))
    usual.write_text("[DEFAULT]\n")

    code, said = host.setup("--apply", "--config-file", str(own))

    assert code == 0, said
    assert "live_migration_scheme = tls" in own.read_text()
    assert usual.read_text() == "[DEFAULT]\n"


def test_sockets_that_are_masked_or_not_there_are_not_started(host, authority):
    host.join(authority)
    host.write("usr/lib/systemd/system/libvirtd-admin.socket", "")
    mask = host.root / "etc/systemd/system/libvirtd-admin.socket"
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")

    _, said = host.setup("--apply")

    assert "systemctl start libvirtd.socket libvirtd-tls.socket" in said
    assert "-admin" not in said and "-ro" not in said


def test_undo_leaves_a_file_that_somebody_has_changed_since(host, authority):
    host.join(authority)
    host.setup("--apply")
    conf = host.root / "etc/libvirt/qemu.conf"
    conf.write_text(conf.read_text() + "max_files = 1\n")

    code, said = host.setup("--undo")

    assert code == 1
    assert "somebody has changed it since: /etc/libvirt/qemu.conf" in said
    assert "max_files" in conf.read_text()
    assert HOOK not in host.tree()


def test_undo_leaves_a_file_that_somebody_has_changed_between_two_applies(host, authority):
    host.join(authority)
    host.setup("--apply")
    conf = host.root / "etc/limosa/limosa.conf"
    conf.write_text(conf.read_text() + "[pki]\nvalid_days = 1\n")

    host.setup("--apply", "--transport", "ssh")
    code, said = host.setup("--undo")

    assert code == 1
    assert "somebody has changed it since: /etc/limosa/limosa.conf" in said
    assert "valid_days = 1" in conf.read_text()


def test_undo_says_that_an_open_port_stays_open(host, authority):
    host.join(authority)
    host.setup("--apply")

    assert "systemctl stop libvirtd-tls.socket" in host.setup("--undo")[1]


def test_undo_of_nothing_says_so(host):
    assert host.setup("--undo") == (0, "There was nothing to take back.\n")


def test_a_failure_in_the_middle_leaves_everything_as_it_was(host, authority, systemd):
    host.join(authority)
    before = host.tree()
    systemd.error = CommandError(program="systemctl", reason="no")

    code, _ = host.setup("--apply")

    assert code != 0
    assert host.tree() == before


def test_the_socket_that_is_enabled_already_is_not_disabled_by_the_undo(host, authority, systemd):
    host.join(authority)
    host.write("etc/systemd/system/sockets.target.wants/libvirtd-tls.socket", "")

    host.setup("--apply")
    host.setup("--undo")

    assert systemd.disabled == []


def test_masked_sockets_mean_that_the_daemon_listens_itself(host, authority, systemd):
    host.join(authority)
    mask = host.root / "etc/systemd/system/libvirtd.socket"
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")

    code, said = host.setup("--apply")

    assert code == 0, said
    assert "--listen" in (host.root / "etc/default/libvirtd").read_text()
    assert systemd.enabled == []


def test_modular_daemons_are_known_by_their_units(host, authority, systemd):
    host.join(authority)
    for unit in ("virtqemud.service", "virtproxyd.service", "virtproxyd.socket", "virtproxyd-tls.socket"):
        host.write(f"usr/lib/systemd/system/{unit}", "")

    host.setup("--apply")

    assert systemd.enabled == ["virtproxyd-tls.socket"]
    assert "listen_tls = 1" in (host.root / "etc/libvirt/virtproxyd.conf").read_text()


# ---- what cannot work


def refused(host: Host, *words: str) -> str:
    before = host.tree()
    code, said = host.setup("--apply", *words)
    assert code == 2, said
    assert host.tree() == before
    return said


def test_without_a_certificate_nothing_is_done(host):
    assert "Let it join first" in refused(host)


def test_tcp_needs_a_second_word(host):
    assert "--insecure" in refused(host, "--transport", "tcp")
    code, _ = host.setup("--apply", "--transport", "tcp", "--insecure")
    assert code == 0


def test_an_expired_certificate_is_not_installed(host, authority):
    host.join(authority, valid_days=0)

    assert "expired" in refused(host)


def test_a_certificate_of_another_host_is_not_installed(host, authority):
    host.join(authority, name="compute9")

    assert "compute1" in refused(host)


def test_a_certificate_of_another_authority_is_not_installed(host, authority):
    host.join(authority)
    host.write("etc/limosa/pki/ca.pem", certificates.new_authority("Other", valid_days=10)[0])

    assert "Another CA has issued it" in refused(host)


def test_a_key_of_another_certificate_is_not_installed(host, authority):
    host.join(authority)
    host.write("etc/limosa/pki/host.key", certificates.new_request("compute1", ["compute1"])[1])

    assert "is not the private key of" in refused(host)


def test_the_operators_own_files_come_all_or_none(host, authority):
    host.join(authority)

    assert "belong together" in refused(host, "--ca-file", "/nowhere/ca.pem")
    nowhere = ("--ca-file", "/nowhere/ca", "--cert-file", "/nowhere/cert", "--key-file", "/nowhere/key")
    assert "/nowhere/ca: No such file" in refused(host, *nowhere)


def test_a_file_that_is_a_link_is_not_replaced(host, authority):
    host.join(authority)
    conf = host.root / "etc/libvirt/libvirtd.conf"
    conf.rename(conf.with_name("elsewhere.conf"))
    conf.symlink_to("elsewhere.conf")

    assert "is a link" in refused(host)


def test_arguments_that_nobody_understands_are_left_alone(host, authority):
    host.join(authority)
    host.write("etc/default/libvirtd", 'LIBVIRTD_ARGS="--listen\n')

    assert "/etc/default/libvirtd" in refused(host)


# ---- check


def test_check_of_a_host_that_nothing_was_done_for_names_the_command(host, authority):
    host.join(authority)

    code, said = host.setup("--check")

    assert code == 4
    assert "limosa-compute-agent libvirt-setup --transport tls --apply" in said


def test_check_tells_of_a_certificate_that_ends_and_of_a_restart_that_is_due(host, authority):
    host.join(authority, valid_days=5)
    host.setup("--apply")

    code, said = host.setup("--check")

    assert code == 4
    assert "ends in 4 days" in said
    assert "was not started again" in said
    assert "--apply --restart" in said


@pytest.mark.parametrize(("later_s", "is_told"), [(-10, True), (10, False)])
def test_a_restart_by_hand_is_noticed(host, authority, later_s, is_told):
    host.join(authority)
    host.write("etc/systemd/system/sockets.target.wants/libvirtd-tls.socket", "")
    host.setup("--apply")
    host.start("libvirtd", at_s=time.time() + later_s)

    _, checked = host.setup("--check")
    host.setup("--apply")

    assert ("was not started again" in checked) == is_told
    assert host.needs_restart == is_told


def test_of_modular_daemons_each_that_runs_must_have_been_started_again(host, authority):
    host.join(authority)
    for unit in ("virtqemud.service", "virtproxyd.service", "virtproxyd.socket", "virtproxyd-tls.socket"):
        host.write(f"usr/lib/systemd/system/{unit}", "")
    host.setup("--apply")
    host.start("virtproxyd", at_s=time.time() + 10)
    host.start("virtqemud", at_s=time.time() - 10)

    assert "was not started again" in host.setup("--check")[1]
    host.start("virtqemud", at_s=time.time() + 10)
    assert "was not started again" not in host.setup("--check")[1]


def test_check_tells_of_a_port_that_is_open_to_everybody(host, authority):
    host.join(authority)
    host.write("etc/libvirt/libvirtd.conf", 'auth_tcp = "none"\n')
    host.write("etc/systemd/system/sockets.target.wants/libvirtd-tcp.socket", "")

    _, said = host.setup("--check")

    assert "is root on this host" in said
    assert "systemctl disable --now libvirtd-tcp.socket" in said


def test_check_tells_of_a_libvirt_that_looks_at_no_certificate(host, authority):
    host.join(authority)
    conf = host.root / "etc/libvirt/libvirtd.conf"
    host.setup("--apply")
    conf.write_text(conf.read_text() + "tls_no_verify_certificate = 1\n")

    _, said = host.setup("--check")

    assert "Whoever reaches port 16514 is root on this host" in said
    assert "tls_no_verify_certificate = 0" in said
    conf.write_text(conf.read_text().replace("certificate = 1", "certificate = 0"))
    assert "Whoever" not in host.setup("--check")[1]


# ---- a renewed certificate


def test_check_finds_copies_of_the_certificate_before(host, authority):
    host.join(authority)
    host.setup("--apply")
    assert "Copies of another" not in host.setup("--check")[1]

    host.join(authority)
    code, said = host.setup("--check")

    assert code == 4
    assert "Copies of another certificate or key than this host's: /etc/pki/libvirt/servercert.pem" in said


def test_copies_are_of_this_hosts_membership_while_libvirt_setup_answers_for_them(host, authority):
    def are_copies(pem: str) -> bool:
        return copies.are_of(pem, state_path=Path("/var/lib/limosa"), root=host.root)

    host.join(authority)
    assert not are_copies(authority[0])
    host.setup("--apply")
    assert are_copies(authority[0])
    assert not are_copies(certificates.new_authority("Other", valid_days=10)[0])
    host.setup("--undo")
    assert not are_copies(authority[0])


@pytest.mark.parametrize(
    ("scheme", "command"), [("tls", "--apply`"), ("ssh", "--apply --transport ssh`"), (None, "")]
)
def test_who_renews_is_told_how_libvirt_gets_it(host, authority, monkeypatch, capsys, scheme, command):
    host.join(authority)
    pki = host.root / "etc/limosa/pki"
    conf = host.root / "etc/limosa/limosa.conf"
    conf.write_text(f"{conf.read_text()}[pki]\nca_certificate = {pki}/ca.pem\n")
    if scheme:
        conf.write_text(f"{conf.read_text()}[libvirt]\nlive_migration_scheme = {scheme}\n")
    monkeypatch.setattr(renewal, "renew", lambda _conf: (pki / "host.pem").read_text())
    monkeypatch.setattr(copies, "are_of", lambda *_, **__: scheme is not None)

    assert management.main(["renew-certificate", "--config-file", str(conf)]) == 0
    config.CONF.reset()

    said = capsys.readouterr().out
    assert ("limosa-compute-agent libvirt-setup" in said) == bool(scheme)
    assert command in said


@pytest.mark.parametrize(
    ("conf", "known", "group"),
    [
        ("", {"libvirt-qemu", "kvm"}, "libvirt-qemu"),
        ("", {"qemu", "kvm"}, "qemu"),
        ("", set(), "root"),
        ('group = "+64055"\n', {"libvirt-qemu"}, "64055"),
    ],
)
def test_the_keys_group_is_the_one_that_guests_run_in_and_not_that_of_all_who_use_kvm(
    monkeypatch, conf, known, group
):
    def getgrnam(name):
        if name not in known:
            raise KeyError(name)
        return grp.struct_group((name, "x", 64055, []))

    monkeypatch.setattr(observe_module.grp, "getgrnam", getgrnam)

    assert observe_module._qemu_group(conf) == group
