"""Guests with media and boot files of their source's own: brought along, taken out, or refused, and undone."""

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.faults import Victim
from lab.guest import image
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer
from tests.lab.test_guest_checks import REFUSED, define

HOSTS = SOURCE, DEST = ("compute1", "compute2")
DIRECTORY = Path("/srv/local")
ISO = DIRECTORY / "a medium.iso"
ISO_BYTES = 2 * 2**20
BLOCK_BYTES = 4096
LARGE_BYTES = 256 * 2**20
FLOPPY_BYTES = 1440 * 1024
TEXT = "this is on the medium"
DRIVE = f"""<controller type='scsi' model='virtio-scsi'/>
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{ISO}'/>
  <target dev='sda' bus='scsi'/><readonly/></disk>"""
BOOT = f"""<kernel>{DIRECTORY}/vmlinuz</kernel><initrd>{DIRECTORY}/initrd.gz</initrd>
<cmdline>{image.COMMAND_LINE}</cmdline>"""
# The smallest guest that libvirt starts, with nothing but the drive: it boots nothing.
SMALL_XML = f"""<domain type='qemu'>
  <name>small</name><memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>{DRIVE}<controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>"""


@pytest.fixture(autouse=True)
def files(lab: Lab) -> Iterator[None]:
    """The medium on the source, and nothing that a migration brought afterwards on either."""
    of(lab, SOURCE, ISO).write_bytes(medium(TEXT))
    yield
    for name in ("web", "small"):
        lab.guest_delete(name)
    for host in HOSTS:
        lab.exec(host, ["sh", "-c", f"rm -rf {DIRECTORY}/* /var/lib/limosa/media"])


@pytest.fixture
def small(lab: Lab) -> str:
    define(lab, SOURCE, "define", SMALL_XML)
    lab.virsh(SOURCE, "start", "small")
    observer.wait_until_found(lab, "small")
    return "small"


def of(lab: Lab, host: str, path: Path) -> Path:
    """A file of that host, as this process finds it."""
    return lab.paths.host(host) / path.relative_to("/")


def medium(text: str) -> bytes:
    """What guestd reads is in the last block."""
    return bytes(ISO_BYTES - BLOCK_BYTES) + text.encode().ljust(BLOCK_BYTES, b"\0")


def named_in(lab: Lab, host: str, name: str, *, is_inactive: bool = False) -> str | None:
    """The drive's medium, by the guest's XML."""
    flags = ("--inactive",) if is_inactive else ()
    source = ET.fromstring(lab.virsh(host, "dumpxml", *flags, name)).find(
        "./devices/disk[@device='cdrom']/source"
    )
    return None if source is None else source.get("file")


def files_of(lab: Lab, host: str) -> set[str]:
    found = lab.exec(host, ["find", str(DIRECTORY), "/var/lib/limosa/media"], check=False).stdout
    return set(found.splitlines()) - {str(DIRECTORY)}


def ask(lab: Lab, name: str) -> subprocess.CompletedProcess[str]:
    return lab.limosa("live-migration", name, DEST, check=False)


@contextmanager
def policy(lab: Lab, word: str, *hosts: str) -> Iterator[None]:
    """Their agents have this [media]missing_medium inside the block."""

    def restart_with(word: str) -> None:
        for host in hosts:
            lab.write_config(host, {"media.missing_medium": word})
            lab.stop(Victim.AGENT, host_name=host)
            lab.start(Victim.AGENT, host_name=host)
        lab.wait_until_agents_are_up(*hosts)

    restart_with(word)
    try:
        yield
    finally:
        restart_with("copy")


def test_a_guest_moves_with_the_medium_and_the_kernel_of_its_source(lab: Lab) -> None:
    """The dest has another file under the medium's name, so that the guest's XML is changed."""
    image.take_boot_files(lab.paths, of(lab, SOURCE, DIRECTORY))
    of(lab, DEST, ISO).write_bytes(medium("another medium"))
    first = lab.guest_create("web", SOURCE, GuestOptions(devices=DRIVE, boot=BOOT))
    observer.wait_until_found(lab, "web")
    assert lab.ask("web", "read sr0") == TEXT

    observer.migrate(lab, "web", DEST)

    path = named_in(lab, DEST, "web")
    assert path is not None and path.startswith("/var/lib/limosa/media/")
    assert named_in(lab, DEST, "web", is_inactive=True) == path
    assert lab.ask("web", "read sr0") == TEXT
    for name in image.BOOT_FILES:
        copy, original = (of(lab, host, DIRECTORY / name) for host in (DEST, SOURCE))
        assert copy.read_bytes() == original.read_bytes()
    assert of(lab, DEST, ISO).read_bytes() == medium("another medium")
    assert of(lab, SOURCE, ISO).exists()
    observer.assert_one_guest(lab, "web", host=DEST, boot_id=first.boot_id)

    observer.migrate(lab, "web", SOURCE)

    assert lab.ask("web", "read sr0") == TEXT
    assert lab.virsh(SOURCE, "pool-list", "--all", "--name") == ""
    assert lab.virsh(DEST, "pool-list", "--all", "--name") == ""


def test_a_medium_for_the_next_start_comes_along_as_well(lab: Lab, small: str) -> None:
    later = DIRECTORY / "later.iso"
    of(lab, SOURCE, later).write_bytes(b"later")
    lab.virsh(SOURCE, "change-media", small, "sda", str(later), "--config")

    observer.migrate(lab, small, DEST)

    assert named_in(lab, DEST, small) == str(ISO)
    assert named_in(lab, DEST, small, is_inactive=True) == str(later)
    assert of(lab, DEST, later).read_bytes() == b"later"


