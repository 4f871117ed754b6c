"""Images that are files: raw and qcow2.

A file gets its name only when it is whole: it is made under a name of the migration's own beside its place, noted by its
inode, and linked, which the kernel refuses where a file of that name is there already. So whatever stands in the note, no
other file than ours is ever removed, and no file is ever opened for writing that somebody else has made.
"""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from common import new_files
from common.errors import describe_os_error
from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.errors import CommandError
from compute_agent.image_places import is_for_images
from compute_agent.storage import qcow2
from compute_agent.storage.gate import GATE, Gate
from compute_agent.storage.making import (
    Identity,
    ImageExistsError,
    ImageInUseError,
    ImageMakingError,
    ImageNotCopyableError,
    MadeImage,
    Note,
    WantedImage,
    is_that,
)
from compute_agent.storage.room import Room, of_file
from compute_agent.subprocesses import User, run_command

PREFIX: Final = ".limosa-arriving-"
FORMATS: Final = ("raw", "qcow2")
LOOK_TIMEOUT_S = 20.0
SYNC_TIMEOUT_S = 600.0  # of what a guest has written and its host has not: some GiB to a slow disk
QEMU_IMG_TIMEOUT_S = 60.0

_SYNCS_MAX = 2
_BLOCK_BYTES = 512  # of st_blocks
_NEW_FILE = 0o600
_NEW_DIRECTORY = 0o755
_PERMISSIONS = 0o666  # nobody runs an image, least of all as its owner
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of x86-64 and arm64: type, whence, start, length, pid

T = TypeVar("T")

# Apart from the looks: a sync may well take minutes, and nothing hangs then.
_SYNC_GATE: Final = Gate(_SYNCS_MAX)


class FileMaker:
    """See `making.ImageMaker`. `name` of an image is its path."""

    def __init__(self, directories: Sequence[Path] = ()) -> None:
        """`directories`: of the system's own, where files may be made all the same."""
        self._directories = tuple(directories)

    def describe(self, disk: DiskFacts) -> DiskImage:
        try:
            return GATE.look(_describe, disk.source, disk.format, timeout_s=LOOK_TIMEOUT_S, what=disk.source)
        except (OSError, ValueError) as error:
            reason = describe_os_error(error) if isinstance(error, OSError) else str(error)
            raise ImageNotCopyableError(path=disk.source, reason=reason) from error

    def obstacle(self, path: str) -> str:
        return GATE.look(_obstacle, Path(path), self._directories, timeout_s=LOOK_TIMEOUT_S, what=path)

    def room(self, path: str) -> Room:
        try:
            return GATE.look(of_file, path, timeout_s=LOOK_TIMEOUT_S, what=path)
        except OSError as error:
            raise ImageMakingError(path=path, reason=describe_os_error(error)) from error

    def place(self, name: str) -> str:
        return name

    def find(self, name: str) -> Identity | None:
        return GATE.look(_find, name, timeout_s=LOOK_TIMEOUT_S, what=name)

    def make(self, wanted: WantedImage, *, note: Note) -> None:
        path = Path(wanted.image.path)
        temporary = path.parent / f"{PREFIX}{wanted.migration}-{wanted.target}"
        if is_that(self.find(wanted.image.path), wanted.noted):
            self._look(_unlink, temporary)
            return
        try:
            self._look(_require_place, path, self._directories)
            noted = {"temporary": str(temporary)}
            if "directory" in wanted.noted or self._look(_is_missing, path.parent):
                noted["directory"] = str(path.parent)
            note(noted)
            self._look(_make_file, temporary, wanted.image, noted.get("directory"))
            if wanted.image.format == "qcow2":
                _run_qemu_img(wanted.image, temporary)
            note({**noted, **self._look(_finish, temporary, wanted.image.mode, wanted.owner)})
            self._look(_give_name, temporary, path)
        except FileExistsError as error:
            raise ImageExistsError(path=path) from error
        except OSError as error:
            raise ImageMakingError(path=path, reason=describe_os_error(error)) from error
        except CommandError as error:
            raise ImageMakingError(path=path, reason=str(error)) from error

    def sync(self, name: str) -> None:
        _SYNC_GATE.look(_sync, name, timeout_s=SYNC_TIMEOUT_S, what=name)

    def remove(self, made: MadeImage) -> bool:
        return GATE.look(_remove, made, timeout_s=LOOK_TIMEOUT_S, what=made.name)

    @staticmethod
    def _look(function: Callable[..., T], path: Path, *arguments: object) -> T:
        return GATE.look(function, path, *arguments, timeout_s=LOOK_TIMEOUT_S, what=str(path))


def qemu_img_create(image: DiskImage, path: Path) -> list[str]:
    """The command that makes an empty image like this one. Pure.

    `-u`: the images below are not opened. They may come later, and a relative name counts from this one's directory.
    """
    options = [f"{name}={value}" for name, value in sorted(image.options.items())]
    backing = ["-u", "-b", image.backing, "-F", image.backing_format or "raw"] if image.backing else []
    size = str(image.virtual_bytes)
    with_options = ["-o", ",".join(options)] if options else []
    return ["qemu-img", "create", "-q", "-f", image.format, *with_options, *backing, str(path), size]


