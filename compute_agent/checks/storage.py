"""On the source: whether each disk is on storage that the dest shares. The dest has written the probes for it."""

from collections.abc import Iterator

from common.checks import STORAGE_NOT_SHARED, TUNNELLED_BLOCK, Finding
from compute_agent import probes, storage
from compute_agent.checks.look import SourceLook
from compute_agent.migrate_request import TUNNELLED
from compute_agent.storage import parts
from compute_agent.subprocesses import user_of


def check_storage(look: SourceLook) -> Iterator[Finding]:
    against = (
        *_unproven(look),
        *probes.compare(
            look.reach.probes, dest=look.dest_host, user=user_of(look.source, label=look.guest.dac_label)
        ),
    )
    yield from against
    # A disk that is not shared would have to be copied, which libvirt cannot do through its tunnel.
    is_block = any(finding.code == STORAGE_NOT_SHARED.code for finding in against)
    if is_block and TUNNELLED in look.settings.live_migration.flags:
        yield TUNNELLED_BLOCK.finding(look.settings.host)


def _unproven(look: SourceLook) -> Iterator[Finding]:
    """The guest may have been given disks since the dest was asked: of those nothing is shown yet.

    Nor of the images below a disk, where the dest or a conductor is of a version that does not know them.
    """
    if look.dest is None and look.reach.host:
        return  # the conductor's word for a dest that could not be asked, which it tells itself
    asked = {(probe.disk, probe.path) for probe in look.reach.probes}
    asked |= {(target, path) for target, _, path, _ in look.reach.examined}
    for facts in look.guest.disks:
        for disk in parts.shared_parts(facts):
            if (disk.target, disk.path) not in asked:
                yield from storage.driver_for(disk.type).unproven(disk, dest=look.dest_host)
