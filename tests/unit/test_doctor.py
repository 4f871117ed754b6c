"""`limosa-compute-agent doctor`: what it finds on a host, family by family, and that it never breaks or changes anything."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from common import doctor_questions
from common.diagnosis import Health, would_stop
from common.migration import DestinationFacts
from compute_agent.doctor import clock, hook, peers, places, reaching
from compute_agent.doctor.families import FAMILIES
from compute_agent.doctor.libvirt import answer_libvirt, answer_listening
from compute_agent.doctor.look import Family, HostLook, Paths
from compute_agent.doctor.running import ask
from compute_agent.errors import CommandError, NetworkError
from compute_agent.libvirt_setup.command import hook_text
from compute_agent.settings import LiveMigrationSettings, Settings
from compute_agent.subprocesses import Finished
from tests.fakes.hypervisor import FakeWorld


class Bench:
    """Two hosts in memory, and the directories of the first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.world = FakeWorld("compute1", "compute2")
        self.hypervisor = self.world.hosts["compute1"]
        for name in ("state", "images", "hooks/qemu.d", "run", "proc"):
            (root / name).mkdir(parents=True)
        self.hook = root / "hooks/qemu.d/limosa"
        self.hook.write_text(hook_text())
        self.hook.chmod(0o755)
        self.settings = Settings(
            host="compute1",
            state_path=root / "state",
            instances_path=root / "images",
            hook_path=self.hook,
            qemu_conf=root / "qemu.conf",
            libvirtd_conf=root / "libvirtd.conf",
            live_migration=LiveMigrationSettings(flags=()),
        )

    def look(self, **changes: object) -> HostLook:
        return HostLook(
            hypervisor=self.hypervisor,
            network=self.world.network,
            settings=replace(self.settings, **changes),  # type: ignore[arg-type]
            paths=Paths(hooks=self.root / "hooks", run=self.root / "run", proc=self.root / "proc"),
        )

    def daemon(self, name: str, *, started_at: float) -> None:
        """A process in a /proc of its own."""
        (self.root / f"run/{name}.pid").write_text("42\n")
        (self.root / "proc/42").mkdir()
        ticks = int((started_at - 1_000) * os.sysconf("SC_CLK_TCK"))
        fields = " ".join(["S", *["0"] * 18, str(ticks), "0"])
        (self.root / "proc/42/stat").write_text(f"42 ({name}) x) {fields}\n")
        (self.root / "proc/stat").write_text("cpu 1 2\nbtime 1000\n")


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def one(answers):
    [line] = answers
    return line


def codes(answers):
    return [line.code for line in answers]


def test_a_host_where_all_is_well_passes_every_question(bench, monkeypatch):
    monkeypatch.setattr(clock, "is_kept", lambda: True)

    lines = ask(FAMILIES, bench.look())

    assert {line.question for line in lines} == {family.question.word for family in FAMILIES}
    assert [line for line in lines if line.result is not Health.PASS] == []
    assert list(bench.settings.state_path.iterdir()) == [], "it leaves nothing behind"


def test_a_family_that_breaks_hides_nothing_of_the_others(bench):
    def broken(_look):
        raise OSError(5, "Input/output error")

    lines = ask((Family(question=doctor_questions.LOCKS, answer=broken), *FAMILIES), bench.look())

    assert (lines[0].question, lines[0].code, lines[0].result) == ("locks", "check_failed", Health.FIX)
    assert "Input/output error" in lines[0].sentence
    assert len(lines) > len(FAMILIES)


def test_without_libvirt_every_other_question_is_answered(bench):
    bench.hypervisor.is_down = True

    lines = ask(FAMILIES, bench.look())

    [libvirt] = [line for line in lines if line.question == "libvirt"]
    assert (libvirt.code, libvirt.result) == ("libvirt_unusable", Health.FIX)
    assert "check_failed" not in codes(lines)
    assert would_stop(lines)


def test_of_a_silent_libvirt_it_says_what_to_do(bench):
    bench.hypervisor.is_down = True
    assert one(answer_libvirt(bench.look())).fix.endswith("`")
    (bench.root / "run/libvirt").mkdir()
    (bench.root / "run/libvirt/libvirt-sock").touch()
    assert "journalctl -u libvirtd" in one(answer_libvirt(bench.look())).fix


