"""What Limosa adds to `virsh migrate --copy-storage-all`: equal guests with a disk of their host's own, moved by turns.

The disk has 1 GiB, 100 MiB of it not zero. What virsh needs is prepared outside of its time: an empty file of that size on
the dest; and what it leaves is removed outside of it. Both times end when the dest's file is on stable storage. Flags, URI
and bandwidth are those of Limosa's own call.

    bench/block [--pairs N] [--json]
"""

import json
import os
import sys
from typing import Any

from bench import pairs
from bench.pairs import BY_LIMOSA, BY_VIRSH, MIGRATE_TIMEOUT_S, Call
from lab.guest.disks import LocalDisk, local_path
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab

PAIRS, MIN_PAIRS = 5, 3
SIZE_MIB, WRITTEN_MIB = 1024, 100
DEVICE = "vdb"
COPIES = ("VIR_MIGRATE_NON_SHARED_INC", "VIR_MIGRATE_NON_SHARED_DISK")
GOAL = 1.15


def main() -> int:
    options = pairs.options(__doc__, what="pairs", default=PAIRS, least=MIN_PAIRS)
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        for name in (BY_VIRSH, BY_LIMOSA):
            lab.guest_create(name, "compute1", GuestOptions(local_disks=(LocalDisk(size_mib=SIZE_MIB),)))
            _fill(lab, name)
        call, measured = pairs.measure(lab, _by_virsh, count=options.pairs)
    finally:
        Lab.down()
    summary = pairs.summary(measured)
    summary["ratio"] = round(summary["limosa_median_s"] / summary["virsh_median_s"], 3)
    summary |= {"ratio_goal": GOAL, "disk_mib": SIZE_MIB, "written_mib": WRITTEN_MIB}
    _report(call, summary)
    if options.json:
        print(json.dumps(summary))
    return 0


def _fill(lab: Lab, name: str) -> None:
    """100 MiB spread over the disk, which the guest does not use."""
    path = local_path(name, DEVICE)
    script = (
        f"step=$(({SIZE_MIB} / {WRITTEN_MIB})); for at in $(seq 0 {WRITTEN_MIB - 1}); do "
        f"dd if=/dev/urandom of={path} bs=1M count=1 seek=$((at * step)) conv=notrunc status=none; done; sync {path}"
    )
    lab.exec("compute1", ["sh", "-ec", script], timeout_s=MIGRATE_TIMEOUT_S)


def _by_virsh(lab: Lab, call: Call, source: str, dest: str) -> float:
    """What Limosa does itself is done outside of the time, but for the way to stable storage."""
    disk = local_path(BY_VIRSH, DEVICE)
    lab.exec(dest, ["truncate", "-s", f"{SIZE_MIB}M", str(disk)])
    copy = ("--copy-storage-all", "--migrate-disks", DEVICE)
    seconds = pairs.timed(lab, source, pairs.virsh_argv(call, dest, *copy, in_more=COPIES))
    seconds += pairs.timed(lab, dest, ["sync", str(disk)])
    lab.exec(source, ["rm", str(disk)])
    return seconds


def _report(call: Call, summary: dict[str, Any]) -> None:
    what = f"{SIZE_MIB} MiB with {WRITTEN_MIB} MiB not zero"
    print(f"{summary['pairs']} pairs, {what}, {'|'.join(call.flags)}")
    print(f"virsh migrate --copy-storage-all, and sync   median {summary['virsh_median_s']:.3f} s")
    print(f"Limosa                                       median {summary['limosa_median_s']:.3f} s")
    print(f"ratio {summary['ratio']:.3f} (goal: at most {GOAL})")
    pairs.print_steps(summary)


if __name__ == "__main__":
    sys.exit(main())
