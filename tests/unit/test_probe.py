"""Probes beside disks: how shared storage is shown, and that none of them is ever left behind."""

import errno
import json
import os
import threading
import time
from pathlib import Path

import pytest

from common.checks import DISK_NOT_PROVABLE, STORAGE_NOT_SHARED
from compute_agent import probes as probes_module
from compute_agent import storage
from compute_agent.durable import make_state_directory
from compute_agent.errors import StorageSilentError
from compute_agent.probes import PROBE_MAX_AGE_S, Probes
from compute_agent.storage.driver import Disk
from compute_agent.subprocesses import User
from tests.fakes.host import MIGRATION, WAIT_S

QEMU = User(uid=64055, gid=64055)


@pytest.fixture
def images(tmp_path):
    directory = tmp_path / "images"
    directory.mkdir()
    (directory / "web1.raw").write_text("disk")
    return directory


@pytest.fixture
def probes(tmp_path):
    make_state_directory(tmp_path / "state")
    return Probes(tmp_path / "state", host="compute2")


def make(probes, disks, **options):
    """The probes, and what speaks against the disks; with what is not here as a pair of its target and the reason."""
    made = probes.make(disks, **options)
    return made.probes, [*made.findings, *((one.disk, one.reason) for one in made.absent)] or ()


def disk(path, **changes):
    return Disk(**{"target": "vda", "type": "file", "path": str(path), "device": "disk"} | changes)


def left_in(directory):
    return sorted(path.name for path in directory.iterdir() if path.name.startswith(".limosa-probe-"))


def records(tmp_path):
    return list((tmp_path / "state" / "probes").iterdir())


def test_one_directory_on_both_hosts_is_shared(probes, images):
    made, against = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert against == ()
    assert [probe.disk for probe in made] == ["vda"]
    assert probes_module.compare(made, dest="compute2") == ()


def test_two_directories_of_the_same_name_are_not(probes, images):
    made, _ = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    images.rename(images.with_name("of-the-dest"))
    images.mkdir()
    (images / "web1.raw").write_text("disk")

    [finding] = probes_module.compare(made, dest="compute2")

    assert finding.code == STORAGE_NOT_SHARED.code
    assert "does not appear on the source" in finding.sentence
    assert finding.evidence["directory"] == str(images)


def test_what_somebody_else_wrote_is_not_taken_for_the_probe(probes, images):
    made, _ = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    (images / left_in(images)[0]).write_text("something else")

    [finding] = probes_module.compare(made, dest="compute2")

    assert "reads differently" in finding.sentence


def test_everything_that_speaks_against_the_disks_is_found_at_once(probes, images):
    disks = (
        disk(images / "missing.raw"),
        disk(images / "nowhere" / "web1.raw", target="vdb"),
        disk("/dev/vg0/web1", target="vdc", type="block"),
        disk("/run/web1.sock", target="vdd", type="vhostuser"),
        disk("relative.raw", target="vde"),
    )

    made, against = make(probes, disks, migration=MIGRATION, epoch=1)

    assert made == ()
    *findings, file, directory, device = against
    assert [(finding.evidence["disk"], finding.code) for finding in findings] == [
        ("vdd", DISK_NOT_PROVABLE.code),
        ("vde", STORAGE_NOT_SHARED.code),
    ]
    assert [file, directory, device] == [
        ("vda", "compute2 has no such file"),
        ("vdb", "compute2 has no such directory"),
        ("vdc", "compute2 has no such device"),
    ]


def test_network_disks_and_empty_drives_need_no_probe(probes, images):
    disks = (disk("rbd:pool/web1", type="network"), disk("", target="sda", device="cdrom"))

    assert make(probes, disks, migration=MIGRATION, epoch=1) == ((), ())


