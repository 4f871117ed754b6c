"""The shared directory: one FUSE mount, held by a host called storage and seen by every compute host.

libvirt tells a shared filesystem by its type alone (virFileIsSharedFSType) and knows fuse.glusterfs; a plain directory
would need VIR_MIGRATE_UNSAFE, which Limosa never passes. It is one mount in all the hosts, and not one for each, so
that QEMU's image lock holds between them as it does on a cluster's filesystem: bindfs keeps locks within a mount, and
with --enable-lock-forwarding an incoming QEMU is refused the lock that the source has given up.
"""

from lab.namespaces import Namespaces, NamespaceSpec
from lab.paths import LabPaths

STORAGE = "storage"


def start(*, owner_pid: int | None, paths: LabPaths) -> Namespaces:
    """Mount the shared directory in namespaces of its own; the other hosts start from a copy of those mounts."""
    for directory in (paths.shared, paths.storage_mount, paths.host(STORAGE)):
        directory.mkdir(parents=True, exist_ok=True)
    mount = ("bindfs", "-o", "subtype=glusterfs", str(paths.shared), str(paths.storage_mount))
    spec = NamespaceSpec(name=STORAGE, owner_pid=owner_pid, has_own_mounts=False, commands=(mount,))
    return Namespaces.start(spec, paths=paths)
