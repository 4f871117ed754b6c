"""What Limosa adds to `virsh migrate`: equal guests, moved alternately by both, in one run.

Flags, URI and bandwidth of the virsh side are taken from Limosa's own log of its first call, so that both ask
libvirt for the same. Clock of Limosa: from the conductor's receipt of the request to the commit that finds the source clean;
beside it the wall time of the `limosa` process. Clock of virsh: its own process, inside the source's namespaces.

    bench/overhead [--pairs N] [--json]
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab

MIN_PAIRS = 10
FOUND_TIMEOUT_S = 30.0
BY_VIRSH, BY_LIMOSA = "bench-virsh", "bench-limosa"
FLAG_OPTIONS = {
    "VIR_MIGRATE_LIVE": "--live",
    "VIR_MIGRATE_PEER2PEER": "--p2p",
    "VIR_MIGRATE_TUNNELLED": "--tunnelled",
    "VIR_MIGRATE_PERSIST_DEST": "--persistent",
    "VIR_MIGRATE_UNDEFINE_SOURCE": "--undefinesource",
    "VIR_MIGRATE_AUTO_CONVERGE": "--auto-converge",
    "VIR_MIGRATE_COMPRESSED": "--compressed",
    "VIR_MIGRATE_TLS": "--tls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """migrateToURI3 as Limosa logged it."""

    dconnuri: str
    migrate_uri: str
    flags: tuple[str, ...]
    bandwidth_mib_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    virsh_s: float
    limosa_s: float
    client_s: float
    steps: dict[str, tuple[float, float]]  # step -> (seconds, of them on its host)
    downtime_ms: int | None


def main() -> int:
    options = _options()
    lab = Lab.up(hosts=2, owner_pid=os.getpid())
    try:
        for name in (BY_VIRSH, BY_LIMOSA):
            lab.guest_create(name, "compute1", GuestOptions())
        wait_until_found(lab, {BY_VIRSH, BY_LIMOSA})
        _by_limosa(lab, "compute2")  # warms up, and shows the call
        call = logged_call(lab)
        _by_virsh(lab, call, source="compute1", dest="compute2")
        pairs = [_pair(lab, call, number) for number in range(options.pairs)]
    finally:
        Lab.down()
    _report(call, pairs)
    if options.json:
        print(json.dumps(_summary(pairs)))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=MIN_PAIRS, help=f"at least {MIN_PAIRS}")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if options.pairs < MIN_PAIRS:
        parser.error(f"--pairs: at least {MIN_PAIRS}")
    return options


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
    return Pair(
        virsh_s=virsh_s,
        limosa_s=shown["seconds"],
        client_s=client_s,
        steps=steps,
        downtime_ms=shown["downtime_ms"],
    )


def _by_limosa(lab: Lab, dest: str) -> tuple[dict[str, Any], float]:
    start = time.monotonic()
    done = lab.limosa("live-migration", BY_LIMOSA, dest, "-f", "json")
    client_s = time.monotonic() - start
    shown: dict[str, Any] = json.loads(done.stdout)
    return json.loads(lab.limosa("migration", "show", shown["id"], "-f", "json").stdout), client_s


def _by_virsh(lab: Lab, call: Call, *, source: str, dest: str) -> float:
    argv = ["virsh", "-q", "migrate", *(FLAG_OPTIONS[flag] for flag in call.flags)]
    if call.bandwidth_mib_s:
        argv += ["--bandwidth", str(call.bandwidth_mib_s)]
    argv += [BY_VIRSH, call.dconnuri.replace("compute2", dest)]
    if call.migrate_uri:
        argv.append(call.migrate_uri.replace("compute2", dest))
    script = 'start=$(date +%s%N); "$@" >&2; code=$?; echo $(($(date +%s%N) - start)); exit $code'
    done = lab.exec(source, ["sh", "-c", script, "sh", *argv])
    return int(done.stdout) / 1e9


def logged_call(lab: Lab) -> Call:
    """compute1's first call, to compute2."""
    text = lab.log("compute1", "limosa-compute-agent").read_text()
    line = next(line for line in text.splitlines() if "migrateToURI3" in line)
    fields = dict(re.findall(r"(\w+)=(\S+)", line))
    return Call(
        dconnuri=fields["dconnuri"],
        migrate_uri="" if fields["migrate_uri"] == "-" else fields["migrate_uri"],
        flags=tuple(fields["flags"].split("|")),
        bandwidth_mib_s=int(fields["bandwidth_mib_s"]),
    )


def wait_until_found(lab: Lab, wanted: set[str]) -> None:
    """By the agents."""
    deadline = time.monotonic() + FOUND_TIMEOUT_S
    while True:
        names = {row["name"] for row in json.loads(lab.limosa("list", "-f", "json").stdout)}
        if wanted <= names:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"the guests were not found in {FOUND_TIMEOUT_S:.0f} s: {names}")
        time.sleep(0.2)


def _summary(pairs: list[Pair]) -> dict[str, Any]:
    virsh_s = statistics.median(pair.virsh_s for pair in pairs)
    limosa_s = statistics.median(pair.limosa_s for pair in pairs)
    return {
        "virsh_median_s": round(virsh_s, 4),
        "limosa_median_s": round(limosa_s, 4),
        "overhead_s": round(limosa_s - virsh_s, 4),
        "pairs": len(pairs),
        "client_median_s": round(statistics.median(pair.client_s for pair in pairs), 4),
        "steps_median_s": {step: round(_median_step(pairs, step)[0], 4) for step in pairs[0].steps},
    }


def _median_step(pairs: list[Pair], step: str) -> tuple[float, float]:
    times = [pair.steps[step] for pair in pairs if step in pair.steps]
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def _report(call: Call, pairs: list[Pair]) -> None:
    summary = _summary(pairs)
    print(
        f"{len(pairs)} pairs, {'|'.join(call.flags)}, {call.dconnuri}, {call.migrate_uri or 'no migrate URI'}"
    )
    print(f"virsh migrate     median {summary['virsh_median_s']:.3f} s")
    print(f"Limosa            median {summary['limosa_median_s']:.3f} s  ({summary['overhead_s']:+.3f} s)")
    print(f"limosa (process)  median {summary['client_median_s']:.3f} s")
    print(f"\n{'step':45} {'seconds':>8} {'on host':>8} {'between':>8}")
    for step in pairs[0].steps:
        seconds, on_host = _median_step(pairs, step)
        print(f"{step:45} {seconds:8.3f} {on_host:8.3f} {seconds - on_host:8.3f}")


if __name__ == "__main__":
    sys.exit(main())
