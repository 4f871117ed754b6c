"""Files of another host, read through its libvirtd: no further service, port or key is needed for it than for a migration.

libvirt reads files only as volumes of a storage pool. Where the source has one of that directory, it is used; otherwise a
transient one is made for as long as the file is read. Making and starting such a pool writes nothing below its directory.
"""

import hashlib
import logging
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Final
from xml.sax.saxutils import escape

import libvirt

from common import concurrency
from compute_agent.hypervisor.connection import Connection
from compute_agent.hypervisor.libvirt_errors import HypervisorError, RemoteFileGoneError
from compute_agent.hypervisor.reading import Receiver, RemoteFile

POOL_PREFIX: Final = "limosa-"
PIECE_BYTES: Final = 2**18  # libvirt sends at most so much at once
FIND_TIMEOUT_S: Final = 60.0  # a pool looks at every file of its directory
FIND_TRIES: Final = 20  # another host that copies from there may end its use of the pool at any moment
FIND_PAUSE_S: Final = 0.05
# The last one: another reader is ending the pool, it is "not active".
_GONE: Final = (
    libvirt.VIR_ERR_NO_STORAGE_VOL,
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_OPERATION_INVALID,
)

LOG = logging.getLogger(__name__)


class LibvirtRemoteFiles:
    """See `reading.RemoteFiles`."""

    def __init__(self, *, timeout_s: float) -> None:
        self._peer_timeout_s = timeout_s

    def open_remote_file(self, uri: str, path: str) -> RemoteFile:
        connection = Connection.open(uri, timeout_s=self._peer_timeout_s, is_peer=True)
        try:
            for _ in range(FIND_TRIES):
                volume = connection.call(lambda handle: _find(handle, path), timeout_s=FIND_TIMEOUT_S)
                if volume is not None:
                    return LibvirtRemoteFile(connection, volume, path)
                concurrency.sleep(FIND_PAUSE_S)
        except BaseException:
            connection.close()
            raise
        with suppress(HypervisorError):
            connection.call(lambda handle: _remove_pool(handle, path), timeout_s=self._peer_timeout_s)
        connection.close()
        raise RemoteFileGoneError(uri=uri, path=path)

    def forget_remote_directory(self, uri: str, path: str) -> None:
        connection = Connection.open(uri, timeout_s=self._peer_timeout_s, is_peer=True)
        try:
            connection.call(lambda handle: _remove_pool(handle, path), timeout_s=self._peer_timeout_s)
        finally:
            connection.close()


class LibvirtRemoteFile:
    """See `reading.RemoteFile`."""

    def __init__(self, connection: Connection, volume: Any, path: str) -> None:
        self._connection = connection
        self._volume: Any = volume
        self._path = path

    def read(self, receiver: Receiver) -> None:
        volume, self._volume = self._volume, None
        self._connection.call_here(lambda handle: _read(handle, volume, self._path, receiver))

    def close(self) -> None:
        self._volume = None
        self._connection.close()


# ---- in native threads


def _find(handle: Any, path: str) -> Any | None:
    """The volume; None if it is not there, or somebody else has just ended the pool that it was in."""
    with suppress(libvirt.libvirtError):
        return handle.storageVolLookupByPath(path)
    try:
        pool = _pool_of(handle, str(PurePosixPath(path).parent))
        # A pool knows what was there when it was looked through last. One that is busy cannot be asked to.
        with suppress(libvirt.libvirtError):
            pool.refresh()
        return pool.storageVolLookupByName(PurePosixPath(path).name)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _GONE:
            return None
        raise


def _pool_of(handle: Any, directory: str) -> Any:
    """The pool of this directory that is there, or one of ours."""
    wanted = f"<path>{escape(directory)}</path>"
    for pool in handle.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        with suppress(libvirt.libvirtError):  # it went while we listed
            if wanted in pool.XMLDesc(0).partition("<target>")[2]:
                return pool
    xml = (
        f"<pool type='dir'><name>{_pool_name(directory)}</name>"
        f"<target><path>{escape(directory)}</path></target></pool>"
    )
    try:
        return handle.storagePoolCreateXML(xml, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:  # not "already exists"
            raise
        return handle.storagePoolLookupByName(_pool_name(directory))  # somebody else was faster


def _pool_name(directory: str) -> str:
    """The same for every host that reads from there: libvirt wants one pool for a directory."""
    return POOL_PREFIX + hashlib.sha256(directory.encode()).hexdigest()[:16]


def _remove_pool(handle: Any, path: str) -> None:
    """Ours only. Whoever else reads from it has its file open and reads on."""
    try:
        pool = handle.storagePoolLookupByName(_pool_name(str(PurePosixPath(path).parent)))
        pool.destroy()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _GONE:
            raise


def _begin(handle: Any, volume: Any, path: str) -> Any:
    """A stream of the file; found again where another reader has removed the pool since."""
    for _ in range(FIND_TRIES):
        stream = handle.newStream(0)
        try:
            if volume is not None:
                volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
                return stream
        except libvirt.libvirtError as error:
            if error.get_error_code() not in _GONE:
                raise
        volume = _find(handle, path)
    raise RemoteFileGoneError(uri=handle.getURI(), path=path)


def _read(handle: Any, volume: Any, path: str, receiver: Receiver) -> None:
    stream = _begin(handle, volume, path)
    try:
        with suppress(
            libvirt.libvirtError
        ):  # it is busy: `forget_remote_directory`, or the next reader, does it
            _remove_pool(handle, path)
        while True:  # ends with the file
            piece = stream.recvFlags(PIECE_BYTES, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
            if piece == _AT_HOLE:
                receiver.hole(int(stream.recvHole()))
            elif not piece:
                break
            else:
                receiver.data(piece)
        stream.finish()
    except BaseException:
        with suppress(libvirt.libvirtError):
            stream.abort()
        raise


_AT_HOLE: Final = -3  # of virStreamRecvFlags
