"""Equal guests moved alternately by `virsh migrate` and by Limosa, in one run: what the benchmarks of pairs have in common.

Flags, URI and bandwidth of the virsh side are taken from Limosa's own log of its first call, so that both ask
libvirt for the same. Clock of Limosa: from the conductor's receipt of the request to the commit that finds the source clean;
beside it the wall time of the `limosa` process. Clock of virsh: its own process, inside the source's namespaces.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.lab import Lab

FOUND_TIMEOUT_S = 30.0
MIGRATE_TIMEOUT_S = 300.0
BY_VIRSH, BY_LIMOSA = "bench-virsh", "bench-limosa"
_FLAG_OPTIONS = {
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


ByVirsh = Callable[[Lab, Call, str, str], float]
"""Move the guest BY_VIRSH from a source to a dest: the seconds that count."""


def options(description: str, *, what: str, default: int, least: int) -> argparse.Namespace:
    """The command line: how many (`--pairs`, `--rounds`), and whether a line of JSON ends it."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(f"--{what}", type=int, default=default, help=f"at least {least}")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    found = parser.parse_args()
    if getattr(found, what) < least:
        parser.error(f"--{what}: at least {least}")
    return found


def measure(lab: Lab, by_virsh: ByVirsh, *, count: int) -> tuple[Call, list[Pair]]:
    """Both guests are on compute1. The first move of each warms up and does not count."""
    wait_until_found(lab, {BY_VIRSH, BY_LIMOSA})
    _by_limosa(lab, "compute2")
    call = _logged_call(lab)
    by_virsh(lab, call, "compute1", "compute2")
    return call, [_pair(lab, call, by_virsh, number) for number in range(count)]


def virsh_argv(call: Call, dest: str, *more: str, in_more: Collection[str] = ()) -> list[str]:
    """`virsh migrate` that asks for what the call asked for. `in_more`: flags that stand in `more` already."""
    flags = [_FLAG_OPTIONS[flag] for flag in call.flags if flag not in in_more]
    argv = ["virsh", "-q", "migrate", *flags, *more]
    if call.bandwidth_mib_s:
        argv += ["--bandwidth", str(call.bandwidth_mib_s)]
    argv += [BY_VIRSH, call.dconnuri.replace("compute2", dest)]
    if call.migrate_uri:
        argv.append(call.migrate_uri.replace("compute2", dest))
    return argv


def timed(lab: Lab, host: str, argv: Sequence[str]) -> float:
    """The seconds of a process, without those of entering the host."""
    script = 'start=$(date +%s%N); "$@" >&2; code=$?; echo $(($(date +%s%N) - start)); exit $code'
    done = lab.exec(host, ["sh", "-c", script, "sh", *argv], timeout_s=MIGRATE_TIMEOUT_S)
    return int(done.stdout) / 1e9


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


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Medians, in seconds."""
    return {
        "virsh_median_s": _median(pair.virsh_s for pair in pairs),
        "limosa_median_s": _median(pair.limosa_s for pair in pairs),
        "pairs": len(pairs),
        "client_median_s": _median(pair.client_s for pair in pairs),
        "steps_median_s": {step: _median_step(pairs, step, 0) for step in pairs[0].steps},
        "steps_on_host_median_s": {step: _median_step(pairs, step, 1) for step in pairs[0].steps},
    }


def print_steps(told: dict[str, Any]) -> None:
    print(f"\n{'step':45} {'seconds':>8} {'on host':>8} {'between':>8}")
    for step, seconds in told["steps_median_s"].items():
        on_host = told["steps_on_host_median_s"][step]
        print(f"{step:45} {seconds:8.3f} {on_host:8.3f} {seconds - on_host:8.3f}")


def _pair(lab: Lab, call: Call, by_virsh: ByVirsh, number: int) -> Pair:
    """Both guests are on the same host: move each to the other one, the first by turns."""
    source, dest = ("compute2", "compute1") if number % 2 == 0 else ("compute1", "compute2")
    if number // 2 % 2:
        virsh_s = by_virsh(lab, call, source, dest)
        shown, client_s = _by_limosa(lab, dest)
    else:
        shown, client_s = _by_limosa(lab, dest)
        virsh_s = by_virsh(lab, call, source, dest)
    steps = {step["step"]: (step["seconds"], step["seconds_on_host"]) for step in shown["steps"]}
    return Pair(virsh_s=virsh_s, limosa_s=shown["seconds"], client_s=client_s, steps=steps)


def _by_limosa(lab: Lab, dest: str) -> tuple[dict[str, Any], float]:
    start = time.monotonic()
    done = lab.limosa("live-migration", BY_LIMOSA, dest, "-f", "json", timeout_s=MIGRATE_TIMEOUT_S)
    client_s = time.monotonic() - start
    shown: dict[str, Any] = json.loads(done.stdout)
    return json.loads(lab.limosa("migration", "show", shown["id"], "-f", "json").stdout), client_s


def _logged_call(lab: Lab) -> Call:
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


def _median(seconds: Iterable[float]) -> float:
    return round(statistics.median(seconds), 4)


def _median_step(pairs: Sequence[Pair], step: str, which: int) -> float:
    return _median(pair.steps[step][which] for pair in pairs if step in pair.steps)
