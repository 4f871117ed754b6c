"""Disks that are block devices: one device is shown by the names that its storage and its kernel give it, on both hosts.

Nothing is ever written to one to find out. A loop device has no name, it is a file: a probe beside that file shows it.
"""

from pathlib import Path

from common.checks import STORAGE_NOT_SHARED, Finding
from common.device_checks import DEVICE_NOT_PROVABLE
from common.devices import Compared, Sameness, compared
from common.errors import describe_os_error
from common.migration import DiskProbe
from compute_agent.storage import device_identity
from compute_agent.storage.driver import Disk, Examined
from compute_agent.storage.file import FileStorage, read_beside

_FILES = FileStorage()


class BlockStorage:
    """See `driver.StorageDriver`."""

    def examine(self, disk: Disk, *, host: str, probe_id: str) -> Examined:
        if not disk.path:
            return Examined()
        path = Path(disk.path)
        if not path.is_absolute():
            return _refused(_not_shared(disk.target, disk.path, host, "its path is not absolute"))
        try:
            identity = device_identity.identity_of(path)
            loop = device_identity.loop_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return Examined(absence=f"{host} has no such device")
        except OSError as error:
            return _refused(_not_provable(disk.target, disk.path, host, describe_os_error(error)))
        probe = DiskProbe(
            disk=disk.target, path=disk.path, probe_path="", token="", type="block", device=identity
        )
        if loop is None:
            return Examined(probe=probe)
        file, part = loop
        return Examined(probe=_FILES.probe(probe, file=file, probe_id=probe_id, part=part))

    def write(self, probe: DiskProbe, *, host: str) -> tuple[Finding, ...]:
        return _FILES.write(probe, host=host) if probe.probe_path else ()

    def compare(self, probe: DiskProbe, *, dest: str) -> tuple[Finding, ...]:
        try:
            found = _compared(probe, dest=dest)
        except OSError as error:
            return (_not_provable(probe.disk, probe.path, dest, describe_os_error(error)),)
        match found.sameness:
            case Sameness.SAME:
                return ()
            case Sameness.OTHER:
                return (_not_shared(probe.disk, probe.path, dest, found.reason),)
            case Sameness.UNKNOWN:
                return (_not_provable(probe.disk, probe.path, dest, found.reason),)

    def unproven(self, disk: Disk, *, dest: str) -> tuple[Finding, ...]:
        if not disk.path:
            return ()
        return (_not_provable(disk.target, disk.path, dest, f"{dest} has not looked at it"),)


def _compared(probe: DiskProbe, *, dest: str) -> Compared:
    """On the source. Raises OSError where the device, or what the dest wrote, cannot be read."""
    path = Path(probe.path)
    if probe.device is None:
        return Compared(sameness=Sameness.UNKNOWN, reason=f"{dest} has not looked at it as a device")
    found = compared(probe.device, device_identity.identity_of(path))
    loop = device_identity.loop_file(path)
    if found.sameness is not Sameness.UNKNOWN or (loop is None and not probe.probe_path):
        return found
    if loop is None or not probe.probe_path:
        return Compared(sameness=Sameness.OTHER, reason="it is a loop device on one host only")
    file, part = loop
    token = read_beside(probe, path=file)
    if token != probe.token.encode() or probe.real_name != Path(file).name:
        return Compared(sameness=Sameness.OTHER, reason=f"it is another file there than {file}")
    if part != probe.part:
        return Compared(sameness=Sameness.OTHER, reason=f"it is another part of {file} there")
    return Compared(sameness=Sameness.SAME, reason=f"it is {file} on both hosts")


def _refused(finding: Finding) -> Examined:
    return Examined(findings=(finding,))


def _not_shared(target: str, path: str, host: str, reason: str) -> Finding:
    return STORAGE_NOT_SHARED.finding(
        host, disk=target, path=path, directory=str(Path(path).parent), reason=reason
    )


def _not_provable(target: str, path: str, host: str, reason: str) -> Finding:
    return DEVICE_NOT_PROVABLE.finding(host, disk=target, path=path, reason=reason)
