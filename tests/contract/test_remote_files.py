"""Files of another host, read through its libvirtd: the contract of compute_agent.hypervisor.reading."""

import os

import pytest

from common import concurrency
from compute_agent.hypervisor.libvirt_errors import (
    HypervisorOperationError,
    HypervisorUnreachableError,
    RemoteFileGoneError,
)
from tests.contract.hypervisor_sites import LabSite, Site

PATH = "/srv/local/an image & its name.iso"
HOLE_BYTES = 2**20
CONTENT = os.urandom(300_000) + bytes(4096 - 300_000 % 4096) + bytes(HOLE_BYTES) + b"end" + bytes(HOLE_BYTES)

AT_ONCE, ROUNDS = 4, 5


class Collected:
    """What a receiver was given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.holes_bytes = 0

    def data(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def hole(self, length_bytes: int) -> None:
        self.pieces.append(bytes(length_bytes))
        self.holes_bytes += length_bytes


class Full(Collected):
    def data(self, piece: bytes) -> None:
        raise OSError(28, "No space left on device")


def read(site: Site, receiver: Collected, path: str = PATH) -> None:
    file = site.dest.open_remote_file(site.source_uri, path)
    try:
        concurrency.call_blocking(file.read, receiver, timeout_s=20.0)
    finally:
        file.close()


def pools(site: Site) -> list[str]:
    return (
        site.lab.virsh("compute1", "pool-list", "--all", "--name").split()
        if isinstance(site, LabSite)
        else []
    )


def test_a_file_arrives_with_its_holes_and_leaves_no_pool(site: Site) -> None:
    site.add_file(PATH, CONTENT)
    receiver = Collected()

    read(site, receiver)

    assert b"".join(receiver.pieces) == CONTENT
    assert receiver.holes_bytes >= HOLE_BYTES
    assert pools(site) == []


def test_files_of_one_directory_are_read_at_once(site: Site) -> None:
    """Whoever is first ends the pool that all of them use."""
    paths = [f"{PATH}.{number}" for number in range(AT_ONCE)]
    for path in paths:
        site.add_file(path, CONTENT)
    for _ in range(ROUNDS):
        receivers = [Collected() for _ in paths]
        reading = [
            concurrency.spawn(read, site, receiver, path)
            for receiver, path in zip(receivers, paths, strict=True)
        ]
        for task in reading:
            task.wait(60.0)
        assert all(b"".join(receiver.pieces) == CONTENT for receiver in receivers)
    assert pools(site) == []


def test_a_file_that_is_not_there_is_gone_and_leaves_no_pool(site: Site) -> None:
    with pytest.raises(RemoteFileGoneError):
        read(site, Collected())
    assert pools(site) == []


def test_a_file_in_a_directory_that_is_not_there_is_gone(site: Site) -> None:
    with pytest.raises((RemoteFileGoneError, HypervisorOperationError)):
        read(site, Collected(), "/srv/local/nowhere/a.iso")
    assert pools(site) == []


def test_what_the_receiver_raises_ends_the_reading(site: Site) -> None:
    site.add_file(PATH, CONTENT)

    with pytest.raises(OSError, match="No space left"):
        read(site, Full())

    read(site, Collected())


def test_a_host_that_is_away_is_unreachable(site: Site) -> None:
    site.add_file(PATH, CONTENT)
    site.kill_libvirtd()
    try:
        with pytest.raises(HypervisorUnreachableError):
            read(site, Collected())
    finally:
        site.start_libvirtd()


def test_what_a_reader_that_died_has_left_is_removed(site: Site) -> None:
    site.add_file(PATH, CONTENT)
    site.dest.open_remote_file(site.source_uri, PATH).close()  # and never read

    site.dest.forget_remote_directory(site.source_uri, PATH)
    site.dest.forget_remote_directory(site.source_uri, PATH)

    assert pools(site) == []
