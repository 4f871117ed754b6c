"""Room for the disks that are copied: claimed on the dest when the source has told which, given back with the migration."""

from dataclasses import replace

import pytest

from common.states import DiskWay, MigrationStatus, Phase, ResourceKind, Verb
from common.transfer import DiskImage, DiskTransfer, TransferPlan
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import Cluster

OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
GIB = 2**30


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, hosts=3)
    cluster.source.guests[OTHER] = guest_facts(OTHER, name="db1")
    cluster.source.report()
    cluster.until(lambda: len(cluster.api.list_instances()) == 2)
    yield cluster
    cluster.stop()


def has_room(agent, free_gib):
    agent.facts = replace(
        agent.facts, disk_total_gib=500, disk_free_gib=free_gib, instances_path="/srv/images"
    )
    agent.report()


def plan(size_gib):
    image = DiskImage(
        type="file",
        path="/srv/images/web1.raw",
        format="raw",
        virtual_bytes=size_gib * GIB,
        allocated_bytes=GIB,
    )
    disk = DiskTransfer(target="vda", type="file", source=image.path, way=DiskWay.COPIED, images=(image,))
    return TransferPlan(disks=(disk,))


def copies(cluster, size_gib):
    """Its source finds that the guest has a disk of this size that is to be copied."""
    cluster.source.script(
        Verb.CHECK_SOURCE,
        lambda command: replace(cluster.source.default(command), plan=plan(size_gib)),
    )


def free_on(cluster, host, gib):
    has_room(cluster.agents[host], gib)
    cluster.until(lambda: cluster.api.show_host(host).disk_free_gib == gib)


def test_what_is_copied_is_held_on_the_dest_until_the_migration_ends(cluster):
    free_on(cluster, "compute2", 50)
    copies(cluster, 20)
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate("compute2"), lambda view: view.phase is Phase.LIVE)

    assert cluster.api.show_host("compute2").disk_claimed_gib == 20
    assert cluster.api.show_host("compute1").disk_claimed_gib == 0
    rows = {row.kind: row for row in cluster.api.describe_resource("compute2")}
    assert (rows[ResourceKind.CLAIM].disk_gib, rows[ResourceKind.CLAIM].migration) == (20, view.id)
    assert (rows[ResourceKind.USED_NOW].disk_gib, rows[ResourceKind.USED_MAX].disk_gib) == (470, 20)

    cluster.source.forget_script()
    cluster.sweep(resend_s=0)
    cluster.end_of(view)
    assert cluster.api.show_host("compute2").disk_claimed_gib == 0


def test_two_that_would_fit_alone_do_not_fit_together(cluster):
    free_on(cluster, "compute2", 30)
    copies(cluster, 20)
    cluster.source.silence(Verb.LIVE)
    cluster.watch(cluster.migrate("compute2"), lambda view: view.phase is Phase.LIVE)

    ended = cluster.end_of(cluster.migrate("compute2", instance="db1"))

    assert ended.status is MigrationStatus.FAILED
    [finding] = ended.findings
    assert (finding.code, finding.host) == ("disk_short", "compute2")
    assert finding.evidence["claimed_mib"] == str(20 * 1024)
    assert Verb.PRE not in [command.verb for command in cluster.dest.commands if command.instance == OTHER]
    assert cluster.api.show_host("compute2").disk_claimed_gib == 20  # the first one's


def test_a_candidate_without_room_is_followed_by_the_next(cluster):
    free_on(cluster, "compute2", 10)
    free_on(cluster, "compute3", 50)
    copies(cluster, 20)

    ended = cluster.end_of(cluster.migrate(dest=None))

    assert (ended.status, ended.dest) == (MigrationStatus.COMPLETED, "compute3")
    asked = [command.verb for command in cluster.dest.commands]
    assert asked == [Verb.CHECK_DEST, Verb.ROLLBACK]
    assert cluster.dest.commands[-1].arguments.is_prepared is False
    story = [line.sentence for line in cluster.api.migration_log(ended.id)]
    assert any(line.startswith("compute2 cannot be claimed: web1 would copy 20480 MiB") for line in story)
    assert cluster.api.show_host("compute3").disk_claimed_gib == 0


def test_shared_disks_need_no_room(cluster):
    free_on(cluster, "compute2", 0)

    assert cluster.end_of(cluster.migrate("compute2")).status is MigrationStatus.COMPLETED
