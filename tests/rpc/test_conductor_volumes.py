"""Volumes on the bus: what administrators declare of disks, and that a migration has it."""

import pytest

from common.errors import (
    DiskNotFoundError,
    InstanceNotFoundError,
    InvalidRequestError,
    VolumeNotDeclaredError,
)
from common.facts import DiskFacts
from common.states import AuditResult, Role, Verb
from common.views import AuditFilter
from common.volume_views import VolumeFilter, VolumeRequest
from common.volumes import VolumeConnection
from conductor.policy import BY_METHOD
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import GUEST, Cluster

ATTACHED = VolumeRequest(
    instance="web1",
    target="vdb",
    driver="iscsi",
    name="iqn.2026-01.example:t/1",
    servers=("s1:3260",),
    properties={"volume_id": "7"},
)
ON_NBD = VolumeConnection(target="vda", driver="nbd", name="x", servers=("s2:10809",))


@pytest.fixture
def cluster(tmp_path):
    """web1 on compute1 has a disk on an NBD server and a block device."""
    cluster = Cluster(tmp_path)
    disks = (
        DiskFacts(target="vda", type="network", source="nbd:x"),
        DiskFacts(target="vdb", type="block", source="/dev/sdb"),
    )
    cluster.source.guests[GUEST] = guest_facts(GUEST, "web1", disks=disks, volumes=(ON_NBD,))
    cluster.source.report()
    cluster.until(lambda: bool(cluster.api.list_volumes(VolumeFilter())))
    yield cluster
    cluster.stop()


def targets(cluster):
    return {
        view.target: (view.driver, view.is_host_attached, view.is_declared)
        for view in cluster.api.list_volumes(VolumeFilter(instance="web1"))
    }


def test_what_is_found_and_declared_is_listed_and_what_is_unset_is_not(cluster):
    assert targets(cluster) == {"vda": ("nbd", False, False)}

    set_ = cluster.api.set_volume(ATTACHED)

    assert (set_.target, set_.is_declared, set_.is_present) == ("vdb", True, True)
    assert targets(cluster) == {"vda": ("nbd", False, False), "vdb": ("iscsi", True, True)}
    assert cluster.api.unset_volume("web1", "vdb").is_declared is False
    assert targets(cluster) == {"vda": ("nbd", False, False)}
    with pytest.raises(VolumeNotDeclaredError):
        cluster.api.unset_volume("web1", "vdb")


@pytest.mark.parametrize(
    "change",
    [
        {"target": "VDB;"},
        {"driver": ""},
        {"name": ""},
        {"servers": ("s1",)},
        {"servers": ("s1:70000",)},
        {"servers": ()},
        {"name": "iqn.2026-01.example:t"},
        {"properties": {"auth_password": "top"}},
        {"properties": {"a b": "c"}},
        {"properties": {"note": "a\nb"}},
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_kept(cluster, change):
    request = VolumeRequest(
        **{field: getattr(ATTACHED, field) for field in ATTACHED.__dataclass_fields__} | change
    )
    with pytest.raises(InvalidRequestError) as refused:
        cluster.api.set_volume(request)
    assert "top" not in str(refused.value)
    assert targets(cluster) == {"vda": ("nbd", False, False)}


def test_a_disk_or_an_instance_that_is_not_there_is_named(cluster):
    with pytest.raises(DiskNotFoundError, match=r"web1 has no disk vdz; it has: vda, vdb\."):
        cluster.api.set_volume(VolumeRequest(instance="web1", target="vdz", driver="iscsi", name="t/1"))
    with pytest.raises(InstanceNotFoundError):
        cluster.api.set_volume(VolumeRequest(instance="web9", target="vdb", driver="iscsi", name="t/1"))


def test_readers_may_look_and_a_declaration_is_audited_without_its_properties(cluster):
    cluster.api.set_volume(ATTACHED)
    [line] = [
        line
        for line in cluster.api.list_audit(AuditFilter(result=AuditResult.DONE))
        if line.method == "set_volume"
    ]
    assert line.target == "instance=web1 target=vdb driver=iscsi name=iqn.2026-01.example:t/1 servers=s1:3260"
    assert BY_METHOD["list_volumes"].role is Role.READER and BY_METHOD["set_volume"].role is Role.OPERATOR


def test_a_migration_carries_what_is_declared_of_the_guests_disks(cluster):
    cluster.api.set_volume(ATTACHED)
    cluster.end_of(cluster.migrate())
    command = next(command for command in cluster.dest.commands if command.verb is Verb.PRE)
    [volume] = command.arguments.declared.volumes
    assert (volume.target, volume.is_host_attached, dict(volume.properties)) == (
        "vdb",
        True,
        {"volume_id": "7"},
    )
