"""Files of the source are copied whole and equal, or not at all, and nothing of it is left by its undo."""

import hashlib
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from compute_agent.checksums import Checksums
from compute_agent.copying import UNFINISHED, Copying, Original, is_used_here
from compute_agent.errors import CopyError, OriginalGoneError, PlaceTakenError, WorkStoppedError
from compute_agent.hypervisor.libvirt_errors import HypervisorError
from compute_agent.preparing import Arrivals
from compute_agent.preparing.arrivals import ArrivalRecord
from tests.fakes.domain import guest_xml
from tests.fakes.hypervisor import FakeWorld

URI = "qemu+tcp://compute1/system"
CONTENT = b"boot" * 5000 + bytes(3 * 4096) + b"end"
PATH = "/isos/debian.iso"


class Host:
    """A dest whose source has one file."""

    def __init__(self, tmp_path: Path) -> None:
        self.world = FakeWorld("compute1", "compute2")
        self.source, self.dest = self.world.hosts["compute1"], self.world.hosts["compute2"]
        self.source.files[PATH] = CONTENT
        (tmp_path / "state").mkdir()
        (tmp_path / "files").mkdir()
        self.directory = tmp_path / "files"
        self.place = self.directory / "debian.iso"
        self.arrivals = Arrivals(tmp_path / "state")
        self.used: set[str] = set()
        self.copying = Copying(
            self.dest, arrivals=self.arrivals, checksums=Checksums(), is_used=self.used.__contains__
        )

    def record(self, migration: str = "m1") -> ArrivalRecord:
        return self.arrivals.open(migration, instance="i1")

    def copy(
        self, migration: str = "m1", *, original: Original | None = None, is_stopped: bool = False
    ) -> bool:
        return self.copying.copy(
            original or original_of(CONTENT),
            self.place,
            uri=URI,
            record=self.record(migration),
            part="media",
            is_stopped=lambda: is_stopped,
        )

    def undo(self, migration: str = "m1") -> tuple[str, ...]:
        return self.copying.undo(self.record(migration), "media")

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


def original_of(content: bytes, path: str = PATH, mode: int = 0o644) -> Original:
    digest = hashlib.sha256(content).hexdigest()
    return Original(path=path, size_bytes=len(content), sha256=digest, mode=mode)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_copy_is_equal_and_has_the_mode_asked_for(host: Host) -> None:
    assert host.copy(original=original_of(CONTENT, mode=0o640))

    assert host.place.read_bytes() == CONTENT
    assert host.place.stat().st_mode & 0o777 == 0o640
    assert host.names == ["debian.iso"]


def test_an_equal_file_is_used_and_not_removed_by_the_undo(host: Host) -> None:
    host.place.write_bytes(CONTENT)

    assert not host.copy()
    assert host.undo() == ()
    assert host.place.read_bytes() == CONTENT


def test_another_file_of_that_name_stays(host: Host) -> None:
    host.place.write_bytes(b"x" * len(CONTENT))

    with pytest.raises(PlaceTakenError):
        host.copy()

    host.undo()
    assert host.place.read_bytes() == b"x" * len(CONTENT)


def test_the_undo_removes_the_copy_and_a_second_one_nothing(host: Host) -> None:
    host.copy()

    assert host.undo() == (f"{host.place} was removed",)
    assert host.undo() == ()
    assert host.names == []


def test_a_repeated_copy_is_the_first_one(host: Host) -> None:
    host.copy()

    assert host.copy()
    host.undo()
    assert host.names == []


def test_the_undo_leaves_what_another_arrival_has_found_there(host: Host) -> None:
    host.copy("m1")
    host.copy("m2")

    assert host.undo("m1") == ()
    assert host.names == ["debian.iso"]


def test_the_undo_leaves_what_a_guest_of_this_host_uses_by_now(host: Host) -> None:
    host.copy()
    host.used.add(str(host.place))

    host.undo()

    assert host.names == ["debian.iso"]


def test_the_undo_leaves_a_file_that_somebody_has_put_there_instead(host: Host) -> None:
    host.copy()
    replacement = host.directory / "other"
    replacement.write_bytes(CONTENT)
    replacement.replace(host.place)

    assert host.undo() == ()
    assert host.names == ["debian.iso"]


def test_a_file_that_changed_since_the_check_is_not_copied(host: Host) -> None:
    host.source.files[PATH] = CONTENT[:-1] + b"!"

    with pytest.raises(CopyError, match="not what the source had"):
        host.copy()

    assert host.names == []


