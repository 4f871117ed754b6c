"""Devices that cannot be moved: each is told by name, all at once, before anything moves; without them the guest moves."""

import json
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from tests.lab import observer
from tests.lab.test_guest_checks import REFUSED, define

NAME = "equipped"
SOURCE, DEST = "compute1", "compute2"
DEVICES = """
  <shmem name='limosa'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>
  <filesystem type='mount' accessmode='passthrough'>
    <source dir='/srv/local'/><target dir='exported'/>
  </filesystem>
  <serial type='pipe'><source path='/srv/local/pipe'/><target port='0'/></serial>
  <serial type='dev'><source path='/dev/null'/><target port='1'/></serial>
  <disk type='dir' device='disk'>
    <driver name='qemu' type='fat'/><source dir='/srv/local'/><target dev='vdb' bus='virtio'/><readonly/>
  </disk>"""
NAMES = {
    "shmem limosa": "others on its host share it",
    "filesystem exported /srv/local": "its state is in a process of its host",
    "serial 0 /srv/local/pipe": "who reads or writes its other end is on its host",
    "serial 1 /dev/null": "what is behind it is connected to its host",
    "disk vdb": "each QEMU makes a file system of its own",
}


def domain(devices: str) -> str:
    return f"""<domain type='qemu'>
  <name>{NAME}</name><memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>{devices}<controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>"""


@pytest.fixture(autouse=True)
def leave_nothing(lab: Lab) -> Iterator[None]:
    yield
    lab.guest_delete(NAME)
    lab.exec(SOURCE, ["sh", "-c", "rm -f /srv/local/*"])


def start(lab: Lab, devices: str) -> None:
    define(lab, SOURCE, "define", domain(devices))
    lab.virsh(SOURCE, "start", NAME)
    observer.wait_until_found(lab, NAME)


def test_each_device_that_cannot_be_moved_has_its_finding(lab: Lab) -> None:
    # One end of a pipe waits for the other: this holds both.
    lab.exec(SOURCE, ["mkfifo", "/srv/local/pipe"])
    start(lab, DEVICES)

    [row] = json.loads(lab.limosa("check", NAME, DEST, "-f", "json", check=False).stdout)
    done = lab.limosa("live-migration", NAME, DEST, check=False)

    found = [finding for finding in row["findings"] if finding["code"] == "device_not_movable"]
    assert {finding["evidence"]["device"] for finding in found} == set(NAMES)
    for finding in found:
        assert finding["evidence"]["reason"].startswith(NAMES[finding["evidence"]["device"]])
    assert (done.returncode, "Traceback" in done.stderr) == (REFUSED, False)
    for name in NAMES:
        assert f"{NAME} cannot be moved with its {name}: " in done.stderr
    assert lab.virsh(SOURCE, "domstate", NAME) == "running"


def test_without_them_it_moves(lab: Lab) -> None:
    start(lab, "")

    observer.migrate(lab, NAME, DEST)

    assert lab.virsh(DEST, "domstate", NAME) == "running"
