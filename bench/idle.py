"""What the services take while nothing happens: CPU time and resident memory, with a guest on each host.

After a migration there and back, so that all is loaded that a migration needs, the services are left alone; then the CPU
time that each used (user and system) and its memory are read.

    bench/idle [--seconds N] [--json]
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from bench import services
from lab import waiting
from lab.lab import Lab

GUESTS = {"bench-idle-1": "compute1", "bench-idle-2": "compute2"}
MOVED = "bench-idle-1"
FOUND_TIMEOUT_S = 30.0
SETTLE_S = 10.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> int:
    options = _options()
    lab = Lab.up(hosts=len(GUESTS), owner_pid=os.getpid())
    try:
        figures = _figures(lab, seconds=options.seconds)
    finally:
        Lab.down()
    if options.json:
        print(json.dumps({"benchmark": "idle", "seconds": options.seconds, "services": figures}))
        return 0
    for name, of_service in figures.items():
        print(f"{name:20} {of_service['cpu_percent']:.2f} % of a core, {of_service['rss_mib']:.1f} MiB")
    return 0


def _figures(lab: Lab, *, seconds: float) -> dict[str, dict[str, float]]:
    for guest, host in GUESTS.items():
        lab.guest_create(guest, host)
    waiting.wait_until(
        lambda: all(guest in lab.limosa("list").stdout for guest in GUESTS),
        what="the guests are found",
        timeout_s=FOUND_TIMEOUT_S,
    )
    for dest in reversed(GUESTS.values()):
        lab.limosa("live-migration", MOVED, dest)
    time.sleep(SETTLE_S)
    pids = services.pids(lab)
    before = {name: _cpu_s(pid) for name, pid in pids.items()}
    started = time.monotonic()
    time.sleep(seconds)
    passed_s = time.monotonic() - started
    return {
        name: {
            "cpu_percent": 100 * (_cpu_s(pid) - before[name]) / passed_s,
            "rss_mib": services.memory_mib(pid, services.RESIDENT),
        }
        for name, pid in pids.items()
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    user, system = fields[11:13]  # proc(5): utime and stime
    return (int(user) + int(system)) / TICKS_PER_S


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/idle", description="What the services take at rest.")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="N")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
