#!/usr/bin/python3
"""Stands in for LVM's programs on a host of the lab: volumes are files with loop devices on them.

This kernel has no device-mapper. The devices are real, the programs are not: what they say was recorded of LVM 2.03, and
tests/contract/test_volume_makers.py holds the agent to the real ones. Called by the name of each of them, on a host.
"""

import json
import subprocess
import sys
import uuid
from pathlib import Path

GROUP = "limosa-lab"
DEVICES = Path("/dev") / GROUP
STATE = Path("/srv/local/loop-volumes")
EXTENT_BYTES = 2**22


def main(program: str, argv: list[str]) -> int:
    if program in ("vgs", "lvs"):
        of, rows = ("vg", _group(argv[-1])) if program == "vgs" else ("lv", _volume(argv[-1]))
        sys.stdout.write(json.dumps({"report": [{of: rows}]}))
        if not rows:
            sys.stderr.write(f'  Failed to find logical volume "{argv[-1]}"\n')
        return 0 if rows else 5
    return _create(argv) if program == "lvcreate" else _remove(argv[-1])


def _group(name: str) -> list[dict[str, str]]:
    known = {"vg_name": GROUP, "vg_free": str(2**30), "vg_extent_size": str(EXTENT_BYTES)}
    return [known] if name == GROUP else []


def _volume(name: str) -> list[dict[str, str]]:
    page = STATE / f"{Path(name).name}.json"
    return [json.loads(page.read_text())] if page.exists() else []


def _create(argv: list[str]) -> int:
    name, size = argv[argv.index("--name") + 1], argv[argv.index("--size") + 1].rstrip("b")
    STATE.mkdir(exist_ok=True)
    file = STATE / f"{name}.img"
    with file.open("xb") as opened:
        opened.truncate(int(size))
    done = subprocess.run(
        ["losetup", "--find", "--show", str(file)], check=True, capture_output=True, text=True
    )
    (DEVICES / name).symlink_to(done.stdout.strip())
    page = {
        "lv_uuid": str(uuid.uuid4()),
        "lv_size": size,
        "segtype": "linear",
        "pool_lv": "",
        "lv_tags": argv[argv.index("--addtag") + 1] if "--addtag" in argv else "",
        "lv_role": "public",
        "lv_device_open": "",
    }
    (STATE / f"{name}.json").write_text(json.dumps(page))
    return 0


def _remove(name: str) -> int:
    name = Path(name).name
    subprocess.run(["losetup", "--detach", str((DEVICES / name).readlink())], check=True)
    for path in (DEVICES / name, STATE / f"{name}.img", STATE / f"{name}.json"):
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))
