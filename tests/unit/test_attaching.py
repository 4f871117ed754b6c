"""Block devices that a host attaches: where they come from by sysfs, and what os-brick is asked."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from common.volumes import VolumeConnection
from compute_agent.attaching.attacher import properties_of
from compute_agent.attaching.program import act
from compute_agent.attaching.sessions import volume_of

IQN = "iqn.2026-01.example:t"


class Sysfs:
    """A tree as the kernel shows it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text + "\n")

    def add_session(self, number: int, *, iqn: str = IQN, address: str = "192.0.2.1") -> None:
        self.write(f"class/iscsi_session/session{number}/targetname", iqn)
        self.write(f"class/iscsi_connection/connection{number}:0/persistent_address", address)
        self.write(f"class/iscsi_connection/connection{number}:0/persistent_port", "3260")

    def add_disk(self, name: str, *, session: int, lun: int = 1) -> Path:
        node = f"devices/platform/host2/session{session}/target2:0:0/2:0:0:{lun}/block/{name}"
        self.write(f"{node}/size", "8")
        return self.root / node

    def add_multipath(self, *slaves: Path, uuid: str = "mpath-3600") -> Path:
        node = self.root / "devices/virtual/block/dm-0"
        self.write("devices/virtual/block/dm-0/dm/uuid", uuid)
        (node / "slaves").mkdir()
        for slave in slaves:
            (node / "slaves" / slave.name).symlink_to(slave)
        return node


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def volume(**changes: object) -> VolumeConnection:
    fields: dict[str, object] = {
        "target": "vdb",
        "driver": "iscsi",
        "name": f"{IQN}/1",
        "servers": ("192.0.2.1:3260",),
        "is_host_attached": True,
    }
    return VolumeConnection(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_device_of_a_session_is_a_volume(sysfs: Sysfs) -> None:
    sysfs.add_session(3)
    assert volume_of("vdb", sysfs.add_disk("sdb", session=3), sysfs=sysfs.root) == volume()


def test_a_multipath_device_has_the_portals_of_its_paths(sysfs: Sysfs) -> None:
    sysfs.add_session(3)
    sysfs.add_session(4, address="2001:db8::1")
    node = sysfs.add_multipath(sysfs.add_disk("sdb", session=3), sysfs.add_disk("sdc", session=4))
    found = volume_of("vdb", node, sysfs=sysfs.root)
    assert found == volume(servers=("192.0.2.1:3260", "[2001:db8::1]:3260"))


def test_paths_of_two_targets_must_be_declared(sysfs: Sysfs) -> None:
    sysfs.add_session(3)
    sysfs.add_session(4, iqn=f"{IQN}2")
    node = sysfs.add_multipath(sysfs.add_disk("sdb", session=3), sysfs.add_disk("sdc", session=4))
    assert volume_of("vdb", node, sysfs=sysfs.root) is None


def test_what_no_session_has_brought_is_no_volume(sysfs: Sysfs) -> None:
    sysfs.add_session(3)
    partition = sysfs.add_disk("sdb", session=3)
    (partition / "partition").write_text("1")
    assert volume_of("vdb", partition, sysfs=sysfs.root) is None
    crypt = sysfs.add_multipath(sysfs.add_disk("sdd", session=3), uuid="CRYPT-LUKS2-7")
    assert volume_of("vdb", crypt, sysfs=sysfs.root) is None
    assert volume_of("vdb", sysfs.root / "devices/virtual/block/loop0", sysfs=sysfs.root) is None


def test_os_brick_is_given_iscsi_properties_and_what_was_declared() -> None:
    one = properties_of(volume(properties={"volume_id": "7", "encrypted": "false"}))
    assert one == {
        "target_discovered": False,
        "target_iqn": IQN,
        "target_portal": "192.0.2.1:3260",
        "target_lun": 1,
        "volume_id": 7,
        "encrypted": False,
    }
    two = properties_of(volume(servers=("a:1", "b:2")))
    assert (two["target_portals"], two["target_iqns"], two["target_luns"]) == (
        ["a:1", "b:2"],
        [IQN, IQN],
        [1, 1],
    )


def test_a_password_is_in_what_os_brick_gets_and_nowhere_in_the_volume() -> None:
    chap = properties_of(volume(properties={"user": "me"}), password=b"top")
    assert (chap["auth_method"], chap["auth_username"], chap["auth_password"]) == ("CHAP", "me", "top")
    assert "user" not in chap


def test_of_other_drivers_all_is_declared() -> None:
    fibre = volume(
        driver="fibre_channel", name="lun7", properties={"target_wwn": '["5000"]', "target_lun": "7"}
    )
    assert properties_of(fibre) == {"name": "lun7", "target_wwn": ["5000"], "target_lun": 7}


class FakeConnector:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def connect_volume(self, properties: dict[str, object]) -> dict[str, str]:
        self.calls.append(("connect", properties))
        return {"type": "block", "path": "/dev/sdb"}

    def disconnect_volume(self, properties: dict[str, object], device: object) -> None:
        self.calls.append(("disconnect", properties, device))


def test_the_program_calls_os_brick_as_it_is_asked() -> None:
    connector, made = FakeConnector(), []

    def factory(protocol: str, root_helper: None, *, use_multipath: bool) -> FakeConnector:
        made.append((protocol, root_helper, use_multipath))
        return connector

    connectors = SimpleNamespace(InitiatorConnector=SimpleNamespace(factory=factory))
    question = {
        "action": "attach",
        "protocol": "ISCSI",
        "properties": {"a": 1},
        "path": "",
        "is_multipath": True,
    }
    assert act(question, connectors) == {"path": "/dev/sdb"}
    assert act({**question, "action": "detach", "path": "/dev/sdb"}, connectors) == {}
    act({**question, "action": "detach"}, connectors)
    assert made == [("ISCSI", None, True)] * 3
    assert connector.calls == [
        ("connect", {"a": 1}),
        ("disconnect", {"a": 1}, {"type": "block", "path": "/dev/sdb"}),
        ("disconnect", {"a": 1}, None),
    ]
