"""What Limosa adds to `virsh migrate`: equal guests on shared storage, moved alternately by both (see `bench.pairs`).

bench/overhead [--pairs N] [--json]
"""

import json
import os
import sys
from typing import Any

from bench import pairs
from bench.pairs import BY_LIMOSA, BY_VIRSH, Call
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab

MIN_PAIRS = 10


def main() -> int:
    options = pairs.options(__doc__, what="pairs", default=MIN_PAIRS, least=MIN_PAIRS)
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        for name in (BY_VIRSH, BY_LIMOSA):
            lab.guest_create(name, "compute1", GuestOptions())
        call, measured = pairs.measure(lab, _by_virsh, count=options.pairs)
    finally:
        Lab.down()
    summary = pairs.summary(measured)
    summary["overhead_s"] = round(summary["limosa_median_s"] - summary["virsh_median_s"], 4)
    _report(call, summary)
    if options.json:
        print(json.dumps(summary))
    return 0


def _by_virsh(lab: Lab, call: Call, source: str, dest: str) -> float:
    return pairs.timed(lab, source, pairs.virsh_argv(call, dest))


def _report(call: Call, summary: dict[str, Any]) -> None:
    where = f"{call.dconnuri}, {call.migrate_uri or 'no migrate URI'}"
    print(f"{summary['pairs']} pairs, {'|'.join(call.flags)}, {where}")
    print(f"virsh migrate     median {summary['virsh_median_s']:.3f} s")
    print(f"Limosa            median {summary['limosa_median_s']:.3f} s  ({summary['overhead_s']:+.3f} s)")
    print(f"limosa (process)  median {summary['client_median_s']:.3f} s")
    pairs.print_steps(summary)


if __name__ == "__main__":
    sys.exit(main())
