"""Copy a file of the source to this host, before the guest comes: whole and equal, or not at all.

It is written beside its place under a name of our own, compared, and given its name only where nothing has that name. Both
names stand in the record of the arrival before they are on the disk, so that `undo` finds all of it, after a crash too.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from common import concurrency, new_files
from common.errors import describe_os_error
from compute_agent import durable
from compute_agent.checksums import Checksums, Content
from compute_agent.errors import CopyError, OriginalGoneError, PlaceTakenError
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.hypervisor.libvirt_errors import HypervisorError, RemoteFileGoneError
from compute_agent.hypervisor.reading import RemoteFiles
from compute_agent.long_work import LONG_WORK, LongWork, Watch
from compute_agent.preparing.arrivals import ArrivalRecord, Arrivals, Item
from compute_agent.storage.users import users_of
from compute_agent.storage.volume import located_guests

TEMPORARY_PREFIX: Final = ".limosa-copy-"
UNFINISHED: Final = "unfinished copy"  # kinds of items
COPY: Final = "copy"
USED: Final = "used"  # it was there; it is not ours to remove
FILE_TIMEOUT_S: Final = 30.0
_PERMISSIONS: Final = 0o666  # nobody runs what was copied, least of all as its owner
SYNC_EVERY_BYTES: Final = (
    128 * 2**20
)  # so that the last sync of a large file does not look like storage that hangs

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A file as the source has it, and has found it out by reading it."""

    path: str
    size_bytes: int
    sha256: str
    allocated_bytes: int = 0  # what it takes of its storage; 0: as much as its size
    mode: int = 0o644  # what its copy gets, whatever the umask
    uid: int | None = None  # None: the agent's
    gid: int | None = None

    @property
    def content(self) -> Content:
        return Content(size_bytes=self.size_bytes, sha256=self.sha256)