def test_an_old_libvirt_is_told(bench):
    bench.hypervisor._facts = replace(bench.hypervisor.host_facts(), libvirt_version=8_000_000)
    line = one(answer_libvirt(bench.look()))
    assert line.code == "libvirt_old" and "8.0.0" in line.sentence and "9.0.0" in line.sentence


def test_a_libvirtd_that_does_not_listen_is_told_with_the_port(bench):
    bench.world.network.closed.add(16509)
    line = one(answer_listening(bench.look()))
    assert (line.code, line.result) == ("not_listening", Health.FIX)
    assert "16509" in line.sentence
    assert line.fix == "`limosa-compute-agent libvirt-setup --transport tls --apply --restart`"


def test_a_libvirtd_that_asks_nobody_who_he_is_is_warned_of(bench):
    bench.settings.libvirtd_conf.write_text('auth_tcp = "none"\n')
    assert (line := one(answer_listening(bench.look()))).code == "tcp_open"
    assert line.result is Health.WARN


def test_a_libvirtd_that_listens_on_one_address_is_found_there(bench, monkeypatch):
    bench.settings.libvirtd_conf.write_text('listen_addr = "192.0.2.7"\nauth_tcp = "sasl"\n')
    monkeypatch.setattr(
        bench.world.network, "connect", lambda address, _port: address == "192.0.2.7" or fail()
    )

    assert one(answer_listening(bench.look())).result is Health.PASS


def fail():
    raise NetworkError(reason="Connection refused")


def test_no_hook_is_told(bench):
    bench.hook.chmod(0o644)
    assert one(hook.answer_hook(bench.look())).code == "hook_missing"


def test_a_hook_of_another_version_is_told(bench):
    bench.hook.write_text("#!/bin/sh\nexit 0\n")
    assert one(hook.answer_hook(bench.look())).code == "hook_other"


def test_a_first_hook_that_is_younger_than_libvirtd_needs_a_restart(bench):
    bench.daemon("libvirtd", started_at=bench.hook.stat().st_ctime - 100)
    line = one(hook.answer_hook(bench.look()))
    assert line.code == "hook_unseen"
    assert line.fix.endswith("`systemctl restart libvirtd`")


def test_a_libvirtd_that_was_started_after_the_hook_calls_it(bench):
    bench.daemon("virtqemud", started_at=bench.hook.stat().st_ctime + 100)
    assert one(hook.answer_hook(bench.look())).result is Health.PASS


def test_a_hook_that_was_there_before_makes_libvirtd_call_ours_too(bench):
    older = bench.root / "hooks/qemu"
    older.write_text("#!/bin/sh\n")
    bench.daemon("libvirtd", started_at=bench.hook.stat().st_ctime + 1)
    assert one(hook.answer_hook(bench.look())).result is Health.PASS


def test_a_state_path_that_cannot_be_written_stops_migrations(bench):
    file = bench.root / "file"
    file.touch()
    line, *_ = places.answer_state(bench.look(state_path=file))
    assert (line.code, line.result) == ("state_not_writable", Health.FIX)
    assert str(file) in line.sentence and f"ls -ld {file}" in line.fix


def test_images_that_cannot_be_written_are_a_warning(bench):
    line = one(places.answer_state(bench.look(instances_path=bench.root / "none")))
    assert (line.code, line.result) == ("place_not_writable", Health.WARN)


def test_a_state_path_that_the_agent_will_make_passes(bench):
    assert one(places.answer_state(bench.look(state_path=bench.root / "later"))).result is Health.PASS


def test_a_place_on_a_server_without_locks_is_warned_of(bench, monkeypatch):
    monkeypatch.setattr(places, "file_system_of_path", lambda _path: "nfs")
    assert one(places.answer_locks(bench.look())).code == "lock_manager_absent"
    bench.settings.qemu_conf.write_text('lock_manager = "lockd"\n')
    assert "virtlockd" in one(places.answer_locks(bench.look())).sentence


