"""What a guest takes with it crosses the network encrypted, because both hosts have certificates; plain if told so."""

from collections.abc import Callable

import pytest

from lab import Lab
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from tests.lab import observer
from tests.lab.test_checks import configured
from tests.lab.wire import Wire

MARKER = "limosa-plain-marker-4711"
MOVED_AT_LEAST_BYTES = 10_000_000
ISSUED = "migrateToURI3"

Move = Callable[[], Wire]


@pytest.fixture
def move(lab: Lab, guest_name: str) -> Move:
    """Move a guest that has the marker on a disk that is copied, and in its memory; listen to the wire meanwhile."""

    def moved() -> Wire:
        boot_id = lab.guest_create(guest_name, "compute1", GuestOptions(local_disks=(LocalDisk(),))).boot_id
        lab.ask(guest_name, f"write vdb {MARKER}")
        observer.wait_until_found(lab, guest_name)
        with Wire(lab, "compute1", MARKER) as wire:
            observer.migrate(lab, guest_name, "compute2")
        observer.assert_one_guest(lab, guest_name, host="compute2", boot_id=boot_id)
        assert MARKER in lab.ask(guest_name, "read vdb")
        assert wire.drops == 0
        assert wire.total_bytes > MOVED_AT_LEAST_BYTES, "the capture did not see the migration"
        return wire

    return moved


def last_call(lab: Lab) -> str:
    lines = lab.log("compute1", "limosa-compute-agent").read_text().splitlines()
    return next(line for line in reversed(lines) if ISSUED in line)


def test_memory_and_copied_disks_cross_the_network_encrypted(lab: Lab, move: Move) -> None:
    assert move().seen == 0
    assert "VIR_MIGRATE_TLS" in last_call(lab)


def test_the_same_capture_sees_what_is_not_encrypted(lab: Lab, move: Move) -> None:
    with configured(
        lab, "compute1", {"libvirt.live_migration_tls": "off"}, {"libvirt.live_migration_tls": "auto"}
    ):
        assert move().seen > 0
