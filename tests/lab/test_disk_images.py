"""Images that a guest only reads: below an overlay they must be proven, on a medium any copy will do."""

from collections.abc import Iterator

import pytest

from lab.lab import Lab
from tests.lab import observer
from tests.lab.test_guest_checks import FITS, REFUSED, define

NAME = "layered"
HOSTS = ("compute1", "compute2")
SHARED, LOCAL = f"/srv/shared/{NAME}", f"/srv/local/{NAME}"


def domain(medium: str = "") -> str:
    return f"""<domain type='qemu'>
  <name>{NAME}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/><source file='{SHARED}.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    {medium}
    <controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
</domain>"""


@pytest.fixture(autouse=True)
def leave_nothing(lab: Lab) -> Iterator[None]:
    for host in HOSTS:
        lab.exec(host, ["mkdir", "-p", "/srv/local"])
    yield
    lab.guest_delete(NAME)
    for host in HOSTS:
        lab.exec(host, ["sh", "-c", f"rm -f {SHARED}* {LOCAL}*"])


def start(lab: Lab, *, base: str, medium: str = "") -> None:
    overlay = f"qemu-img create -q -f qcow2 -F raw -b {base} {SHARED}.qcow2"
    lab.exec("compute1", ["sh", "-c", f"truncate -s 1M {base} && {overlay}"])
    define(lab, "compute1", "define", domain(medium))
    lab.virsh("compute1", "start", NAME)
    observer.wait_until_found(lab, NAME)


@pytest.mark.parametrize("has_another", [True, False])
def test_an_overlay_on_a_base_of_its_hosts_own_stays_where_it_is(lab: Lab, *, has_another: bool) -> None:
    if has_another:
        lab.exec("compute2", ["sh", "-c", f"yes other | head -c 1M > {LOCAL}.raw"])
    start(lab, base=f"{LOCAL}.raw")

    done = lab.limosa("live-migration", NAME, "compute2", check=False)

    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert f"Disk vda ({LOCAL}.raw) is not on storage that compute2 shares" in done.stderr
    assert lab.virsh("compute1", "domstate", NAME) == "running"


def test_an_overlay_on_a_shared_base_moves_with_a_medium_that_each_host_has(lab: Lab) -> None:
    for host in HOSTS:
        lab.exec(host, ["truncate", "-s", "1M", f"{LOCAL}.iso"])
    medium = f"""<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>
      <source file='{LOCAL}.iso'/><target dev='hdc' bus='ide'/><readonly/></disk>"""
    start(lab, base=f"{SHARED}.raw", medium=medium)

    checked = lab.limosa("check", NAME, "compute2", check=False)
    lab.limosa("live-migration", NAME, "compute2")

    assert checked.returncode == FITS, checked.stdout + checked.stderr
    assert lab.virsh("compute2", "domstate", NAME) == "running"
    assert LOCAL in lab.virsh("compute2", "domblklist", NAME)