def test_a_file_that_has_grown_is_not_read_to_its_end(host: Host) -> None:
    host.source.files[PATH] = CONTENT + b"more"

    with pytest.raises(CopyError, match="longer"):
        host.copy()

    assert host.names == []


def test_a_file_that_vanished_is_told(host: Host) -> None:
    del host.source.files[PATH]

    with pytest.raises(OriginalGoneError, match=PATH):
        host.copy()


def test_a_source_that_is_away_is_told_and_the_rest_is_undone(host: Host) -> None:
    host.source.is_down = True

    with pytest.raises(HypervisorError):
        host.copy()

    assert host.undo() == ()
    assert host.names == []


def test_a_copy_is_stopped_by_a_newer_command(host: Host) -> None:
    with pytest.raises(WorkStoppedError):
        host.copying.copy(
            original_of(CONTENT),
            host.place,
            uri=URI,
            record=host.record(),
            part="media",
            is_stopped=_after(host),
        )

    host.undo()
    assert host.names == []


def test_a_directory_that_is_missing_is_told(host: Host) -> None:
    host.place = host.directory / "missing" / "debian.iso"

    with pytest.raises(CopyError, match="No such file or directory"):
        host.copy()


def test_a_file_that_does_not_fit_is_refused_before_it_is_read(host: Host) -> None:
    huge = Original(path=PATH, size_bytes=2**60, sha256="")

    with pytest.raises(CopyError, match="MiB free"):
        host.copy(original=huge)

    assert host.names == []


def test_the_undo_removes_what_an_agent_that_died_had_begun(host: Host) -> None:
    host.dest.on_read = _die
    with pytest.raises(KeyboardInterrupt):
        host.copy()
    [temporary] = [Path(item.name) for item in host.record().all_items if item.kind == "unfinished copy"]
    temporary.write_bytes(b"half")

    host.undo()

    assert host.names == []
    assert host.dest.forgotten == [(URI, PATH)]


def test_two_parts_that_bring_one_file_at_the_same_time_do_not_write_into_each_others(host: Host) -> None:
    """A read-only disk of a guest may be the base of another one."""
    record, begun = host.record(), []

    def bring_it_for_another_part() -> None:
        host.dest.on_read = lambda: None
        begun.extend(item.name for item in record.all_items if item.kind == UNFINISHED)
        Path(begun[0]).write_bytes(b"half")
        host.copying.copy(original_of(CONTENT), host.place, uri=URI, record=record, part="bases")
        assert Path(begun[0]).read_bytes() == b"half"

    host.dest.on_read = bring_it_for_another_part
    host.copying.copy(original_of(CONTENT), host.place, uri=URI, record=record, part="media")

    assert len(begun) == 1
    assert host.place.read_bytes() == CONTENT
    assert host.names == ["debian.iso"]


def test_a_repeated_copy_leaves_nothing_of_an_agent_that_died_when_it_had_named_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Copying, "_discard", lambda *_: None)
        patch.setattr(ArrivalRecord, "forget", lambda *_: _die())
        with pytest.raises(KeyboardInterrupt):
            host.copy()
    assert len(host.names) == 2

    assert host.copy()

    assert host.names == ["debian.iso"]
    assert [item.kind for item in host.record().all_items if item.kind == UNFINISHED] == []


def test_what_a_guest_that_is_off_stands_on_is_used(host: Host) -> None:
    """Its definition names the overlay alone."""
    base, overlay = host.directory / "base.img", host.directory / "top.qcow2"
    base.write_bytes(bytes(512))
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.img", "-F", "raw", str(overlay), "1M"]
    subprocess.run(create, check=True)
    disk = f"<disk type='file'><driver type='qcow2'/><source file='{overlay}'/><target dev='vda'/></disk>"
    host.dest.add_guest(guest_xml("web2", devices=disk), is_running=False)

    assert is_used_here(host.dest, str(base))
    assert not is_used_here(host.dest, str(host.place))


def _die() -> None:
    raise KeyboardInterrupt


def _after(host: Host) -> Callable[[], bool]:
    """Stopped when the reading has begun, which it holds."""
    stopped = threading.Event()
    original_require_up = host.source.require_up

    def wait() -> None:
        stopped.wait(1.0)
        original_require_up()

    host.source.require_up = wait  # type: ignore[method-assign]

    def is_stopped() -> bool:
        stopped.set()
        return True

    return is_stopped
