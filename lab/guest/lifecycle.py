"""Make, list and delete guests, with nothing but virsh and files."""

import tempfile
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import network, prober, waiting
from lab.errors import LabError
from lab.guest import disks, domain, image, registry
from lab.guest.disks import LocalDisk
from lab.namespaces import Namespaces
from lab.paths import LabPaths

BOOT_TIMEOUT_S = 90.0
DEFAULT_MEMORY_MIB = 96
# What libvirt would keep a definition for.
_UNDEFINE_ALL = ("--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram", "--tpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestOptions:
    """How a new guest differs from the usual one."""

    memory_mib: int = DEFAULT_MEMORY_MIB
    is_transient: bool = False
    is_paused: bool = False  # suspended after it has booted
    is_autostarted: bool = False
    dirty_mib_s: int = 0
    dirty_mib: int = 16
    is_root_local: bool = False  # on storage of its host's own, like all `local_disks`
    local_disks: tuple[LocalDisk, ...] = ()
    machine_type: str = domain.MACHINE_TYPE
    cpu_model: str = domain.CPU_MODEL
    devices: str = ""  # XML of further devices
    boot: str = domain.BOOT_FROM_DISK  # XML of what it is started from
    bridge: str = network.GUEST_BRIDGE
    has_vnc: bool = False  # on an address of its host: virsh cannot migrate it without other XML
    vnc_password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPlace:
    """What one host's libvirt says of a guest."""

    name: str
    host: str
    state: str  # virsh domstate: running, paused, shut off
    address: str


def virsh(host: Namespaces, arguments: Sequence[str], *, check: bool = True) -> str:
    """Run virsh on the host and return what it prints."""
    return host.run(["virsh", "-q", "-c", "qemu:///system", *arguments], check=check).stdout.strip()


def create(
    name: str, *, host: Namespaces, prober_host: Namespaces, options: GuestOptions, paths: LabPaths
) -> prober.Probe:
    """Make a guest and return its first answer when it has booted and is in the state asked for."""
    if not name.strip() or "/" in name or name.startswith("-"):
        raise LabError(
            f"{name!r} cannot be a guest's name", hint="it names files, too: no / and no leading -"
        )
    template = image.ensure(paths)
    record = registry.add(name, paths=paths)
    try:
        made = disks.make(
            name,
            template,
            host=host,
            is_root_local=options.is_root_local,
            local_disks=options.local_disks,
            paths=paths,
        )
        _start(record, made, host=host, options=options)
        first = prober.probe(prober_host, record.address, timeout_s=BOOT_TIMEOUT_S)
        if options.dirty_mib_s:
            request = f"dirty {options.dirty_mib_s} {options.dirty_mib}"
            prober.ask(prober_host, record.address, request, timeout_s=BOOT_TIMEOUT_S)
        if options.is_paused:
            virsh(host, ["suspend", name])
    except BaseException:
        delete(name, hosts=[host], paths=paths)
        raise
    return first


def delete(name: str, *, hosts: Iterable[Namespaces], paths: LabPaths) -> None:
    """Remove a guest from every host, running or not, and its disks and logs."""
    for host in hosts:
        for verb in (["destroy", name], ["undefine", name, *_UNDEFINE_ALL]):
            host.run(["virsh", "-q", "-c", "qemu:///system", *verb], check=False)
        disks.remove(name, host=host.name, paths=paths)
        log = domain.serial_log(name)
        (paths.host(host.name) / log.relative_to("/")).unlink(missing_ok=True)
    registry.remove(name, paths=paths)


def places(*, hosts: Iterable[Namespaces], paths: LabPaths) -> list[GuestPlace]:
    """Return every domain of every host; a guest that two hosts know appears twice."""
    addresses = {record.name: record.address for record in registry.everything(paths=paths)}

    def of(host: Namespaces) -> list[GuestPlace]:
        return [
            GuestPlace(
                name=name,
                host=host.name,
                state=virsh(host, ["domstate", name], check=False),
                address=addresses.get(name, ""),
            )
            for name in virsh(host, ["list", "--all", "--name"]).splitlines()
        ]

    found = waiting.all_at_once([lambda host=host: of(host) for host in hosts])  # type: ignore[misc]
    return sorted((place for some in found for place in some), key=lambda place: (place.name, place.host))


def _start(
    record: registry.GuestRecord, made: tuple[domain.Disk, ...], *, host: Namespaces, options: GuestOptions
) -> None:
    xml = domain.render(
        domain.Domain(
            name=record.name,
            uuid=uuid.uuid4(),
            number=record.number,
            memory_mib=options.memory_mib,
            machine_type=options.machine_type,
            cpu_model=options.cpu_model,
            devices=options.devices,
            boot=options.boot,
            bridge=options.bridge,
            vnc_listen=network.addresses(host.name).management if options.has_vnc else None,
            vnc_password=options.vnc_password,
            disks=made,
        )
    )
    # virsh, in the host, opens the file that the host sees at the same path.
    with tempfile.NamedTemporaryFile("w", suffix=".xml", dir=host.seen_from_outside(Path("/run"))) as file:
        file.write(xml)
        file.flush()
        inside = str(Path("/run") / Path(file.name).name)
        if options.is_transient:
            virsh(host, ["create", inside])
            return
        virsh(host, ["define", inside])
    if options.is_autostarted:
        virsh(host, ["autostart", record.name])
    virsh(host, ["start", record.name])
