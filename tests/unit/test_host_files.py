"""Disk space, sizes of disks and the lock manager, as this host's files say; and storage that hangs."""

import threading
from pathlib import Path

import pytest

from common.facts import DiskFacts, GuestFacts
from compute_agent.hypervisor import host_files
from compute_agent.hypervisor.host_files import DiskSpace, HostFiles, lock_manager_in, virtual_size_bytes
from tests.fakes.agent import guest_facts

GIB = 2**30


@pytest.fixture
def files(tmp_path: Path) -> HostFiles:
    return HostFiles(qemu_conf=tmp_path / "qemu.conf", instances_path=tmp_path / "not/yet/made")


def raw(path: Path, size_gib: int) -> str:
    with path.open("wb") as file:
        file.truncate(size_gib * GIB)
    return str(path)


def qcow2(path: Path, size_gib: int) -> str:
    path.write_bytes(b"QFI\xfb\0\0\0\3".ljust(24, b"\0") + (size_gib * GIB).to_bytes(8, "big") + b"\0" * 100)
    return str(path)


def guest(*disks: DiskFacts) -> GuestFacts:
    return guest_facts("c1b2a5a4-0f0e-4f4b-8a7e-1d2c3b4a5f60", disks=disks)


def disk(source: str, **changes: str | bool) -> DiskFacts:
    return DiskFacts(**({"target": "vda", "type": "file", "source": source} | changes))  # type: ignore[arg-type]


def sized(files: HostFiles, *disks: DiskFacts) -> int:
    (found,) = files.with_disk_sizes((guest(*disks),), is_full=True)
    return found.disk_gib


def test_space_is_that_of_the_file_system_where_the_directory_would_be(files: HostFiles) -> None:
    space = files.disk_space()
    assert 0 <= space.free_gib <= space.total_gib
    assert space.total_gib > 0


def test_only_what_a_guest_writes_locally_is_counted(files: HostFiles, tmp_path: Path) -> None:
    assert sized(
        files,
        disk(raw(tmp_path / "a", 2)),
        disk(qcow2(tmp_path / "b", 5), format="qcow2"),
        disk(raw(tmp_path / "iso", 1), device="cdrom", is_readonly=True),
        disk(raw(tmp_path / "base", 1), is_readonly=True),
        disk("rbd:pool/image", type="network"),
        disk("", device="cdrom"),
        disk(str(tmp_path / "missing")),
    ) == 7  # fmt: skip


def test_part_of_a_gib_counts_as_one(files: HostFiles, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    assert sized(files, disk(str(tmp_path / "small"))) == 1


def test_raw_disk_on_which_a_guest_wrote_a_header_has_its_own_size(tmp_path: Path) -> None:
    path = Path(qcow2(tmp_path / "raw", 1000))
    assert virtual_size_bytes(path, "raw") == path.stat().st_size
    assert virtual_size_bytes(path, "qcow2") == 1000 * GIB


def test_damaged_qcow2_has_the_size_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(b"QFI\xfb")
    assert virtual_size_bytes(tmp_path / "cut", "qcow2") == 4


def test_storage_that_hangs_delays_one_report_and_leaves_what_was_known(
    files: HostFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = disk(raw(tmp_path / "a", 3))
    assert sized(files, known) == 3
    looks: list[Path] = []
    let_go, has_ended = threading.Event(), threading.Event()

    def hang(path: Path, _format: str) -> int:
        looks.append(path)
        let_go.wait(10)
        has_ended.set()
        return GIB

    with monkeypatch.context() as patched:
        patched.setattr(host_files, "virtual_size_bytes", hang)
        patched.setattr(host_files, "LOOK_TIMEOUT_S", 0.1)
        assert sized(files, known) == 3
        assert sized(files, known, disk("/new")) == 3, "a new disk is not known yet"
        assert len(looks) == 1, "no second thread hangs beside the first"
        let_go.set()
        assert has_ended.wait(10)
    for _ in range(100):  # until the thread has left
        if sized(files, known, disk(raw(tmp_path / "b", 1))) == 4:
            return
    pytest.fail("it was not looked again after the storage came back")


def test_space_that_cannot_be_asked_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path) -> DiskSpace:
        raise OSError("stale file handle")

    monkeypatch.setattr(host_files, "_space_of", broken)
    assert HostFiles(qemu_conf=tmp_path, instances_path=tmp_path).disk_space() == DiskSpace()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('lock_manager = "lockd"\n', "lockd"),
        ("# a comment\n  lock_manager='sanlock' # yes\n", "sanlock"),
        ('#lock_manager = "lockd"\n', ""),
        ('# lock_manager = "sanlock"\nlock_manager="nop"', ""),
        ('lock_manager = ""', ""),
        ("lock_manager = lockd", ""),  # libvirtd would not start with it
        ("\0\ufffd not a configuration", ""),
        ("", ""),
    ],
)
def test_lock_manager_of_a_qemu_conf(text: str, expected: str) -> None:
    assert lock_manager_in(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('migration_host = "node2.example"\n', "node2.example"),
        ('migration_host = "[2001:db8::2]"\n', "2001:db8::2"),
        ('#migration_host = "node2.example"\nmigration_address = "0.0.0.0"\n', ""),
    ],
)
def test_where_qemu_conf_has_memory_sent(files: HostFiles, tmp_path: Path, text: str, expected: str) -> None:
    assert files.migration_host() == ""
    (tmp_path / "qemu.conf").write_text(text)
    assert files.migration_host() == expected


def test_host_without_a_qemu_conf_has_no_lock_manager(files: HostFiles, tmp_path: Path) -> None:
    assert files.lock_manager() == ""
    (tmp_path / "qemu.conf").write_bytes(b'\xff\xfe\nlock_manager = "lockd"\n')
    assert files.lock_manager() == "lockd"


@pytest.mark.parametrize(
    ("text", "expected_mib"),
    [
        ("MemTotal: 8000000 kB\nCached: 4096 kB\nShmem:  4096 kB\nMemAvailable:  2048 kB\n", 2),
        ("MemTotal: 8000000 kB\n", None),
        (None, None),
    ],
)
def test_memory_that_the_kernel_could_give(
    tmp_path: Path, text: str | None, expected_mib: int | None
) -> None:
    meminfo = tmp_path / "meminfo"
    if text is not None:
        meminfo.write_text(text)
    files = HostFiles(qemu_conf=tmp_path / "none", instances_path=tmp_path, meminfo=meminfo)

    assert files.memory_available_mib() == expected_mib


def test_this_kernel_tells_what_it_could_give(files: HostFiles) -> None:
    assert (files.memory_available_mib() or 0) > 0
