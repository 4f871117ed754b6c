"""Images that are volumes of ZFS (zvol). `name` of an image is its path, /dev/zvol/DATASET.

The mark of a volume is the property limosa:migration, which `zfs create` writes with it; what it is known by is its guid.
Tested only against answers as zfs documents them: no kernel of ours has it.
"""

import re
from collections.abc import Mapping
from typing import Final

from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.errors import CommandError
from compute_agent.storage.making import (
    Identity,
    ImageInUseError,
    ImageNotCopyableError,
    MadeImage,
    WantedImage,
)
from compute_agent.storage.marked_volumes import CHANGE_TIMEOUT_S, LOOK_TIMEOUT_S, MarkedVolumes
from compute_agent.storage.room import Room

DIRECTORY: Final = "/dev/zvol/"
PROPERTY: Final = "limosa:migration"

# zfs(8): a component has letters, digits, and -_.: and a pool's name begins with a letter.
_DATASET = re.compile(r"^[A-Za-z][A-Za-z0-9_.:-]*(/[A-Za-z0-9_.:-]+)+$")
_PROPERTIES: Final = f"type,volsize,volblocksize,guid,refreservation,{PROPERTY}"


def dataset_of(path: str) -> str | None:
    """The dataset that a path below /dev/zvol names. Pure."""
    name = path.removeprefix(DIRECTORY)
    return name if path.startswith(DIRECTORY) and _DATASET.match(name) else None


class ZfsVolumes(MarkedVolumes[Mapping[str, str]]):
    """See `making.ImageMaker`."""

    ID = "guid"

    def describe(self, disk: DiskFacts) -> DiskImage:
        try:
            found = self._find(disk.source)
            reason = self._against_copying(found, disk)
        except CommandError as error:
            raise ImageNotCopyableError(path=disk.source, reason=str(error)) from error
        if found is None or reason:
            raise ImageNotCopyableError(path=disk.source, reason=reason)
        options = {"volblocksize": found["volblocksize"]}
        if found["refreservation"] in ("none", "0"):
            options["sparse"] = "on"
        size_bytes = int(found["volsize"])
        return DiskImage(
            type="block",
            path=disk.source,
            format=disk.format,
            virtual_bytes=size_bytes,
            allocated_bytes=size_bytes,
            options=options,
            identity={"guid": found["guid"]},
        )

    def obstacle(self, path: str) -> str:
        dataset = _dataset(path)
        parent = dataset.rpartition("/")[0]
        try:
            if self._properties("name", parent) is None:
                return f"it has no dataset {parent}"
            return f"it has a dataset {dataset}, which is no device there" if self._find(path) else ""
        except CommandError as error:
            return str(error).rstrip(".")

    def room(self, path: str) -> Room | None:
        parent = _dataset(path).rpartition("/")[0]
        found = self._properties("available", parent)
        place = f"the dataset {parent}"
        return None if found is None else Room(key=place, place=place, free_bytes=int(found["available"]))

    def remove(self, made: MadeImage) -> bool:
        found = self._find(made.name)
        if found is None or not self._is_ours(found, made.identity):
            return False
        # Without -r: what stands on it (snapshots, clones) is nobody's to remove here.
        removed = self._run(["zfs", "destroy", _dataset(made.name)], timeout_s=CHANGE_TIMEOUT_S)
        if removed.code == 0:
            return True
        if "busy" in removed.stderr:
            raise ImageInUseError(path=made.name)
        raise CommandError(program="zfs", reason=removed.last_line)

    def _id(self, found: Mapping[str, str]) -> str:
        return found["guid"]

    def _mark(self, migration: str) -> Identity:
        return {"migration": migration}

    def _is_marked(self, found: Mapping[str, str], identity: Identity) -> bool:
        return bool(identity.get("migration")) and found.get(PROPERTY) == identity["migration"]

    def _create_command(self, wanted: WantedImage) -> list[str]:
        return create_command(_dataset(wanted.image.path), wanted.image, migration=wanted.migration)

    def _against_copying(self, found: Mapping[str, str] | None, disk: DiskFacts) -> str:
        if found is None:
            return "ZFS knows no such volume"
        if found["type"] != "volume":
            return f"it is a {found['type']} of ZFS, not a volume"
        if disk.format != "raw":
            return f"its format is {disk.format}, and a volume can be made anew only for raw"
        argv = ["zfs", "list", "-H", "-t", "snapshot", "-d", "1", "-o", "name", _dataset(disk.source)]
        snapshots = self._run(argv, timeout_s=LOOK_TIMEOUT_S)
        if snapshots.code != 0:
            raise CommandError(program="zfs", reason=snapshots.last_line)
        return "it has snapshots, which would stay behind" if snapshots.stdout.strip() else ""

    def _find(self, path: str) -> Mapping[str, str] | None:
        return self._properties(_PROPERTIES, _dataset(path))

    def _properties(self, names: str, dataset: str) -> Mapping[str, str] | None:
        """None: there is no such dataset. Raises CommandError."""
        argv = ["zfs", "get", "-H", "-p", "-o", "property,value", names, dataset]
        finished = self._run(argv, timeout_s=LOOK_TIMEOUT_S)
        if finished.code != 0:
            if "does not exist" in finished.stderr:
                return None
            raise CommandError(program="zfs", reason=finished.last_line)
        return dict(line.split("\t", 1) for line in finished.stdout.splitlines() if "\t" in line)


def create_command(dataset: str, image: DiskImage, *, migration: str) -> list[str]:
    """The command that makes an empty volume like this one. Pure."""
    sparse = ["-s"] if image.options.get("sparse") else []
    block = image.options.get("volblocksize")
    options = ["-o", f"volblocksize={block}"] if block else []
    size = str(image.virtual_bytes)
    return ["zfs", "create", *sparse, *options, "-o", f"{PROPERTY}={migration}", "-V", size, dataset]


def _dataset(path: str) -> str:
    dataset = dataset_of(path)
    if dataset is None:
        raise ImageNotCopyableError(path=path, reason="it does not name a dataset of ZFS below /dev/zvol")
    return dataset
