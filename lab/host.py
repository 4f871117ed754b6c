"""A host's own files: the tree below .lab/hosts/NAME that is bound over the machine's."""

import uuid
from collections.abc import Iterable
from pathlib import Path

from lab import generation, network
from lab.generation import Generation
from lab.namespaces import NamespaceSpec
from lab.paths import LOCAL_DIRECTORY, SHARED_DIRECTORY, LabPaths
from lab.processes import Process

_OWN_DIRECTORIES = (
    "etc/libvirt",
    "etc/limosa",
    "etc/pki",
    "var/lib/libvirt",
    "var/lib/limosa",
    "var/log/libvirt",
    "var/log/limosa",
)
_OWN_FILES = ("etc/hosts", "etc/hostname", "etc/machine-id")
_UUID_NAMESPACE = uuid.UUID("5a8d6e0c-2c5e-4c0f-9d3b-6c696d6f7361")


def host_uuid(name: str) -> uuid.UUID:
    """Return the same uuid for the same name each time: libvirt tells hosts apart by it."""
    return uuid.uuid5(_UUID_NAMESPACE, name)


def write_tree(name: str, *, all_names: Iterable[str], paths: LabPaths) -> None:
    """Write the host's directories and identity, before its namespaces exist."""
    top = paths.host(name)
    for directory in _OWN_DIRECTORIES:
        (top / directory).mkdir(parents=True, exist_ok=True)
    (top / LOCAL_DIRECTORY.relative_to("/")).mkdir(parents=True, exist_ok=True)
    (top / "etc/hosts").write_text(network.hosts_file(all_names))
    (top / "etc/hostname").write_text(name + "\n")
    (top / "etc/machine-id").write_text(host_uuid(name).hex + "\n")


def spec(
    name: str, *, of: Generation, storage: Process, owner_pid: int | None, paths: LabPaths
) -> NamespaceSpec:
    """Return what the host's namespaces are made of. `storage` holds the shared directory's mount."""
    top = paths.host(name)
    own = [*_OWN_DIRECTORIES, *_OWN_FILES, str(LOCAL_DIRECTORY.relative_to("/"))]
    binds = [(top / relative, Path("/") / relative) for relative in own]
    generation.capabilities(of, paths=paths).mkdir(parents=True, exist_ok=True)
    binds += generation.binds(of, paths=paths)
    if network.is_compute(name):
        binds.append((paths.storage_mount, SHARED_DIRECTORY))
    return NamespaceSpec(
        name=name,
        owner_pid=owner_pid,
        tree=generation.tree(of, paths=paths),
        mounts_of=storage,
        binds=binds,
        sysctl=network.QUIET_SYSCTL,
    )
