"""Which flag makes libvirt copy disks, by what they are."""

import libvirt
import pytest

from common.migration import DestinationFacts, DomainChanges, LiveArguments
from common.states import DiskWay
from common.transfer import DiskTransfer, TransferPlan
from compute_agent.hypervisor.driver import Definition
from compute_agent.migrate_request import migrate_request
from compute_agent.settings import LiveMigrationSettings
from tests.fakes.domain import guest_xml

INC, WHOLE = libvirt.VIR_MIGRATE_NON_SHARED_INC, libvirt.VIR_MIGRATE_NON_SHARED_DISK


def disk(target, type="file", way=DiskWay.COPIED):
    return DiskTransfer(target=target, type=type, source=f"/srv/{target}", way=way)


@pytest.mark.parametrize(
    ("disks", "flag", "copied"),
    [
        ((disk("vda", way=DiskWay.SHARED),), 0, ()),
        ((disk("vda"), disk("vdb", "block"), disk("vdc", way=DiskWay.VOLUME)), INC, ("vda", "vdb")),
        ((disk("vda"), disk("vdb", "volume")), WHOLE, ("vda", "vdb")),
        ((disk("vda"), disk("vdb", "volume", DiskWay.SHARED)), INC, ("vda",)),
    ],
)
def test_disks_are_copied_above_their_bases_unless_one_is_a_volume_of_a_pool(disks, flag, copied):
    arguments = LiveArguments(
        dest_facts=DestinationFacts(connect_address="compute2"),
        changes=DomainChanges(),
        plan=TransferPlan(disks=disks),
    )
    definition = Definition(
        live_xml=guest_xml("web1"),
        inactive_xml=None,
        is_active=True,
        is_persistent=False,
        has_autostart=False,
        is_paused=False,
    )

    request = migrate_request(definition, arguments, LiveMigrationSettings(flags=()), migration="m")

    assert request.flags & (INC | WHOLE) == flag
    assert request.copied_disks == copied
