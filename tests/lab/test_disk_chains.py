"""Disks on images and under names as administrators have them: what the guest reads is the same before and after."""

import shlex
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import pytest

from lab.lab import Lab
from tests.lab import observer
from tests.lab.test_guest_checks import define

NAME = "chains"
HOSTS = ("compute1", "compute2")
DIRECTORY = f"/srv/local/{NAME}"
ODD = "a b'c:d,e=f&<%41$(x)\"`"
BASE = "qemu-img create -q -f raw base 8M; qemu-io -f raw -c 'write -P 7 0 1M' base; "
# The header's extension that names the format of the base gets a number that nobody knows.
NO_FORMAT = "LC_ALL=C sed -i 's/\\xe2\\x79\\x2a\\xca/\\x12\\x34\\x56\\x78/' top"


def disk(file: str, target: str = "vda", format: str = "qcow2", more: str = "") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{format}'/>"
        f"<source file={quoteattr(f'{DIRECTORY}/{file}')}/><target dev='{target}' bus='virtio'/>{more}</disk>"
    )


@pytest.fixture(autouse=True)
def leave_nothing(lab: Lab) -> Iterator[None]:
    for host in HOSTS:
        lab.exec(host, ["mkdir", "-p", DIRECTORY])
    yield
    lab.guest_delete(NAME)
    for host in HOSTS:
        lab.exec(host, ["rm", "-rf", DIRECTORY])


def start(lab: Lab, script: str, disks: str) -> None:
    """A guest that runs no program: QEMU reads its disks for it."""
    lab.exec("compute1", ["sh", "-ec", f"cd {DIRECTORY}; {script}"])
    domain = f"""<domain type='qemu'>
      <name>{NAME}</name>
      <memory unit='MiB'>16</memory>
      <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
      <devices>{disks}<controller type='usb' model='none'/><memballoon model='none'/></devices>
    </domain>"""
    define(lab, "compute1", "define", domain)
    lab.virsh("compute1", "start", NAME)
    observer.wait_until_found(lab, NAME)


def first_sector(lab: Lab, host: str) -> list[str]:
    """Of the first disk, as the guest would read it. QEMU prints it to its log."""
    log = f"/var/log/libvirt/qemu/{NAME}.log"
    lab.exec(host, ["truncate", "-s", "0", log])
    device = "/machine/peripheral/virtio-disk0/virtio-backend"
    lab.virsh(host, "qemu-monitor-command", NAME, "--hmp", f'qemu-io -d {device} "read -v 0 512"')
    told = lab.exec(host, ["cat", log]).stdout
    assert "read 512/512" in told
    return [line for line in told.splitlines() if line.startswith("0000")]


def files(lab: Lab, host: str) -> set[str]:
    listed = lab.exec(host, ["find", DIRECTORY, "!", "-type", "d", "-printf", "%P\\0"]).stdout
    return set(filter(None, listed.split("\0")))


@pytest.mark.parametrize(
    ("script", "disks", "left", "arrived"),
    [
        pytest.param(
            "qemu-img create -q -f qcow2 base 8M; qemu-io -f qcow2 -c 'write -P 7 0 1M' base; "
            f"qemu-img create -q -f qcow2 -b base -F qcow2 top; {NO_FORMAT}",
            disk("top"),
            {"base"},
            {"base", "top"},
            id="the header names no format of its base",
        ),
        pytest.param(
            f"{BASE}mkdir guest; cd guest; qemu-img create -q -f qcow2 -b ../base -F raw top",
            disk("guest/top"),
            {"base"},
            {"base", "guest/top"},
            id="the base is beside a directory that the dest lacks",
        ),
        pytest.param(
            f"{BASE}mv base {shlex.quote(ODD)}; "
            f"qemu-img create -q -f qcow2 -b {shlex.quote(f'{DIRECTORY}/{ODD}')} -F raw {shlex.quote(f'./{ODD}.top')}",
            disk(f"{ODD}.top"),
            {ODD},
            {ODD, f"{ODD}.top"},
            id="names that no shell would like",
        ),
        pytest.param(
            f"{BASE}ln -s base link; qemu-img create -q -f qcow2 -b link -F raw real; ln -s real one; "
            "qemu-img create -q -f qcow2 -b link -F raw two; truncate -s 1000001 odd; ln odd hard",
            disk("one")
            + disk("two", "vdb")
            + disk("odd", "vdc", "raw")
            + disk("base", "vdd", "raw", "<readonly/>"),
            {"base", "link", "hard"},
            {"base", "link", "one", "two", "odd"},
            id="links, and a base that is below two disks and a disk itself",
        ),
    ],
)
def test_a_guest_reads_from_its_disks_what_it_read_before(
    lab: Lab, script: str, disks: str, left: set[str], arrived: set[str]
) -> None:
    start(lab, script, disks)
    before = first_sector(lab, "compute1")
    assert before[0].startswith("00000000:  07 07")

    lab.limosa("live-migration", NAME, "compute2")

    assert first_sector(lab, "compute2") == before
    assert (files(lab, "compute1"), files(lab, "compute2")) == (left, arrived)


def test_a_dest_that_is_filled_while_a_disk_is_copied_leaves_the_guest_where_it_is(lab: Lab) -> None:
    for host in HOSTS:
        lab.exec(host, ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", DIRECTORY])
    try:
        content = "truncate -s 64M data; qemu-io -f raw -c 'write -P 7 0 64M' data"
        start(lab, content, disk("data", format="raw"))
        before = first_sector(lab, "compute1")
        lab.virsh("compute1", "migrate-setspeed", NAME, "4")

        migration = observer.start_migration(lab, NAME, "compute2")
        is_written = f"[ $(stat -c %b {DIRECTORY}/data || echo 0) -gt 0 ]"
        observer.wait_until(
            lambda: lab.exec("compute2", ["sh", "-c", is_written], check=False).returncode == 0,
            what="the disk is being copied",
            timeout_s=60,
        )
        lab.exec("compute2", ["sh", "-c", f"head -c 1G /dev/zero > {DIRECTORY}/fill"], check=False)

        assert observer.wait_until_final(lab, migration) == "failed"
        assert first_sector(lab, "compute1") == before
        assert (files(lab, "compute1"), files(lab, "compute2")) == ({"data"}, {"fill"})
    finally:
        lab.guest_delete(NAME)
        for host in HOSTS:
            lab.exec(host, ["umount", DIRECTORY])
