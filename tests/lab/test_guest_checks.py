"""What stands in a guest's way, told by `limosa check` and refused by `limosa live-migration`; gone, and it moves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import network
from lab.lab import Lab
from tests.lab import observer

NAME = "hindered"
FITS, REFUSED = 0, 4
NETWORK_XML = (
    f"<network><name>blue</name><forward mode='bridge'/><bridge name='{network.GUEST_BRIDGE}'/></network>"
)
# The smallest guest that libvirt starts: its disk is empty, so that nothing boots.
GUEST_XML = f"""<domain type='qemu'>
  <name>{NAME}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/><source file='/srv/shared/{NAME}.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:fe:fe:01'/><source network='blue'/><model type='virtio'/><rom enabled='no'/>
    </interface>
    <controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
</domain>"""


@pytest.fixture(autouse=True)
def guest(lab: Lab) -> Iterator[None]:
    """Running on compute1, whose libvirt has the network that its XML names, as compute2's has."""
    lab.exec("compute1", ["qemu-img", "create", "-q", "-f", "qcow2", f"/srv/shared/{NAME}.qcow2", "16M"])
    for host in ("compute1", "compute2"):
        define(lab, host, "net-define", NETWORK_XML)
        lab.virsh(host, "net-start", "blue")
    define(lab, "compute1", "define", GUEST_XML)
    lab.virsh("compute1", "start", NAME)
    observer.wait_until_found(lab, NAME)
    yield
    lab.guest_delete(NAME)
    for host in ("compute1", "compute2"):
        for verb in ("net-destroy", "net-undefine"):
            lab.exec(host, ["virsh", "-q", verb, "blue"], check=False)
    # Through the mount, which else would remember for a second that they are there.
    lab.exec("compute1", ["sh", "-c", f"rm -f /srv/shared/{NAME}*"])


def define(lab: Lab, host: str, verb: str, xml: str) -> None:
    lab.host(host).run(["virsh", "-q", verb, "/dev/stdin"], input_text=xml)


def found(lab: Lab, *, code: int = REFUSED) -> dict[str, dict[str, Any]]:
    """Against compute2: its findings by their codes."""
    done = lab.limosa("check", NAME, "compute2", "-f", "json", check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    [row] = json.loads(done.stdout)
    return {finding["code"]: finding for finding in row["findings"]}


def assert_refused(lab: Lab, sentence: str) -> None:
    done = lab.limosa("live-migration", NAME, "compute2", check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (REFUSED, False), done.stderr
    assert sentence in done.stderr
    assert lab.virsh("compute1", "domstate", NAME) == "running"


def move(lab: Lab) -> None:
    lab.limosa("live-migration", NAME, "compute2")
    assert lab.virsh("compute2", "domstate", NAME) == "running"


def test_nothing_hinders_it(lab: Lab) -> None:
    assert found(lab, code=FITS) == {}


def test_a_network_that_the_dest_lacks(lab: Lab) -> None:
    lab.virsh("compute2", "net-destroy", "blue")
    assert found(lab).keys() == {"network_inactive"}
    lab.virsh("compute2", "net-undefine", "blue")
    assert found(lab)["network_missing"]["evidence"]["network"] == "blue"
    assert_refused(lab, "connected to the libvirt network blue, which compute2 does not have")
    define(lab, "compute2", "net-define", NETWORK_XML)
    lab.virsh("compute2", "net-start", "blue")
    move(lab)


def test_a_snapshot_until_libvirts_record_of_it_is_removed(lab: Lab) -> None:
    lab.virsh("compute1", "snapshot-create-as", NAME, "monday", "--disk-only")
    assert found(lab)["snapshots_exist"]["evidence"]["snapshots"] == "monday"
    assert_refused(lab, f"{NAME} has snapshots (monday)")
    lab.virsh("compute1", "snapshot-delete", NAME, "monday", "--metadata")
    move(lab)


def test_a_checkpoint_is_warned_of_and_lost(lab: Lab) -> None:
    lab.virsh("compute1", "checkpoint-create-as", NAME, "tuesday")
    assert found(lab, code=FITS)["checkpoints_lost"]["severity"] == "warns"
    move(lab)
    assert lab.virsh("compute2", "checkpoint-list", NAME, "--name") == ""


def test_a_block_job_until_it_is_ended(lab: Lab) -> None:
    lab.virsh(
        "compute1",
        *("blockcopy", NAME, "vda", f"/srv/shared/{NAME}.copy", "--format", "qcow2", "--transient-job"),
    )
    assert found(lab)["block_job_runs"]["evidence"]["disk"] == "vda"
    assert_refused(lab, "A block job (copy) works on disk vda")
    lab.virsh("compute1", "blockjob", NAME, "vda", "--abort")
    move(lab)
