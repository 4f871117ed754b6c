"""What libvirt-setup would change, of every kind of libvirt that a host may have. Pure."""

from pathlib import Path

import pytest
from oslo_config import cfg

from compute_agent.errors import CommandError
from compute_agent.libvirt_setup import conf_text, units
from compute_agent.libvirt_setup.model import (
    LIMOSA_CONF,
    Activation,
    Content,
    Credentials,
    Daemon,
    Observed,
    Transport,
    Wish,
)
from compute_agent.libvirt_setup.plan import QEMU_CONF, daemon_conf, make_plan, needs_restart
from compute_agent.libvirt_setup.units import restart_commands
from compute_agent.settings import HOOK_PATH
from compute_agent.subprocesses import Finished

ARGUMENTS = Path("/etc/default/libvirtd")
CREDENTIALS = Credentials(authority="ca", certificate="certificate", key="key")
DEBIAN_CONF = '# Flag\n#listen_tls = 0\n\n#auth_tls = "none"\n'


def observed(
    *,
    daemon: Daemon = Daemon.LIBVIRTD,
    activation: Activation = Activation.SOCKET,
    files: dict[Path, str] | None = None,
    units: frozenset[str] = frozenset(),
) -> Observed:
    return Observed(
        daemon=daemon,
        activation=activation,
        arguments_file=Path(f"/etc/default/{daemon}"),
        files=files or {},
        enabled_units=units,
        startable_sockets=frozenset(f"{daemon}{kind}.socket" for kind in ("", "-ro", "-tls", "-tcp")),
        qemu_group="libvirt-qemu",
    )


def wish(transport: Transport = Transport.TLS, credentials: Credentials | None = CREDENTIALS) -> Wish:
    return Wish(transport=transport, credentials=credentials, hook="#!/bin/sh\n")


def texts(found) -> dict[Path, str]:
    return {edit.path: edit.text for edit in found.edits}


def test_with_sockets_of_systemd_the_socket_of_the_transport_is_enabled_and_nobody_says_listen():
    files = {ARGUMENTS: 'LIBVIRTD_ARGS="--listen --verbose"\n'}

    found = make_plan(observed(files=files), wish())

    assert found.units == ("libvirtd-tls.socket",)
    assert texts(found)[ARGUMENTS] == 'LIBVIRTD_ARGS="--verbose"\n'


def test_without_sockets_of_systemd_the_daemon_is_told_to_listen_and_never_to_end_by_itself():
    files = {ARGUMENTS: 'LIBVIRTD_ARGS="--timeout 120"\n'}

    found = make_plan(observed(activation=Activation.SERVICE, files=files), wish())

    assert found.units == ()
    assert texts(found)[ARGUMENTS] == 'LIBVIRTD_ARGS="--listen"\n'


def test_without_systemd_the_administrator_is_told_to_say_listen():
    found = make_plan(observed(activation=Activation.NONE), wish())

    assert ARGUMENTS not in texts(found)
    assert any("--listen" in note for note in found.notes)


def test_of_modular_daemons_the_proxy_listens():
    found = make_plan(observed(daemon=Daemon.VIRTPROXYD), wish())

    assert found.units == ("virtproxyd-tls.socket",)
    assert daemon_conf(Daemon.VIRTPROXYD) in texts(found)
    assert daemon_conf(Daemon.LIBVIRTD) not in texts(found)


def test_a_setting_stands_behind_the_comment_that_tells_of_it():
    conf = daemon_conf(Daemon.LIBVIRTD)

    text = texts(make_plan(observed(files={conf: DEBIAN_CONF}), wish()))[conf]

    assert text.splitlines()[1] == "#listen_tls = 0"
    assert text.splitlines()[3] == "listen_tls = 1"


def test_keys_are_for_root_and_one_of_them_for_the_group_of_qemu():
    edits = make_plan(observed(), wish()).edits

    modes = {str(edit.path): (edit.mode, edit.group) for edit in edits if edit.content is Content.KEY}
    assert modes["/etc/pki/libvirt/private/serverkey.pem"] == (0o600, "root")
    assert modes["/etc/pki/qemu/server-key.pem"] == (0o640, "libvirt-qemu")
    assert len(modes) == 4


def test_tcp_closes_nothing_and_says_what_it_means():
    found = make_plan(observed(units=frozenset({"libvirtd-tls.socket"})), wish(Transport.TCP, None))

    assert found.units == ("libvirtd-tcp.socket",)
    assert 'auth_tcp = "none"' in texts(found)[daemon_conf(Daemon.LIBVIRTD)]
    assert any("is root" in note for note in found.notes)
    assert any("unencrypted" in note for note in found.notes)


def test_over_ssh_no_port_is_opened():
    found = make_plan(observed(), wish(Transport.SSH))

    assert found.units == ()
    assert daemon_conf(Daemon.LIBVIRTD) not in texts(found)
    assert QEMU_CONF in texts(found)  # the memory goes its own way, encrypted


