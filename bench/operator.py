"""What an administrator waits for, beside virsh in the same run, and the peak memory of the services.

Four hosts in a lab, one guest. Wall time of whole processes, in turn: `virsh list` for the scale of the machine,
`limosa list`, `limosa check` of the guest against one host and against three. Then the guest is moved, and the peak
resident memory (VmHWM) of the conductor and of the agents is read.

    bench/operator [--rounds N] [--json]
"""

import argparse
import json
import os
import statistics
import sys
import time

from bench import services
from lab import waiting
from lab.lab import Lab

GUEST = "bench-operator"
SOURCE, *OTHERS = "compute1", "compute2", "compute3", "compute4"
FOUND_TIMEOUT_S = 30.0


def main() -> int:
    options = _options()
    lab = Lab.up(hosts=1 + len(OTHERS), owner_pid=os.getpid())
    try:
        lab.guest_create(GUEST, SOURCE)
        waiting.wait_until(
            lambda: GUEST in lab.limosa("list").stdout, what="the guest is found", timeout_s=FOUND_TIMEOUT_S
        )
        seconds = _wall_seconds(lab, rounds=options.rounds)
        lab.limosa("live-migration", GUEST, OTHERS[0])
        peaks = _peaks_mib(lab)
    finally:
        Lab.down()
    if options.json:
        print(json.dumps({"benchmark": "operator", "median_s": seconds, "peak_rss_mib": peaks}))
        return 0
    for name, value in seconds.items():
        print(f"{name:32} {value:.3f} s")
    for name, value in peaks.items():
        print(f"{name:32} {value:.1f} MiB")
    return 0


def _wall_seconds(lab: Lab, *, rounds: int) -> dict[str, float]:
    """Median of each command, taken in turn; entering the namespaces (some ms) is in it."""
    commands = {
        "virsh list": (SOURCE, ["virsh", "-q", "-c", "qemu:///system", "list"]),
        "limosa list": ("controller", [*lab.limosa_argv(), "list"]),
        "limosa check, 1 host": ("controller", [*lab.limosa_argv(), "check", GUEST, OTHERS[0]]),
        "limosa check, 3 hosts": ("controller", [*lab.limosa_argv(), "check", GUEST, *OTHERS]),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (host, argv) in commands.items():
            started = time.perf_counter()
            lab.exec(host, argv)
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def _peaks_mib(lab: Lab) -> dict[str, float]:
    return {name: services.memory_mib(pid, services.PEAK) for name, pid in services.pids(lab).items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/operator", description="What an administrator waits for.")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
