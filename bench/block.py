"""What Limosa adds to `virsh migrate --copy-storage-all`: equal guests with a disk of their host's own, moved by turns.

The disk has 1 GiB, 100 MiB of it not zero. What virsh needs is prepared outside of its time: an empty file of that size on
the dest; and what it leaves is removed outside of it. Both times end when the dest's file is on stable storage. Flags, URI
and bandwidth are those of Limosa's own call.

    bench/block [--pairs N] [--json]
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.overhead import FLAG_OPTIONS, Call, logged_call, wait_until_found
from lab.guest.disks import LocalDisk, local_path
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab

MIN_PAIRS = 3
SIZE_MIB, WRITTEN_MIB = 1024, 100
DEVICE = "vdb"
BY_VIRSH, BY_LIMOSA = "bench-virsh", "bench-limosa"
MIGRATE_TIMEOUT_S = 300.0
GOAL = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    virsh_s: float
    limosa_s: float
    client_s: float
    steps: dict[str, tuple[float, float]]  # step -> (seconds, of them on its host)


def main() -> int:
    options = _options()
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        for name in (BY_VIRSH, BY_LIMOSA):
            lab.guest_create(name, "compute1", GuestOptions(local_disks=(LocalDisk(size_mib=SIZE_MIB),)))
            _fill(lab, name)
        wait_until_found(lab, {BY_VIRSH, BY_LIMOSA})
        _by_limosa(lab, "compute2")  # warms up, and shows the call
        call = logged_call(lab)
        _by_virsh(lab, call, source="compute1", dest="compute2")
        pairs = [_pair(lab, call, number) for number in range(options.pairs)]
    finally:
        Lab.down()
    summary = _summary(pairs)
    _report(call, pairs, summary)
    if options.json:
        print(json.dumps(summary))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help=f"at least {MIN_PAIRS}")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if options.pairs < MIN_PAIRS:
        parser.error(f"--pairs: at least {MIN_PAIRS}")
    return options


def _fill(lab: Lab, name: str) -> None:
    """100 MiB spread over the disk, which the guest does not use."""
    path = local_path(name, DEVICE)
    script = (
        f"step=$(({SIZE_MIB} / {WRITTEN_MIB})); for at in $(seq 0 {WRITTEN_MIB - 1}); do "
        f"dd if=/dev/urandom of={path} bs=1M count=1 seek=$((at * step)) conv=notrunc status=none; done; sync {path}"
    )
    lab.exec("compute1", ["sh", "-ec", script], timeout_s=MIGRATE_TIMEOUT_S)


def _pair(lab: Lab, call: Call, number: int) -> Pair:
    """Both guests are on the same host: move each to the other one, the first by turns."""
    source, dest = ("compute2", "compute1") if number % 2 == 0 else ("compute1", "compute2")
    if number // 2 % 2:
        virsh_s = _by_virsh(lab, call, source=source, dest=dest)
        shown, client_s = _by_limosa(lab, dest)
    else:
        shown, client_s = _by_limosa(lab, dest)
        virsh_s = _by_virsh(lab, call, source=source, dest=dest)
    steps = {step["step"]: (step["seconds"], step["seconds_on_host"]) for step in shown["steps"]}
    return Pair(virsh_s=virsh_s, limosa_s=shown["seconds"], client_s=client_s, steps=steps)


def _by_limosa(lab: Lab, dest: str) -> tuple[dict[str, Any], float]:
    """Its own time holds the making of the file, its way to stable storage, and the removal of the source's."""
    start = time.monotonic()
    done = lab.limosa("live-migration", BY_LIMOSA, dest, "-f", "json", timeout_s=MIGRATE_TIMEOUT_S)
    client_s = time.monotonic() - start
    shown: dict[str, Any] = json.loads(done.stdout)
    return json.loads(lab.limosa("migration", "show", shown["id"], "-f", "json").stdout), client_s


def _by_virsh(lab: Lab, call: Call, *, source: str, dest: str) -> float:
    disk = local_path(BY_VIRSH, DEVICE)
    lab.exec(dest, ["truncate", "-s", f"{SIZE_MIB}M", str(disk)])
    flags = [FLAG_OPTIONS[flag] for flag in call.flags if flag in FLAG_OPTIONS]
    argv = ["virsh", "-q", "migrate", *flags, "--copy-storage-all", "--migrate-disks", DEVICE]
    if call.bandwidth_mib_s:
        argv += ["--bandwidth", str(call.bandwidth_mib_s)]
    argv += [BY_VIRSH, call.dconnuri.replace("compute2", dest)]
    if call.migrate_uri:
        argv.append(call.migrate_uri.replace("compute2", dest))
    seconds = _timed(lab, source, argv) + _timed(lab, dest, ["sync", str(disk)])
    lab.exec(source, ["rm", str(disk)])
    return seconds


def _timed(lab: Lab, host: str, argv: list[str]) -> float:
    script = 'start=$(date +%s%N); "$@" >&2; code=$?; echo $(($(date +%s%N) - start)); exit $code'
    done = lab.exec(host, ["sh", "-c", script, "sh", *argv], timeout_s=MIGRATE_TIMEOUT_S)
    return int(done.stdout) / 1e9


def _summary(pairs: list[Pair]) -> dict[str, Any]:
    virsh_s = statistics.median(pair.virsh_s for pair in pairs)
    limosa_s = statistics.median(pair.limosa_s for pair in pairs)
    return {
        "virsh_median_s": round(virsh_s, 3),
        "limosa_median_s": round(limosa_s, 3),
        "ratio": round(limosa_s / virsh_s, 3),
        "ratio_goal": GOAL,
        "pairs": len(pairs),
        "disk_mib": SIZE_MIB,
        "written_mib": WRITTEN_MIB,
        "client_median_s": round(statistics.median(pair.client_s for pair in pairs), 3),
        "steps_median_s": {step: _median_step(pairs, step, 0) for step in pairs[0].steps},
        "steps_on_host_median_s": {step: _median_step(pairs, step, 1) for step in pairs[0].steps},
    }


def _median_step(pairs: list[Pair], step: str, which: int) -> float:
    return round(statistics.median(pair.steps[step][which] for pair in pairs), 3)


def _report(call: Call, pairs: list[Pair], summary: dict[str, Any]) -> None:
    print(f"{len(pairs)} pairs, {SIZE_MIB} MiB with {WRITTEN_MIB} MiB not zero, {'|'.join(call.flags)}")
    print(f"virsh migrate --copy-storage-all, and sync   median {summary['virsh_median_s']:.3f} s")
    print(f"Limosa                                       median {summary['limosa_median_s']:.3f} s")
    print(f"ratio {summary['ratio']:.3f} (goal: at most {GOAL})")
    print(f"\n{'step':45} {'seconds':>8} {'on host':>8}")
    for step, seconds in summary["steps_median_s"].items():
        print(f"{step:45} {seconds:8.3f} {summary['steps_on_host_median_s'][step]:8.3f}")


if __name__ == "__main__":
    sys.exit(main())
