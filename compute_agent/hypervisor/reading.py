"""What a hypervisor offers for reading files of other hosts: the protocol, which libvirt and the tests' fake implement."""

from typing import Protocol


class Receiver(Protocol):
    """Takes what a file consists of, from its beginning on. Called in a native thread; what it raises ends the reading."""

    def data(self, piece: bytes) -> None: ...

    def hole(self, length_bytes: int) -> None: ...


class RemoteFile(Protocol):
    """One file of another host. Made and closed in ordinary threads."""

    def read(self, receiver: Receiver) -> None:
        """All of it. Blocks: for a native thread. Raises HypervisorError, or what the receiver raises."""

    def close(self) -> None:
        """Let it go, also while it is read."""


class RemoteFiles(Protocol):
    def open_remote_file(self, uri: str, path: str) -> RemoteFile:
        """The file of this path on the host whose libvirtd is found there, ready to be read.

        Raises RemoteFileGoneError for one that is not there or cannot be read, HypervisorError.
        """

    def forget_remote_directory(self, uri: str, path: str) -> None:
        """Remove what reading this file may have left on that host, where its reader died. Raises HypervisorError."""