def test_the_drive_is_emptied_where_the_dest_says_so(lab: Lab, small: str) -> None:
    with policy(lab, "eject", DEST):
        done = ask(lab, small)

    assert done.returncode == 0, done.stderr
    assert named_in(lab, DEST, small) is None
    assert named_in(lab, DEST, small, is_inactive=True) is None
    assert files_of(lab, DEST) == set()


def test_a_guest_is_refused_where_the_dest_says_so(lab: Lab, small: str) -> None:
    with policy(lab, "refuse", DEST):
        done = ask(lab, small)

    assert (done.returncode, "Traceback" in done.stderr) == (REFUSED, False)
    assert f"sda of small is {ISO}: No such file or directory on {DEST}" in done.stderr
    assert lab.virsh(SOURCE, "domstate", small) == "running"


def test_a_medium_that_vanished_is_told_before_anything_moves(lab: Lab, small: str) -> None:
    of(lab, SOURCE, ISO).unlink()

    [row] = json.loads(lab.limosa("check", small, DEST, "-f", "json", check=False).stdout)
    done = ask(lab, small)

    assert [finding["code"] for finding in row["findings"]] == ["medium_gone"]
    assert done.returncode == REFUSED
    assert f"sda of small is {ISO}, which {SOURCE} cannot read (any more)" in done.stderr
    assert lab.virsh(SOURCE, "domstate", small) == "running"
    assert files_of(lab, DEST) == set()


def test_a_guest_whose_medium_vanished_moves_with_an_empty_drive_where_both_say_so(
    lab: Lab, small: str
) -> None:
    of(lab, SOURCE, ISO).unlink()

    with policy(lab, "eject", *HOSTS):
        done = ask(lab, small)

    assert done.returncode == 0, done.stderr
    assert named_in(lab, DEST, small) is None


def test_a_floppy_that_the_guest_may_write_moves_as_a_disk(lab: Lab) -> None:
    """What the dest has under its name would be another disk, so it is copied while the guest runs."""
    floppy = DIRECTORY / "floppy.img"
    of(lab, SOURCE, floppy).write_bytes(TEXT.encode().ljust(FLOPPY_BYTES, b"\0"))
    drive = f"<disk type='file' device='floppy'><source file='{floppy}'/><target dev='fda' bus='fdc'/></disk>"
    define(lab, SOURCE, "define", SMALL_XML.replace(DRIVE, drive))
    lab.virsh(SOURCE, "start", "small")
    observer.wait_until_found(lab, "small")

    observer.migrate(lab, "small", DEST)

    assert of(lab, DEST, floppy).read_bytes().startswith(TEXT.encode())
    assert not of(lab, SOURCE, floppy).exists()


def test_a_copy_is_begun_anew_when_the_dests_agent_dies_over_it(lab: Lab, small: str) -> None:
    large = DIRECTORY / "large.iso"
    of(lab, SOURCE, large).write_bytes(os.urandom(LARGE_BYTES))
    lab.virsh(SOURCE, "change-media", small, "sda", str(large), "--live", "--config")
    here = of(lab, DEST, DIRECTORY)

    migration = observer.start_migration(lab, small, DEST)
    observer.wait_until(lambda: any(here.iterdir()), what="the copy is under way", timeout_s=60)
    lab.kill(Victim.AGENT, host_name=DEST)
    lab.start(Victim.AGENT, host_name=DEST)

    assert observer.wait_until_final(lab, migration) == "completed"
    assert files_of(lab, DEST) == {str(large)}
    assert (here / large.name).read_bytes() == of(lab, SOURCE, large).read_bytes()


def test_a_copy_is_given_up_when_the_migration_is_aborted(lab: Lab, small: str) -> None:
    large = DIRECTORY / "large.iso"
    of(lab, SOURCE, large).write_bytes(os.urandom(LARGE_BYTES))
    lab.virsh(SOURCE, "change-media", small, "sda", str(large), "--live", "--config")
    here = of(lab, DEST, DIRECTORY)

    migration = observer.start_migration(lab, small, DEST)
    observer.wait_until(lambda: any(here.iterdir()), what="the copy is under way", timeout_s=60)
    lab.limosa("migration", "abort", migration)

    assert observer.wait_until_final(lab, migration) == "cancelled"
    assert lab.virsh(SOURCE, "domstate", small) == "running"
    assert files_of(lab, DEST) == set()


def test_what_was_copied_is_removed_when_the_guest_does_not_come(lab: Lab, small: str) -> None:
    """The dest's libvirt refuses the guest after the copy was made, as nothing that is checked foretells."""
    hook = of(lab, DEST, Path("/etc/libvirt/hooks/qemu.d/refuses"))
    hook.write_text('#!/bin/sh\n[ "$2" != migrate ]\n')
    hook.chmod(0o755)
    try:
        lab.kill(Victim.LIBVIRTD, host_name=DEST)
        lab.start(Victim.LIBVIRTD, host_name=DEST)
        done = ask(lab, small)
    finally:
        hook.unlink()
        lab.kill(Victim.LIBVIRTD, host_name=DEST)
        lab.start(Victim.LIBVIRTD, host_name=DEST)

    assert done.returncode not in (0, REFUSED), done.stdout + done.stderr
    assert lab.virsh(SOURCE, "domstate", small) == "running"
    assert files_of(lab, DEST) == set()
    observer.wait_until(
        lambda: observer.residue(lab) == observer.NOTHING, what="nothing is left", timeout_s=15
    )