def _run_qemu_img(image: DiskImage, path: Path) -> None:
    argv = qemu_img_create(image, path)
    finished = run_command(argv, timeout_s=QEMU_IMG_TIMEOUT_S)
    if finished.code != 0:
        raise CommandError(program=argv[0], reason=finished.last_line)


# ---- in native threads


def _describe(path: str, format: str) -> DiskImage:
    """Raises OSError; ValueError with a half-sentence that says why it cannot be made anew elsewhere."""
    if format not in FORMATS:
        raise ValueError(f"its format is {format}, and only {' and '.join(FORMATS)} can be made anew")
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no file")
    header = _header_of(path) if format == "qcow2" else qcow2.Header(virtual_bytes=found.st_size)
    return DiskImage(
        type="file",
        path=path,
        format=format,
        virtual_bytes=header.virtual_bytes,
        allocated_bytes=found.st_blocks * _BLOCK_BYTES,
        backing=header.backing,
        backing_format=header.backing_format,
        options=header.options,
        identity=_identity(found),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
    )


def _header_of(path: str) -> qcow2.Header:
    with Path(path).open("rb") as file:
        header = qcow2.read(file.read(qcow2.HEADER_MAX_BYTES))
    if header.is_encrypted:
        raise ValueError("it is encrypted, and an image like it cannot be made without its secret")
    if header.has_data_file:
        raise ValueError("its data are in a file of their own")
    if header.snapshots:
        raise ValueError(f"it has {header.snapshots} internal snapshot(s), which would be lost")
    return header


def _require_place(path: Path, also: Sequence[Path]) -> None:
    """The plan is the source's word: see `image_places`."""
    reason = _obstacle(path, also)
    if reason:
        raise ImageMakingError(path=path, reason=reason)


def _obstacle(path: Path, also: Sequence[Path]) -> str:
    """Of its directories the last one may be missing: many keep one for each guest."""
    parent = Path(os.path.realpath(path.parent))  # of guests/web1/../bases too, where web1 is yet to be made
    directory = parent if parent.is_dir() else parent.parent
    if not directory.is_dir():
        return f"there is no directory {directory}"
    if not is_for_images(directory, also=also):
        return f"{directory} is the system's own, and [storage]image_directories does not name it"
    return "" if os.access(directory, os.W_OK | os.X_OK) else f"{directory} cannot be written to"


def _identity(found: os.stat_result) -> Identity:
    return {"device": str(found.st_dev), "inode": str(found.st_ino)}


def _find(name: str) -> Identity | None:
    try:
        return _identity(Path(name).lstat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_missing(directory: Path) -> bool:
    return not directory.exists()


def _make_file(temporary: Path, image: DiskImage, directory: str | None) -> None:
    """Under a name of our own: what is there under it, an earlier try of the same migration has left."""
    if directory is not None:
        Path(directory).mkdir(mode=_NEW_DIRECTORY, exist_ok=True)
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(temporary, flags, _NEW_FILE), "wb") as file:
        if image.format == "raw":
            file.truncate(image.virtual_bytes)


def _finish(temporary: Path, mode: int, owner: User | None) -> Identity:
    if owner is not None:
        os.chown(temporary, owner.uid, owner.gid)
    temporary.chmod(mode & _PERMISSIONS)
    return _identity(temporary.lstat())


def _give_name(temporary: Path, path: Path) -> None:
    os.link(temporary, path, follow_symlinks=False)  # never over another file, as a rename would
    temporary.unlink()
    new_files.sync_directory(path.parent)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _sync(name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new_files.sync_directory(Path(os.path.realpath(name)).parent)


def _remove(made: MadeImage) -> bool:
    if "temporary" in made.identity:
        Path(made.identity["temporary"]).unlink(missing_ok=True)
    is_removed = _remove_file(Path(made.name), made.identity)
    if "directory" in made.identity:
        with suppress(OSError):  # not empty: somebody uses it
            Path(made.identity["directory"]).rmdir()
    return is_removed


def _remove_file(name: Path, identity: Identity) -> bool:
    """Where the name is a link, both go: the source's disk may stand elsewhere."""
    real = Path(os.path.realpath(name))
    try:
        descriptor = os.open(real, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not is_that(_identity(found), identity):
            return False
        if _is_locked(descriptor):
            raise ImageInUseError(path=name)
        real.unlink()
    finally:
        os.close(descriptor)
    if name.is_symlink():
        name.unlink()
    new_files.sync_directory(real.parent)
    return True


def _is_locked(descriptor: int) -> bool:
    """Whether a QEMU has it open, here or on any host that the file system carries locks to (QEMU, file-posix.c)."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        if error.errno in (errno.EINVAL, errno.ENOTSUP, errno.ENOLCK):  # the file system has no such locks
            return False
        raise
    return False