def test_the_places_of_disks_are_told_with_what_is_mounted_there(bench, monkeypatch):
    mounts = "1 0 0:1 / / rw - ext4 /dev/vda1 rw\n2 1 0:2 / /srv\\040a rw - nfs4 nas:/export rw\n"
    assert places.mount_of("/srv a/images", mounts) == ("nfs4", "nas:/export")
    monkeypatch.setattr(places, "read_mounts", lambda: mounts)
    [place] = places.places_of(bench.look(instances_path=Path("/srv a/images")))
    assert (place.file_system, place.source) == ("nfs4", "nas:/export")


def test_consoles_on_an_address_that_is_not_here_are_told(bench):
    bench.world.network.absent.add("192.0.2.9")
    line = one(reaching.answer_consoles(bench.look(vnc_listen="192.0.2.9")))
    assert line.code == "listen_address_absent"
    assert line.fix.endswith("below [vnc]: `server_listen = 0.0.0.0`")


def test_ports_that_are_all_taken_are_told_and_those_tried_are_let_go(bench):
    assert one(reaching.answer_ports(bench.look())).result is Health.PASS
    assert not bench.world.network.listening
    bench.world.network.taken = set(range(49152, 49216))
    assert one(reaching.answer_ports(bench.look())).code == "ports_taken"


def test_an_own_name_that_does_not_resolve_is_a_warning(bench):
    bench.world.network.unknown.add("compute1")
    assert one(reaching.answer_names(bench.look())).code == "name_unresolved"


def test_a_clock_that_nobody_keeps_is_a_warning(bench, monkeypatch):
    monkeypatch.setattr(clock, "is_kept", lambda: False)
    assert one(clock.answer_clock(bench.look())).code == "clock_loose"


@pytest.mark.parametrize(("told", "is_kept"), [("yes\n", True), ("no\n", False), ("", None)])
def test_systemd_tells_whether_the_clock_is_kept(monkeypatch, told, is_kept):
    monkeypatch.setattr(clock, "run_command", lambda *_, **__: Finished(code=0, stdout=told, stderr=""))
    assert clock.is_kept() is is_kept


def test_where_nobody_tells_who_keeps_the_clock_it_is_no_finding(bench, monkeypatch):
    def absent(*_, **__):
        raise CommandError(program="timedatectl", reason="No such file or directory")

    monkeypatch.setattr(clock, "run_command", absent)
    assert one(clock.answer_clock(bench.look())).result is Health.PASS


# ---- the way to a host of which only the name is known


def test_a_named_peer_that_is_reached_passes(bench):
    line = one(peers.ask_named_peer(bench.look(), "compute2"))
    assert line.result is Health.PASS
    assert (line.host, line.peer) == ("compute1", "compute2")


def test_a_name_that_leads_back_here_is_told(bench):
    bench.world.hosts["compute2"] = bench.hypervisor
    line = one(peers.ask_named_peer(bench.look(), "compute2"))
    assert line.code == "peer_is_another" and "this host itself" in line.sentence


def test_a_named_peer_with_our_own_uuid_is_told(bench, monkeypatch):
    own = bench.hypervisor.identity().uuid
    other = bench.world.hosts["compute2"]
    monkeypatch.setattr(
        other, "identity", lambda: replace(bench.hypervisor.identity(), hostname="compute2", uuid=own)
    )
    assert one(peers.ask_named_peer(bench.look(), "compute2")).code == "host_uuid_shared"


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda network: network.unknown.add("compute2"), "name_unresolved"),
        (lambda network: network.closed.add(16509), "peer_unreachable"),
    ],
)
def test_a_named_peer_that_is_not_reached_is_told(bench, break_it, code):
    break_it(bench.world.network)
    assert one(peers.ask_named_peer(bench.look(), "compute2")).code == code


def test_of_a_peer_that_has_told_of_itself_its_ports_are_tried(bench):
    other = bench.world.hosts["compute2"]
    told = DestinationFacts(
        connect_address="compute2",
        host="compute2",
        facts=other.host_facts(),
        hostname=other.identity().hostname,
        host_uuid=other.identity().uuid,
        ports=(49152, 49215),
    )
    lines = peers.ask_peers(bench.look(), (told, replace(told, host="compute3", ports=())))
    assert [(line.peer, line.question, line.code) for line in lines] == [
        ("compute2", "peer", ""),
        ("compute2", "peer-ports", "port_unreachable"),
        ("compute2", "peer-ports", "port_unreachable"),
        ("compute3", "peer", ""),
    ]