class Copying:
    """The copies of this host. For ordinary threads."""

    def __init__(
        self,
        files: RemoteFiles,
        *,
        arrivals: Arrivals,
        checksums: Checksums,
        is_used: Callable[[str], bool] = lambda _path: False,
        work: LongWork = LONG_WORK,
    ) -> None:
        """`is_used`: whether a guest of this host names that path."""
        self._files = files
        self._arrivals = arrivals
        self._checksums = checksums
        self._is_used = is_used
        self._work = work
        self._lock = threading.Lock()  # of names that appear and go

    def copy(
        self,
        original: Original,
        place: Path,
        *,
        uri: str,
        record: ArrivalRecord,
        part: str,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Whether `place` was made; False if an equal file is there already. Its directory must be there.

        `uri`: of the source's libvirtd; `part`: the preparation that will call `undo`. May be repeated.
        Raises OriginalGoneError, PlaceTakenError, CopyError, WorkStoppedError, StorageSilentError, HypervisorError.
        """
        # Each part has its own: two of them may bring one file at the same time.
        temporary = place.with_name(f"{TEMPORARY_PREFIX}{record.migration}-{_short(part, place.name)}")
        unfinished = Item(
            part=part, kind=UNFINISHED, name=str(temporary), identity={"uri": uri, "path": original.path}
        )
        if self.find(original, place, record=record, part=part, is_stopped=is_stopped):
            self._discard(temporary)  # of an agent that died when it had just given the copy its name
            record.forget(unfinished)
            return any(item.name == str(place) for item in _of(record, part, COPY))
        record.write(unfinished)
        try:
            _require_room(original, place.parent)
            self._fetch(original, temporary, uri=uri, is_stopped=is_stopped)
            is_made = self._name(temporary, place, record, part)
        except OSError as error:
            raise CopyError(path=original.path, reason=_reason(error, place)) from error
        finally:
            self._discard(temporary)
        record.forget(unfinished)
        if not is_made and not self._is_there(place, original, is_stopped):
            raise CopyError(path=original.path, reason=f"{place} appeared and went meanwhile")
        return is_made

    def find(
        self,
        original: Original,
        place: Path,
        *,
        record: ArrivalRecord,
        part: str,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Whether an equal file is at this place; then no other arrival's undo takes it away. Raises PlaceTakenError."""
        self._use(place, record, part)
        return self._is_there(place, original, is_stopped)

    def undo(self, record: ArrivalRecord, part: str) -> tuple[str, ...]:
        """Remove what `copy` made for this part of this arrival, and nothing that others use by now: as sentences."""
        sentences = []
        for item in _of(record, part, UNFINISHED):
            self._discard(Path(item.name))
            self._forget_at_source(item)
            record.forget(item)
        for item in _of(record, part, COPY):
            if self._remove(item, record):
                sentences.append(f"{item.name} was removed")
            record.forget(item)
        for item in _of(record, part, USED):
            record.forget(item)
        return tuple(sentences)

    # ---- within

    def _use(self, place: Path, record: ArrivalRecord, part: str) -> None:
        """Under the lock of names: it is not removed between our entry and our look."""
        with self._lock:
            record.write(Item(part=part, kind=USED, name=str(place)))

    def _is_there(self, place: Path, original: Original, is_stopped: Callable[[], bool]) -> bool:
        """Whether an equal file is there. Raises PlaceTakenError for another one."""
        try:
            size_bytes = concurrency.call_blocking(lambda: place.stat().st_size, timeout_s=FILE_TIMEOUT_S)
            is_equal = size_bytes == original.size_bytes and (
                self._checksums.of(str(place), is_stopped=is_stopped) == original.content
            )
        except FileNotFoundError:
            return False
        except OSError as error:
            raise CopyError(path=original.path, reason=_reason(error, place)) from error
        if not is_equal:
            raise PlaceTakenError(path=str(place))
        return True

    def _fetch(
        self, original: Original, temporary: Path, *, uri: str, is_stopped: Callable[[], bool]
    ) -> None:
        try:
            remote = self._files.open_remote_file(uri, original.path)
        except RemoteFileGoneError as error:
            raise OriginalGoneError(path=original.path) from error
        LOG.info("copying %s of %s to %s, %d bytes", original.path, uri, temporary, original.size_bytes)

        def receive(watch: Watch) -> Content:
            with _Receiver(temporary, original, watch) as receiver:
                remote.read(receiver)
                return receiver.finish()

        try:
            received = self._work.run(receive, what=original.path, is_stopped=is_stopped)
        finally:
            remote.close()
        if received != original.content:
            reason = "what arrived is not what the source had when it was checked"
            raise CopyError(path=original.path, reason=reason)

    def _name(self, temporary: Path, place: Path, record: ArrivalRecord, part: str) -> bool:
        """Give the finished copy its name. False where something has that name by now."""
        status = temporary.stat()
        identity = {"inode": str(status.st_ino), "size_bytes": str(status.st_size)}
        item = Item(part=part, kind=COPY, name=str(place), identity=identity)
        record.write(item)
        try:
            with self._lock:
                place.hardlink_to(temporary)  # unlike a rename it replaces nothing
        except FileExistsError:
            record.forget(item)
            return False
        concurrency.call_blocking(new_files.sync_directory, place.parent, timeout_s=FILE_TIMEOUT_S)
        return True

    def _discard(self, temporary: Path) -> None:
        temporary.unlink(missing_ok=True)

    def _remove(self, item: Item, record: ArrivalRecord) -> bool:
        path = Path(item.name)
        with self._lock:
            if self._is_used(item.name) or self._is_awaited(item.name, but=record.migration):
                return False
            try:
                status = path.lstat()
            except FileNotFoundError:
                return False
            if (str(status.st_ino), str(status.st_size)) != (
                item.identity.get("inode"),
                item.identity.get("size_bytes"),
            ):
                return False  # somebody has put another one there
            path.unlink()
        new_files.sync_directory(path.parent)
        return True

    def _is_awaited(self, name: str, *, but: str) -> bool:
        """Whether another guest that is to come will find it there."""
        records = (record for record in self._arrivals.all() if record.migration != but)
        return any(
            item.kind in (COPY, USED) and item.name == name for record in records for item in record.all_items
        )

    def _forget_at_source(self, item: Item) -> None:
        """The agent died while it read there. The source may be away: then what it has is one transient pool."""
        try:
            self._files.forget_remote_directory(item.identity["uri"], item.identity["path"])
        except HypervisorError as error:
            LOG.warning("a storage pool may be left on the source: %s", error)


class _Receiver:
    """See `reading.Receiver`. In a native thread."""

    def __init__(self, temporary: Path, original: Original, watch: Watch) -> None:
        self._temporary = temporary
        self._original = original
        self._watch = watch
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._unsynced_bytes = 0

    def __enter__(self) -> "_Receiver":
        self._temporary.unlink(missing_ok=True)  # of an agent that died
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._temporary, flags, durable.PRIVATE_FILE), "wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def data(self, piece: bytes) -> None:
        self._grow(len(piece))
        self._digest.update(piece)
        left = memoryview(piece)
        while left:
            left = left[self._file.write(left) :]
        self._unsynced_bytes += len(piece)
        if self._unsynced_bytes > SYNC_EVERY_BYTES:
            os.fdatasync(self._file.fileno())
            self._unsynced_bytes = 0
        self._watch.advance(len(piece))

    def hole(self, length_bytes: int) -> None:
        self._grow(length_bytes)
        self._file.seek(length_bytes, os.SEEK_CUR)
        while length_bytes > 0:
            piece = _ZEROS[:length_bytes]
            self._digest.update(piece)
            length_bytes -= len(piece)
            self._watch.advance(len(piece))

    def finish(self) -> Content:
        """On the disk, and as its reader is to find it."""
        original, descriptor = self._original, self._file.fileno()
        os.ftruncate(descriptor, self._size_bytes)  # a hole at the end
        if original.uid is not None and original.gid is not None:
            os.fchown(descriptor, original.uid, original.gid)
        os.fchmod(descriptor, original.mode & _PERMISSIONS)
        os.fsync(descriptor)
        return Content(size_bytes=self._size_bytes, sha256=self._digest.hexdigest())

    def _grow(self, length_bytes: int) -> None:
        self._size_bytes += length_bytes
        if self._size_bytes > self._original.size_bytes:
            reason = "it is longer than the source had it when it was checked"
            raise CopyError(path=self._original.path, reason=reason)


