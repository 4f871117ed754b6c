"""The arguments of migrateToURI3 for a guest that brings disks: all of them by name, or none and no flag."""

import libvirt
import pytest

from common.migration import DestinationFacts, DomainChanges, LiveArguments
from common.states import DiskWay
from common.transfer import DiskImage, DiskTransfer, TransferPlan
from compute_agent.hypervisor.driver import Definition
from compute_agent.migrate_request import migrate_request
from compute_agent.settings import LiveMigrationSettings
from tests.fakes.domain import guest_xml
from tests.fakes.host import FLAGS

XML = guest_xml("web1", uuid="9b77af9f-482a-4f4c-85a2-71c2c1833cc5")
DEFINITION = Definition(
    live_xml=XML, inactive_xml=XML, is_active=True, is_persistent=True, has_autostart=False, is_paused=False
)
IMAGE = DiskImage(type="file", path="/d/web1.img", format="raw", virtual_bytes=1, allocated_bytes=0)


def disk(target: str, way: DiskWay) -> DiskTransfer:
    images = (IMAGE,) if way is DiskWay.COPIED else ()
    return DiskTransfer(target=target, type="file", source=f"/d/{target}", way=way, images=images)


def requested(plan: TransferPlan | None, **settings: int):
    arguments = LiveArguments(
        dest_facts=DestinationFacts(connect_address="compute2"), changes=DomainChanges(), plan=plan
    )
    return migrate_request(
        DEFINITION, arguments, LiveMigrationSettings(flags=FLAGS, **settings), migration="migration-1"
    )


def test_every_disk_that_is_copied_is_named_and_no_other_one() -> None:
    ways = {"vda": DiskWay.COPIED, "vdb": DiskWay.SHARED, "vdc": DiskWay.COPIED, "sda": DiskWay.MEDIUM}
    plan = TransferPlan(disks=tuple(disk(target, way) for target, way in ways.items()))

    request = requested(plan, disks_port=49300)

    assert request.copied_disks == ("vda", "vdc")
    assert request.disks_port == 49300
    assert request.flags & libvirt.VIR_MIGRATE_NON_SHARED_INC
    assert not request.flags & (libvirt.VIR_MIGRATE_NON_SHARED_DISK | libvirt.VIR_MIGRATE_UNSAFE)


@pytest.mark.parametrize("plan", [None, TransferPlan(), TransferPlan(disks=(disk("vda", DiskWay.SHARED),))])
def test_without_such_a_disk_libvirt_is_not_told_to_copy_any(plan: TransferPlan | None) -> None:
    request = requested(plan)
    assert request.copied_disks == ()
    assert not request.flags & (libvirt.VIR_MIGRATE_NON_SHARED_INC | libvirt.VIR_MIGRATE_NON_SHARED_DISK)


def test_what_both_hosts_have_agreed_on_is_encrypted_and_asks_for_a_name_of_the_certificate() -> None:
    request = requested(TransferPlan(is_encrypted=True, tls_name="compute2"))

    assert request.flags & libvirt.VIR_MIGRATE_TLS
    assert request.tls_name == "compute2"
    assert not requested(TransferPlan()).flags & libvirt.VIR_MIGRATE_TLS