def test_our_own_configuration_names_the_scheme_unless_there_is_an_uri():
    without = make_plan(observed(files={LIMOSA_CONF: "[DEFAULT]\nhost = h\n"}), wish())
    uri = "[libvirt]\nlive_migration_uri = qemu+ssh://root@%s/system\n"
    with_uri = make_plan(observed(files={LIMOSA_CONF: uri}), wish())

    assert texts(without)[LIMOSA_CONF].endswith("[libvirt]\nlive_migration_scheme = tls\n")
    assert LIMOSA_CONF not in texts(with_uri)
    assert any("live_migration_uri" in note for note in with_uri.notes)


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("daemon", list(Daemon))
@pytest.mark.parametrize("transport", list(Transport))
def test_what_is_done_is_not_planned_again(transport, daemon, activation):
    before = observed(daemon=daemon, activation=activation, files={LIMOSA_CONF: ""})
    done = make_plan(before, wish(transport))

    after = Observed(
        daemon=daemon,
        activation=activation,
        arguments_file=before.arguments_file,
        files={**before.files, **texts(done)},
        enabled_units=before.enabled_units | set(done.units),
        executable_files=frozenset({HOOK_PATH}),
        qemu_group="libvirt-qemu",
    )

    assert not done.is_empty
    assert make_plan(after, wish(transport)).is_empty


def test_new_certificates_need_no_restart_and_a_first_hook_does():
    stands = make_plan(observed(), wish())
    files = {**texts(stands), HOOK_PATH: "#!/bin/sh\n"}
    there = observed(files=files, units=frozenset(stands.units))
    renewed = Credentials(authority="ca", certificate="another", key="another")

    assert needs_restart(stands, observed())
    only_certificates = make_plan(there, wish(credentials=renewed))
    assert not only_certificates.is_empty
    assert not needs_restart(only_certificates, there)
    del files[HOOK_PATH]
    without_hook = observed(files=files, units=frozenset(stands.units))
    assert needs_restart(make_plan(without_hook, wish()), without_hook)


def test_sockets_are_closed_before_they_are_opened_with_their_new_companion():
    commands = restart_commands(observed(), ("libvirtd-tls.socket",))

    stop, start, service = commands
    assert stop[:3] == ("systemctl", "stop", "libvirtd.service")
    assert "libvirtd.socket" in stop and "libvirtd-tls.socket" in start
    assert service == ("systemctl", "start", "libvirtd.service")


def test_a_socket_that_is_not_there_or_masked_is_not_started():
    _, start, _ = restart_commands(observed(), ("libvirtd-tls.socket",))

    assert start == ("systemctl", "start", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-tls.socket")


def test_a_command_that_fails_does_not_leave_libvirt_stopped(monkeypatch):
    ran = []

    def run(command, *, timeout_s):
        ran.append(tuple(command))
        return Finished(code=len(ran) % 2, stdout="", stderr=f"no {len(ran)}")

    monkeypatch.setattr(units, "run_command", run)
    commands = restart_commands(observed())

    with pytest.raises(CommandError, match="no 1"):
        units.Systemd(Path("/")).restart(commands)

    assert tuple(ran) == commands


def test_of_modular_daemons_the_one_with_the_guests_reads_its_configuration_too():
    commands = restart_commands(observed(daemon=Daemon.VIRTPROXYD))

    assert commands[0] == ("systemctl", "try-restart", "virtqemud.service")


def test_of_a_libvirt_that_systemd_does_not_start_nothing_is_restarted():
    assert restart_commands(observed(activation=Activation.NONE)) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", '# Set by limosa-compute-agent libvirt-setup:\nA="--listen"\n'),
        ("A=-l\n", "A=-l\n"),
        ('A="--timeout=120 -v"\n', 'A="-v --listen"\n'),
        ("#A=x\nA='-t 5'\n", '#A=x\nA="--listen"\n'),
    ],
)
def test_listen_is_added_to_what_is_there(text, wanted):
    assert conf_text.with_listen(text, "A") == wanted


def test_an_option_is_replaced_in_its_own_section_only():
    text = "[vnc]\na = 1\n[libvirt]\n# a = 0\na = 2\n[x]\na = 3\n"

    assert conf_text.with_option(text, section="libvirt", option="a", value="9") == text.replace(
        "a = 2", "a = 9"
    )
    assert conf_text.option(text, section="libvirt", name="a") == "2"
    assert conf_text.option(text, section="nothing", name="a") == ""


def test_of_two_sections_with_the_same_name_the_last_line_counts(tmp_path):
    text = "[libvirt]\na = 1\na = 2\n[x]\na = 3\n[libvirt]\nb = 4\n"
    twice = text + "a = 5\n"

    assert conf_text.option(text, section="libvirt", name="a") == "2"
    assert conf_text.option(twice, section="libvirt", name="a") == "5"
    for before in (text, twice):
        changed = conf_text.with_option(before, section="libvirt", option="a", value="9")
        file = tmp_path / "limosa.conf"
        file.write_text(changed)
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt("a"), cfg.StrOpt("b")], group="libvirt")
        conf(["--config-file", str(file)])
        assert (conf.libvirt.a, conf.libvirt.b) == ("9", "4")
        assert conf_text.option(changed, section="libvirt", name="a") == "9"
