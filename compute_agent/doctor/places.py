"""What the agent may write, which lock protects disks, and what the places of disks are on."""

from collections.abc import Iterator
from typing import Final

from common import concurrency
from common.diagnosis import Diagnosis, Place
from common.doctor_checks import LOCK_MANAGER_ABSENT, PLACE_NOT_WRITABLE
from common.doctor_questions import LOCKS, STATE
from common.facts import DiskFacts
from compute_agent.checks.disk_locks import LOOK_TIMEOUT_S, MOUNTS, file_system_of_path, lock_of, mount_of
from compute_agent.checks.writing import check_writing, why_not_written
from compute_agent.doctor.look import HostLook, text_of
from compute_agent.hypervisor.host_files import lock_manager_in

# That no second host has mounted: what is on them is protected by being here alone.
LOCAL_FILE_SYSTEMS: Final = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "ramfs", ""}
)
PLACES_MAX = 50


def answer_state(look: HostLook) -> Iterator[Diagnosis]:
    host, state, place = look.host, look.settings.state_path, look.settings.instances_path
    if state.exists():
        findings = tuple(check_writing(look))
    else:  # the agent makes it at its start
        reason = why_not_written(state.parent)
        findings = () if not reason else tuple(check_writing(look))
    yield from STATE.all_found(findings, host=host)
    reason = why_not_written(place)
    if reason:
        yield STATE.found(PLACE_NOT_WRITABLE.finding(host, path=place, reason=reason), host=host)
    if not findings and not reason:
        yield STATE.passed(f"The agent may write in {state} and in {place}.", host=host)


def answer_locks(look: HostLook) -> Iterator[Diagnosis]:
    host, path = look.host, str(look.settings.instances_path)
    manager = lock_manager_in(text_of(look.settings.qemu_conf))
    file_system = file_system_of_path(path)
    disk = DiskFacts(target="vda", type="file", source=path)
    lock = lock_of(disk, lock_manager=manager, file_system=file_system)
    if not lock and file_system not in LOCAL_FILE_SYSTEMS:
        finding = LOCK_MANAGER_ABSENT.finding(host, path=path, file_system=file_system)
        yield LOCKS.found(finding, host=host)
    elif lock:
        yield LOCKS.passed(f"Disks in {path} are protected by {lock}.", host=host)
    else:
        yield LOCKS.passed(f"{path} is on {file_system or 'nothing'}, of this host alone.", host=host)


def places_of(look: HostLook) -> tuple[Place, ...]:
    """Of instances_path, and of each directory with a disk of a guest that is here."""
    sources = (
        disk.source
        for guest in look.hypervisor.list_guests()
        for disk in guest.disks
        if disk.type == "file" and disk.source and not disk.is_readonly
    )
    directories = [str(look.settings.instances_path), *(source.rpartition("/")[0] for source in sources)]
    mounts = concurrency.call_blocking(read_mounts, timeout_s=LOOK_TIMEOUT_S)
    return tuple(
        Place(path=path, file_system=file_system, source=source)
        for path in list(dict.fromkeys(directories))[:PLACES_MAX]
        for file_system, source in [mount_of(path, mounts)]
    )


def read_mounts() -> str:
    return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