def test_a_place_where_the_dest_cannot_write_is_not_shared(probes, images, monkeypatch):
    def read_only(*_arguments, **_options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("compute_agent.storage.file.os.open", read_only)
    monkeypatch.setattr("compute_agent.probes.durable.write", lambda *_arguments: None)

    _, [finding] = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert "compute2 cannot write there (Read-only file system)" in finding.sentence


@pytest.mark.parametrize(("device", "speaks_against"), [("disk", True), ("cdrom", False)])
def test_a_disk_that_the_dest_was_not_asked_about_is_unproven(images, device, speaks_against):
    against = storage.driver_for("file").unproven(disk(images / "late.raw", device=device), dest="compute2")

    assert bool(against) is speaks_against


def test_removed_probes_leave_neither_file_nor_record(probes, images, tmp_path):
    probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    probes.remove(MIGRATION)
    probes.remove(MIGRATION)

    assert left_in(images) == []
    assert records(tmp_path) == []


def test_the_probes_of_a_check_that_was_made_twice_are_all_removed(probes, images):
    probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=2)
    assert len(left_in(images)) == 2

    probes.remove(MIGRATION)

    assert left_in(images) == []


def test_what_is_written_stands_in_the_record_before(probes, images, monkeypatch, tmp_path):
    recorded = []
    file_storage = storage.DRIVERS["file"]

    def write(probe, *, host):
        [record] = records(tmp_path)
        recorded.append(probe.probe_path in json.loads(record.read_text()))
        return ()

    monkeypatch.setattr(type(file_storage), "write", lambda _self, probe, *, host: write(probe, host=host))
    probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert recorded == [True]


def test_probes_that_nobody_came_back_for_are_removed_also_by_the_next_agent(probes, images, tmp_path):
    probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    successor = Probes(tmp_path / "state", host="compute2")
    successor.remove_forgotten()
    assert len(left_in(images)) == 1, "not yet"
    [record] = records(tmp_path)
    long_ago = time.time() - PROBE_MAX_AGE_S - 1
    os.utime(record, (long_ago, long_ago))

    successor.remove_forgotten()

    assert left_in(images) == []
    assert records(tmp_path) == []


