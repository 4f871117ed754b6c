"""The attacher over its own program, in a process of its own; os-brick is a fake one that keeps a file."""

from pathlib import Path

import pytest

from common.volumes import VolumeConnection
from compute_agent.attaching import AttachError, BrickAttacher

VOLUME = VolumeConnection(
    target="vdb",
    driver="iscsi",
    name="iqn.2026-01.example:t/1",
    servers=("192.0.2.1:3260",),
    is_host_attached=True,
)
CONNECTOR = """
import pathlib
KEPT = pathlib.Path(__file__).with_name("attached")

class Connector:
    def connect_volume(self, properties):
        if properties["target_lun"] != 1:
            raise RuntimeError("Volume device\\nnot found")
        KEPT.write_text(properties["target_portal"])
        return {"type": "block", "path": "/dev/sdb"}

    def disconnect_volume(self, properties, device):
        KEPT.unlink(missing_ok=True)

class InitiatorConnector:
    @staticmethod
    def factory(protocol, root_helper, use_multipath=False):
        print("os-brick is talkative")
        return Connector()
"""
PRIVILEGED = """
class Context:
    is_client = True
    def set_client_mode(self, is_client):
        self.is_client = is_client

default = brick_privsep_hide_output = Context()
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """os_brick, and what it is set up with, as far as the program uses them."""
    files = {
        "os_brick/__init__.py": "def setup(conf): pass",
        "os_brick/privileged.py": PRIVILEGED,
        "os_brick/initiator/__init__.py": "",
        "os_brick/initiator/connector.py": CONNECTOR,
        "oslo_concurrency/__init__.py": "",
        "oslo_concurrency/lockutils.py": "_opts = []\ndef set_defaults(lock_path): pass",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_volume_is_attached_and_detached_twice_as_well(packages: Path) -> None:
    attacher = BrickAttacher(environment={"PYTHONPATH": str(packages)})
    kept = packages / "os_brick/initiator/attached"
    assert [attacher.attach(VOLUME), attacher.attach(VOLUME)] == ["/dev/sdb", "/dev/sdb"]
    assert kept.read_text() == "192.0.2.1:3260"
    attacher.detach(VOLUME, "/dev/sdb")
    attacher.detach(VOLUME, "")
    assert not kept.exists()


def test_what_os_brick_raises_is_one_line_of_an_error(packages: Path) -> None:
    attacher = BrickAttacher(environment={"PYTHONPATH": str(packages)})
    other = VolumeConnection(target="vdb", driver="iscsi", name="iqn.2026-01.example:t/2")
    with pytest.raises(AttachError, match="could not be attached: Volume device not found"):
        attacher.attach(other)


def test_a_host_without_os_brick_says_so(tmp_path: Path) -> None:
    (tmp_path / "os_brick.py").write_text("raise ImportError('as if it were not installed')\n")
    with pytest.raises(AttachError, match="os-brick is not installed"):
        BrickAttacher(environment={"PYTHONPATH": str(tmp_path)}).attach(VOLUME)