class Copier(Protocol):
    """What of `Copying` preparations use."""

    def copy(
        self,
        original: Original,
        place: Path,
        *,
        uri: str,
        record: ArrivalRecord,
        part: str,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> bool: ...

    def undo(self, record: ArrivalRecord, part: str) -> tuple[str, ...]: ...


def is_used_here(hypervisor: Hypervisor, path: str) -> bool:
    """Whether a guest of this host names that path or stands on it, running or not.

    Raises HypervisorError, StorageSilentError.
    """
    guests = tuple(located_guests(hypervisor.list_guests(), hypervisor))
    if any(path == file for guest in guests for _, file in guest.boot_files):
        return True
    return bool(users_of(path, guests))


_MIB: Final = 2**20
_ZEROS: Final = bytes(_MIB)


def _of(record: ArrivalRecord, part: str, kind: str) -> tuple[Item, ...]:
    return tuple(item for item in record.items(part) if item.kind == kind)


def _require_room(original: Original, directory: Path) -> None:
    """A file system that is filled stops the guests that are here already. Raises CopyError, OSError."""
    needed_bytes = original.allocated_bytes or original.size_bytes
    found = concurrency.call_blocking(os.statvfs, directory, timeout_s=FILE_TIMEOUT_S)
    free_bytes = found.f_bavail * found.f_frsize
    if free_bytes < needed_bytes:
        reason = f"{directory} has {free_bytes // _MIB} MiB free, and it takes {-(-needed_bytes // _MIB)} MiB"
        raise CopyError(path=original.path, reason=reason)


def _reason(error: OSError, place: Path) -> str:
    return describe_os_error(error) if error.filename else f"{place.parent}: {error.strerror or error}"


def _short(part: str, name: str) -> str:
    """File names end at 255 bytes, ours has more than theirs."""
    return hashlib.sha256(f"{part}/{name}".encode()).hexdigest()[:16]