def test_storage_that_hangs_is_told_and_its_late_probe_removed(probes, images, monkeypatch):
    file_storage, unlink = storage.DRIVERS["file"], probes_module._unlink
    write = type(file_storage).write
    let_go, is_cleaned = threading.Event(), threading.Event()

    def hanging_write(self, probe, *, host):
        assert let_go.wait(WAIT_S)
        return write(self, probe, host=host)

    def unlink_and_tell(paths):
        done = unlink(paths)
        if let_go.is_set():
            is_cleaned.set()
        return done

    monkeypatch.setattr(probes_module, "STORAGE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(probes_module, "_unlink", unlink_and_tell)
    monkeypatch.setattr(type(file_storage), "write", hanging_write)
    with pytest.raises(StorageSilentError, match=r"web1\.raw"):
        probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    probes.remove(MIGRATION)

    let_go.set()

    assert is_cleaned.wait(WAIT_S)
    assert left_in(images) == []


# ---- a server that maps root to nobody: QEMU's user may what the agent may not


@pytest.fixture
def squashed(images, monkeypatch):
    """The directory is QEMU's user's alone, and the agent's own process is denied everything in it."""
    for directory in images.parents:
        if not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)
    os.chown(images, QEMU.uid, QEMU.gid)
    images.chmod(0o700)

    def denied(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    file_storage = type(storage.DRIVERS["file"])
    monkeypatch.setattr(file_storage, "write", denied)
    monkeypatch.setattr(file_storage, "compare", denied)
    monkeypatch.setattr(probes_module, "_unlink", lambda paths: not any(map(os.path.exists, paths)))
    return images


def test_qemus_user_writes_reads_and_removes_the_probe(probes, squashed, tmp_path):
    made, against = make(probes, (disk(squashed / "web1.raw"),), migration=MIGRATION, epoch=1, user=QEMU)

    [name] = left_in(squashed)
    assert against == ()
    assert (squashed / name).stat().st_uid == QEMU.uid
    assert probes_module.compare(made, dest="compute2", user=QEMU) == ()

    probes.remove(MIGRATION)

    assert left_in(squashed) == []
    assert records(tmp_path) == []


def test_where_neither_may_write_the_dest_says_so_and_sends_no_probe(probes, squashed, tmp_path):
    made, [on_dest] = make(probes, (disk(squashed / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert "compute2 cannot write there (Permission denied)" in on_dest.sentence
    assert made == ()
    assert records(tmp_path) == []


def test_where_neither_may_read_the_source_says_so(probes, squashed):
    made, against = make(probes, (disk(squashed / "web1.raw"),), migration=MIGRATION, epoch=1, user=QEMU)
    assert against == ()

    [on_source] = probes_module.compare(made, dest="compute2")

    assert "cannot be read on the source (Permission denied)" in on_source.sentence


def test_what_qemus_user_reads_is_compared_as_well(probes, squashed):
    made, _ = make(probes, (disk(squashed / "web1.raw"),), migration=MIGRATION, epoch=1, user=QEMU)
    (squashed / left_in(squashed)[0]).write_text("something else")

    [finding] = probes_module.compare(made, dest="compute2", user=QEMU)

    assert "reads differently" in finding.sentence


def test_a_directory_that_the_agent_may_not_enter_is_left_to_qemus_user(images, monkeypatch):
    def denied(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("compute_agent.storage.file.Path.exists", denied)

    examined = storage.DRIVERS["file"].examine(disk(images / "web1.raw"), host="compute2", probe_id="p")

    assert (examined.findings, examined.probe is not None) == ((), True)


# ---- links


@pytest.fixture
def link(images, tmp_path):
    """On shared storage, to a disk in a directory of its own."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "web2.raw").write_text("disk")
    (images / "web2.raw").symlink_to(own / "web2.raw")
    return images / "web2.raw"


def test_a_link_to_a_disk_on_shared_storage_is_followed(probes, link):
    made, _ = make(probes, (disk(link),), migration=MIGRATION, epoch=1)

    assert left_in(link.parent) == []
    assert len(left_in(link.resolve().parent)) == 1
    assert probes_module.compare(made, dest="compute2") == ()


def test_a_shared_link_to_a_disk_of_the_hosts_own_is_not_shared(probes, link):
    made, _ = make(probes, (disk(link),), migration=MIGRATION, epoch=1)
    own = link.resolve().parent
    own.rename(own.with_name("of-the-dest"))
    own.mkdir()
    (own / "web2.raw").write_text("another")

    [finding] = probes_module.compare(made, dest="compute2")

    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, str(link))


def test_links_of_one_name_to_two_files_beside_each_other_are_found(probes, link):
    made, _ = make(probes, (disk(link),), migration=MIGRATION, epoch=1)
    other = link.resolve().with_name("web3.raw")
    other.write_text("another")
    link.unlink()
    link.symlink_to(other)

    [finding] = probes_module.compare(made, dest="compute2")

    assert "it leads to web2.raw on compute2 and to web3.raw on the source" in finding.sentence


def test_hosts_may_reach_one_directory_by_paths_of_their_own(probes, images, tmp_path):
    way = tmp_path / "way"
    way.symlink_to(images)
    made, _ = make(probes, (disk(way / "web1.raw"),), migration=MIGRATION, epoch=1)
    images.rename(tmp_path / "elsewhere")
    way.unlink()
    way.symlink_to(tmp_path / "elsewhere")

    assert probes_module.compare(made, dest="compute2") == ()


# ---- given up


def given_up_in(probes, monkeypatch, method):
    """The owner is forgotten while the native thread is in this method of the driver."""
    file_storage = type(storage.DRIVERS["file"])
    original = getattr(file_storage, method)

    def forgotten_meanwhile(self, what, **names):
        probes.remove(MIGRATION)
        return original(self, what, **names)

    monkeypatch.setattr(file_storage, method, forgotten_meanwhile)


@pytest.mark.parametrize("method", ["examine", "write"])
def test_who_is_forgotten_while_probes_are_made_leaves_none(probes, images, tmp_path, monkeypatch, method):
    given_up_in(probes, monkeypatch, method)

    made, _ = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert (made, left_in(images), records(tmp_path)) == ((), [], [])


def test_storage_that_hangs_before_the_record_is_written_gets_no_probe_later(
    probes, images, tmp_path, monkeypatch
):
    """The check has given up and forgotten all of it before storage answers."""
    file_storage = type(storage.DRIVERS["file"])
    examine, let_go = file_storage.examine, threading.Event()

    def hanging_examine(self, what, **names):
        assert let_go.wait(WAIT_S)
        return examine(self, what, **names)

    monkeypatch.setattr(probes_module, "STORAGE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(file_storage, "examine", hanging_examine)
    with pytest.raises(StorageSilentError):
        probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    [attempt] = probes._attempts[MIGRATION]
    probes.remove(MIGRATION)

    let_go.set()

    wait_until(lambda: attempt.has_ended and not attempt.record.exists())
    assert left_in(images) == []
    assert records(tmp_path) == []


def test_a_late_attempt_cleans_up_behind_itself_only(probes, images, monkeypatch):
    file_storage = type(storage.DRIVERS["file"])
    write, let_go = file_storage.write, threading.Event()

    def hanging_write(self, probe, **names):
        assert let_go.wait(WAIT_S)
        return write(self, probe, **names)

    monkeypatch.setattr(probes_module, "STORAGE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(file_storage, "write", hanging_write)
    with pytest.raises(StorageSilentError):
        probes.make((disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)
    [late] = probes._attempts[MIGRATION]
    monkeypatch.setattr(file_storage, "write", write)
    monkeypatch.setattr(probes_module, "STORAGE_TIMEOUT_S", WAIT_S)
    [probe], _ = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    let_go.set()

    wait_until(lambda: late.has_ended and not late.record.exists())
    assert left_in(images) == [Path(probe.probe_path).name]
    probes.remove(MIGRATION)
    assert left_in(images) == []
    assert probes._attempts == {}


def test_a_record_of_an_earlier_version_is_understood(probes, images, tmp_path):
    left = images / ".limosa-probe-of-old"
    left.touch()
    (tmp_path / "state" / "probes" / f"{MIGRATION}.json").write_text(json.dumps([str(left)]))

    probes.remove(MIGRATION)

    assert (left_in(images), records(tmp_path)) == ([], [])


# ---- storage that fails


@pytest.fixture
def read_only(images, monkeypatch):
    """As Linux has it: where nothing may be written, what does not exist cannot be removed either."""

    def refused(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    open_file = os.open

    def open_or_refuse(path, flags, *rest, **names):
        return refused() if str(path).startswith(str(images)) else open_file(path, flags, *rest, **names)

    unlink = os.unlink

    def unlink_or_refuse(path, **names):
        return refused() if str(path).startswith(str(images)) else unlink(path, **names)

    monkeypatch.setattr(os, "open", open_or_refuse)
    monkeypatch.setattr(os, "unlink", unlink_or_refuse)


def test_storage_that_is_read_only_leaves_no_record_and_sends_no_probe(probes, images, read_only, tmp_path):
    made, [finding] = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert "cannot write there (Read-only file system)" in finding.sentence
    assert (made, records(tmp_path)) == ((), [])


@pytest.mark.parametrize("code", [errno.ENOTCONN, errno.ESTALE, errno.EIO])
@pytest.mark.parametrize("asked", ["is_dir", "exists"])
def test_storage_that_fails_is_a_finding_with_the_systems_words(probes, images, monkeypatch, code, asked):
    def fails(_path):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"compute_agent.storage.file.Path.{asked}", fails)

    _, [finding] = make(probes, (disk(images / "web1.raw"),), migration=MIGRATION, epoch=1)

    assert finding.code == STORAGE_NOT_SHARED.code
    assert f"compute2 cannot look there ({os.strerror(code)})" in finding.sentence


def wait_until(is_so):
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
