"""LVM and ZFS as their programs answer: what they print and how they end was recorded (LVM 2.03.16) or documented (zfs)."""

import json
import re
from dataclasses import dataclass, field
from itertools import count

from compute_agent.subprocesses import Finished

EXTENT_BYTES = 4 * 2**20


@dataclass
class FakeLvm:
    """One host's volume groups, by name: how many bytes are free."""

    groups: dict[str, int] = field(default_factory=lambda: {"vg0": 280 * 2**20})
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)  # GROUP/VOLUME -> fields
    commands: list[list[str]] = field(default_factory=list)
    numbers: count = field(default_factory=lambda: count(1))

    def __call__(self, argv, *, timeout_s):
        assert timeout_s > 0
        self.commands.append(list(argv))
        return getattr(self, f"_{argv[0]}")(argv[1:])

    def _vgs(self, argv):
        group = argv[-1]
        rows = []
        if group in self.groups:
            known = {
                "vg_name": group,
                "vg_free": str(self.groups[group]),
                "vg_extent_size": str(EXTENT_BYTES),
            }
            rows = [{name: known[name] for name in _asked(argv)}]
        return _report("vg", rows, missing=_no_group(group))

    def _lvs(self, argv):
        name = argv[-1]
        group = name.partition("/")[0]
        if group not in self.groups:
            return _report("lv", [], missing=_no_group(group))
        found = self.volumes.get(name)
        rows = [{field: found[field] for field in _asked(argv)}] if found else []
        return _report("lv", rows, missing=f'  Failed to find logical volume "{name}"')

    def _lvcreate(self, argv):
        group, name, size = argv[-1], argv[argv.index("--name") + 1], _size_of(argv)
        extents = -(-size // EXTENT_BYTES)
        if group not in self.groups:
            return Finished(code=5, stdout="", stderr=_no_group(group))
        if f"{group}/{name}" in self.volumes:
            return Finished(
                code=5,
                stdout="",
                stderr=f'  Logical Volume "{name}" already exists in volume group "{group}"\n',
            )
        free = self.groups[group] // EXTENT_BYTES
        is_thin = "--thinpool" in argv
        if not is_thin and extents > free:
            text = f'  Volume group "{group}" has insufficient free space ({free} extents): {extents} required.\n'
            return Finished(code=5, stdout="", stderr=text)
        if not is_thin:
            self.groups[group] -= extents * EXTENT_BYTES
        self.volumes[f"{group}/{name}"] = {
            "lv_uuid": f"T8jILy-ceM4-ZLtk-JNdF-LVj2-WbNL-{next(self.numbers):06}",
            "lv_size": str(extents * EXTENT_BYTES),
            "segtype": "thin" if is_thin else "linear",
            "pool_lv": argv[argv.index("--thinpool") + 1] if is_thin else "",
            "lv_tags": argv[argv.index("--addtag") + 1],
            "lv_role": "public",
            "lv_device_open": "",
        }
        return Finished(code=0, stdout=f'  Logical volume "{name}" created.\n', stderr="")

    def _lvremove(self, argv):
        name = argv[-1]
        if name not in self.volumes:
            return Finished(code=5, stdout="", stderr=f'  Failed to find logical volume "{name}"\n')
        size = int(self.volumes.pop(name)["lv_size"])
        self.groups[name.partition("/")[0]] += size
        return Finished(code=0, stdout=f'  Logical volume "{name}" successfully removed.\n', stderr="")


def _asked(argv):
    return argv[argv.index("-o") + 1].split(",")


def _size_of(argv):
    flag = "--virtualsize" if "--virtualsize" in argv else "--size"
    return int(re.fullmatch(r"(\d+)b", argv[argv.index(flag) + 1])[1])


def _no_group(group):
    return f'  Volume group "{group}" not found\n  Cannot process volume group {group}\n'


def _report(of, rows, *, missing):
    text = json.dumps({"report": [{of: rows}]})
    return Finished(code=0 if rows else 5, stdout=text, stderr="" if rows else missing)


@dataclass
class FakeZfs:
    """One host's datasets by name, with the properties that were asked for when they were made."""

    datasets: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"tank": {"type": "filesystem", "name": "tank"}}
    )
    snapshots: list[str] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    commands: list[list[str]] = field(default_factory=list)
    numbers: count = field(default_factory=lambda: count(10872346871234))

    def __call__(self, argv, *, timeout_s):
        assert timeout_s > 0
        assert argv[0] == "zfs"
        self.commands.append(list(argv))
        return getattr(self, f"_{argv[1]}")(argv[2:])

    def _get(self, argv):
        names, dataset = argv[-2].split(","), argv[-1]
        found = self.datasets.get(dataset)
        if found is None:
            return Finished(code=1, stdout="", stderr=f"cannot open '{dataset}': dataset does not exist\n")
        lines = [f"{name}\t{found.get(name, '-')}" for name in names]
        return Finished(code=0, stdout="".join(f"{line}\n" for line in lines), stderr="")

    def _list(self, argv):
        mine = [name for name in self.snapshots if name.startswith(f"{argv[-1]}@")]
        return Finished(code=0, stdout="".join(f"{name}\n" for name in mine), stderr="")

    def _create(self, argv):
        dataset = argv[-1]
        if dataset in self.datasets:
            return Finished(code=1, stdout="", stderr=f"cannot create '{dataset}': dataset already exists\n")
        parent = dataset.rpartition("/")[0]
        if parent not in self.datasets:
            return Finished(code=1, stdout="", stderr=f"cannot create '{dataset}': parent does not exist\n")
        given = dict(argv[number + 1].split("=", 1) for number, word in enumerate(argv) if word == "-o")
        size = argv[argv.index("-V") + 1]
        self.datasets[dataset] = {
            "type": "volume",
            "name": dataset,
            "volsize": size,
            "volblocksize": "8192",
            "guid": str(next(self.numbers)),
            "refreservation": "none" if "-s" in argv else size,
            **given,
        }
        return Finished(code=0, stdout="", stderr="")

    def _destroy(self, argv):
        dataset = argv[-1]
        if dataset in self.busy:
            return Finished(code=1, stdout="", stderr=f"cannot destroy '{dataset}': dataset is busy\n")
        if any(name.startswith(f"{dataset}@") for name in self.snapshots):
            text = f"cannot destroy '{dataset}': volume has children\nuse '-r' to destroy the following datasets:\n"
            return Finished(code=1, stdout="", stderr=f"{text}{dataset}@a\n")
        del self.datasets[dataset]
        return Finished(code=0, stdout="", stderr="")
