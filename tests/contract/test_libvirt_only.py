"""What checks read of a real libvirt and QEMU, and no fake can vouch for."""

import subprocess
from collections.abc import Iterator

import pytest

from common.states import DestSeen
from compute_agent.qemu_process import was_begun_for_incoming
from lab.lab import Lab
from tests.contract.hypervisor_sites import SOURCE, LabSite, prepared, seen_at_dest
from tests.fakes.domain import guest_xml

DISK = (
    "<disk type='file'><driver name='qemu' type='qcow2' cache='none'/>"
    "<source file='/srv/shared/overlay.qcow2'/><target dev='vda' bus='virtio'/></disk>"
)


@pytest.fixture
def site(contract_lab: Lab) -> Iterator[LabSite]:
    site = LabSite(contract_lab)
    yield site
    site.close()


@pytest.fixture
def paused(site: LabSite) -> Iterator[str]:
    """A guest that its host has started paused, with an overlay as its disk."""
    shared = site.lab.paths.shared
    (shared / "base.raw").write_bytes(bytes(2**20))
    overlay = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", "overlay.qcow2")
    subprocess.run(overlay, cwd=shared, check=True)
    uuid = site.add_guest(guest_xml("web", devices=DISK), is_running=False)
    site.lab.virsh(SOURCE, "start", "--paused", "web")
    yield uuid
    for hypervisor in (site.source, site.dest):
        hypervisor.destroy(uuid)
        hypervisor.undefine(uuid)
    for name in ("base.raw", "overlay.qcow2"):
        (shared / name).unlink()


def test_images_below_a_disk_are_in_the_facts_though_its_definition_names_none(
    site: LabSite, paused: str
) -> None:
    [disk] = site.source.guest_facts(paused).disks

    assert disk.layers == (("file", "/srv/shared/base.raw"),)


def test_a_guest_started_paused_moves_and_is_told_from_one_that_came_paused(
    site: LabSite, paused: str, migration: str
) -> None:
    assert (site.source.has_run(paused), was_begun_for_incoming(paused)) == (False, False)

    prepared(site, paused, migration).issue()

    assert seen_at_dest(site, paused) is DestSeen.PAUSED_OTHER
    assert (site.dest.has_run(paused), was_begun_for_incoming(paused)) == (False, True)
