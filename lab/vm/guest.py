"""The lab's tiny guest in a machine: TCG within TCG, and yet it answers after half a minute."""

import shlex
from pathlib import Path
from uuid import uuid4

from lab import prober
from lab.guest import image
from lab.guest.domain import Disk, Domain, render
from lab.network import guest_address
from lab.prober import Probe
from lab.vm.lab import VmLab

BOOT_TIMEOUT_S = 180.0
MEMORY_MIB = 96
_EMULATOR = Path("/usr/bin/qemu-system-x86_64")


def start(lab: VmLab, name: str, *, machine: str, directory: Path, number: int) -> Probe:
    """Define and start the guest with its disk in a directory of the machine; its first answer is returned."""
    disk = directory / f"{name}.img"
    domain = Domain(
        name=name,
        uuid=uuid4(),
        number=number,
        memory_mib=MEMORY_MIB,
        disks=(Disk(path=disk, device="vda"),),
        emulator=_EMULATOR,
    )
    url = lab.offer(image.ensure(lab.paths), name=disk.name)
    xml = shlex.quote(render(domain))
    lab.machine(machine).run(
        f"""\
curl --silent --show-error --fail --output {disk} {url}
printf '%s' {xml} >/run/{name}.xml
virsh define /run/{name}.xml
virsh start {name}
"""
    )
    return probe(lab, number, timeout_s=BOOT_TIMEOUT_S)


def probe(lab: VmLab, number: int, *, timeout_s: float) -> Probe:
    """Ask the guest itself over the data network, wherever it runs; raises LabError when it does not answer."""
    return prober.probe(lab.switch, guest_address(number), timeout_s=timeout_s)
