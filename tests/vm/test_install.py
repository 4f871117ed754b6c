"""docs/install.md, executed as it stands: from three fresh machines to a guest that has moved."""

import re
from pathlib import Path

import pytest

from lab import waiting
from lab.errors import LabError
from lab.paths import CHECKOUT
from lab.vm import VmLab, guest, page
from lab.vm.page import Block

PAGE = CHECKOUT / "docs" / "install.md"
STORAGE_SECTION = "## Shared storage by NFS"
GUEST = "web1"
GUEST_NUMBER = 101
KNOWN_TIMEOUT_S = 120.0
PROBE_TIMEOUT_S = 30.0
BLOCK_TIMEOUT_S = 600.0
_JOIN_COMMAND = re.compile(r"limosa-compute-agent join \S+ (?P<code>\S+)")
_HOST_ADD = re.compile(r"^limosa-conductor host add (?P<host>\S+)$", re.MULTILINE)


class Reader:
    """Types what the page says, and carries join codes from the controller to the hosts."""

    def __init__(self, lab: VmLab) -> None:
        self._lab = lab
        self._codes: dict[str, str] = {}

    def follow(self, block: Block) -> None:
        for machine in block.machines:
            script = block.script
            if re.search(r"\bCODE\b", script):
                script = re.sub(r"\bCODE\b", self._codes[machine], script)
            said = self._lab.machine(machine).run(script, timeout_s=BLOCK_TIMEOUT_S).stdout
            codes = [match["code"] for match in _JOIN_COMMAND.finditer(said)]
            hosts = [match["host"] for match in _HOST_ADD.finditer(script)]
            self._codes.update(zip(hosts, codes, strict=True))


def sections() -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Return the blocks of the page's own way, and those of the storage that it presupposes."""
    text = PAGE.read_text()
    line = text.splitlines().index(STORAGE_SECTION)
    found = page.blocks(text)
    return tuple(b for b in found if b.line < line), tuple(b for b in found if b.line > line)


@pytest.fixture(scope="module")
def installed(vm_lab: VmLab) -> VmLab:
    """The machines after all of the page but its last section."""
    way, storage = sections()
    reader = Reader(vm_lab)
    for block in (*storage, *way[:-1]):
        reader.follow(block)
    return vm_lab


def test_the_page_ends_with_a_guest_that_has_moved(installed: VmLab) -> None:
    # given
    before = guest.start(
        installed, GUEST, machine="compute1", directory=Path("/srv/guests"), number=GUEST_NUMBER
    )
    controller = installed.machine("controller")
    waiting.wait_until(
        lambda: controller.run(f"limosa show {GUEST}", check=False).returncode == 0,
        what=f"the conductor knows {GUEST}",
        timeout_s=KNOWN_TIMEOUT_S,
        interval_s=2.0,
    )
    # when
    way, _ = sections()
    Reader(installed).follow(way[-1])
    # then
    after = guest.probe(installed, GUEST_NUMBER, timeout_s=PROBE_TIMEOUT_S)
    assert after.boot_id == before.boot_id
    assert "running" in installed.machine("compute2").run(f"virsh domstate {GUEST}").stdout
    with pytest.raises(LabError):
        installed.machine("compute1").run(f"virsh domstate {GUEST}")


@pytest.mark.parametrize(
    ("machine", "unit"),
    [
        ("controller", "limosa-conductor"),
        ("compute1", "limosa-compute-agent"),
        ("compute2", "limosa-compute-agent"),
    ],
)
def test_the_services_are_systemds_and_came_up_at_once(installed: VmLab, machine: str, unit: str) -> None:
    said = installed.machine(machine).run(f"systemctl show {unit} --property ActiveState,NRestarts").stdout
    assert set(said.split()) == {"ActiveState=active", "NRestarts=0"}
