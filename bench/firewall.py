"""What a guest's rules add to the gap that a migration makes: a filtered and a free guest, moved in turn, in one run.

Both are probed every 10 ms on two ports, of which the filtered one's rules let through the first only. The gap is the
longest silence on that one; the goal: at most 50 ms more than the free guest's (medians), and no answer from the other.

    bench/firewall [--rounds N] [--json]
"""

import json
import os
import statistics
import sys
from dataclasses import asdict, dataclass

from bench.pairs import options as read_options
from bench.pairs import wait_until_found
from lab import network
from lab.guest import registry
from lab.lab import Lab
from lab.prober import GUEST_PORT, OTHER_PORT

MIN_ROUNDS = 5
HOSTS = ("compute1", "compute2")
FREE, FILTERED = "bench-free", "bench-filtered"
GROUP = "bench"
IN_FORCE_TRIES = 100
GOAL_MS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    free_gap_ms: int
    filtered_gap_ms: int
    denied_sent: int
    denied_answered: int


def main() -> int:
    options = read_options(__doc__ or "", what="rounds", default=MIN_ROUNDS, least=MIN_ROUNDS)
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        for host in HOSTS:
            lab.exec(host, ["sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=1"])
        for name in (FREE, FILTERED):
            lab.guest_create(name, HOSTS[0])
        wait_until_found(lab, {FREE, FILTERED})
        _filter(lab)
        rounds = [_round(lab, HOSTS[(number + 1) % 2]) for number in range(options.rounds)]
    finally:
        Lab.down()
    _report(rounds)
    if options.json:
        print(json.dumps({"rounds": [asdict(each) for each in rounds], "added_ms": _added_ms(rounds)}))
    return 0


def _filter(lab: Lab) -> None:
    """Let one port through, and wait until that is in force."""
    here = registry.get(FILTERED, paths=lab.paths)
    lab.limosa("security-group", "create", GROUP)
    lab.limosa("security-group", "rule", "add", GROUP, "--protocol", "udp", "--port", str(GUEST_PORT))
    mac = network.guest_mac(here.number)
    lab.limosa("port", "set", FILTERED, mac, "--address", here.address, "--group", GROUP)
    for _ in range(IN_FORCE_TRIES):
        shown = json.loads(lab.limosa("firewall", "show", FILTERED, "-f", "json").stdout)
        if shown["is_current"] and shown["revision"]:
            return
    raise SystemExit("the rules are not in force")


def _round(lab: Lab, dest: str) -> Round:
    with lab.probes(FREE) as free, lab.probes(FREE, port=OTHER_PORT):
        lab.limosa("live-migration", FREE, dest)
    with lab.probes(FILTERED) as allowed, lab.probes(FILTERED, port=OTHER_PORT) as denied:
        lab.limosa("live-migration", FILTERED, dest)
    return Round(
        free_gap_ms=free.report.longest_gap_ms,
        filtered_gap_ms=allowed.report.longest_gap_ms,
        denied_sent=denied.report.sent,
        denied_answered=denied.report.sent - denied.report.lost,
    )


def _added_ms(rounds: list[Round]) -> float:
    filtered = statistics.median(each.filtered_gap_ms for each in rounds)
    return float(filtered - statistics.median(each.free_gap_ms for each in rounds))


def _report(rounds: list[Round]) -> None:
    out = sys.stderr
    print(f"{'free':>8} {'filtered':>9} {'denied: sent':>13} {'answered':>9}", file=out)
    for each in rounds:
        print(
            f"{each.free_gap_ms:>5} ms {each.filtered_gap_ms:>6} ms {each.denied_sent:>13} {each.denied_answered:>9}",
            file=out,
        )
    print(f"medians: {_added_ms(rounds):+.0f} ms with rules (goal: at most {GOAL_MS} ms more)", file=out)


if __name__ == "__main__":
    sys.exit(main())
