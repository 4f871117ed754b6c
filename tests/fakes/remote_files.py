"""The files of a fake host, as other hosts read them through its libvirtd."""

from collections.abc import Callable
from typing import Protocol

from compute_agent.hypervisor.libvirt_errors import RemoteFileGoneError
from compute_agent.hypervisor.reading import Receiver

_PIECE_BYTES = 4096


class _Peer(Protocol):
    files: dict[str, bytes]

    def require_up(self) -> None: ...


class FakeRemoteFile:
    def __init__(self, peer: _Peer, content: bytes) -> None:
        self._peer = peer
        self._content = content

    def read(self, receiver: Receiver) -> None:
        """In pieces; those of zeros only are holes."""
        for start in range(0, len(self._content), _PIECE_BYTES):
            self._peer.require_up()
            piece = self._content[start : start + _PIECE_BYTES]
            receiver.data(piece) if any(piece) else receiver.hole(len(piece))

    def close(self) -> None:
        pass


class FakeRemoteFiles:
    """`files` are those of this host by path; `forgotten` what was removed of the pools on others."""

    def __init__(self, peer_by_uri: Callable[[str], _Peer]) -> None:
        self.files: dict[str, bytes] = {}
        self.forgotten: list[tuple[str, str]] = []
        self.on_read: Callable[[], None] = lambda: None
        self._peer_by_uri = peer_by_uri

    def open_remote_file(self, uri: str, path: str) -> FakeRemoteFile:
        self.on_read()
        peer = self._peer_by_uri(uri)
        peer.require_up()
        if path not in peer.files:
            raise RemoteFileGoneError(uri=uri, path=path)
        return FakeRemoteFile(peer, peer.files[path])

    def forget_remote_directory(self, uri: str, path: str) -> None:
        self._peer_by_uri(uri).require_up()
        self.forgotten.append((uri, path))
