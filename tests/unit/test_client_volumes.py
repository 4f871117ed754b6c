"""`limosa volume`, against a conductor in memory."""

import pytest

from common.errors import DiskNotFoundError
from common.volume_views import VolumeFilter, VolumeRequest
from tests.fakes.conductor import FakeConductor, volume_view
from tests.fakes.limosa import run


def test_volumes_are_listed_with_what_each_driver_needs():
    conductor = FakeConductor(volumes=(volume_view(), volume_view(target="vda", driver="nbd", properties={})))
    done = run(conductor, "volume", "list", "--instance", "web1")
    assert "volume_id=7" in done.stdout and "s1:3260" in done.stdout
    assert conductor.requests == [VolumeFilter(instance="web1")]
    [first, second] = run(conductor, "volume", "list", "-f", "json").json
    assert (first["properties"], second["servers"]) == ({"volume_id": "7"}, ["s1:3260"])


def test_no_properties_are_a_dash_as_all_that_is_empty():
    conductor = FakeConductor(volumes=(volume_view(properties={}),))
    rows = run(conductor, "volume", "list", "-c", "properties").stdout.splitlines()
    assert rows[3].split() == ["|", "-", "|"]


def test_a_volume_is_set_with_all_that_is_given():
    conductor = FakeConductor()
    words = ("--driver", "iscsi", "--name", "iqn/1", "--server", "s1:3260", "--server", "s2:3260")
    more = ("--secret", "7", "--property", "volume_id=7", "--property", "note=a=b")
    assert run(conductor, "volume", "set", "web1", "vdb", *words, *more).code == 0
    assert conductor.requests == [
        VolumeRequest(
            instance="web1",
            target="vdb",
            driver="iscsi",
            name="iqn/1",
            servers=("s1:3260", "s2:3260"),
            secret="7",
            properties={"volume_id": "7", "note": "a=b"},
        )
    ]


def test_a_volume_is_unset():
    conductor = FakeConductor()
    assert run(conductor, "volume", "unset", "web1", "vdb").code == 0
    assert conductor.requests == [("web1", "vdb")]


@pytest.mark.parametrize(
    "words",
    [
        ("--driver", "iscsi"),
        ("--name", "x"),
        ("--driver", "i", "--name", "x", "--property", "novalue"),
        ("--driver", "", "--name", "x"),
        ("--driver", "iscsi", "--name", ""),
    ],
)
def test_what_is_missing_or_wrong_is_a_usage_error(words):
    conductor = FakeConductor()
    assert run(conductor, "volume", "set", "web1", "vdb", *words).code == 2
    assert conductor.requests == []


def test_a_disk_that_is_not_there_is_told():
    conductor = FakeConductor(error=DiskNotFoundError(instance="web1", disk="vdz", disks="vda"))
    done = run(conductor, "volume", "set", "web1", "vdz", "--driver", "iscsi", "--name", "x")
    assert (done.code, "web1 has no disk vdz; it has: vda." in done.stderr) == (3, True)
