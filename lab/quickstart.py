"""The demo: a lab of two hosts, a guest, one live migration, and what it cost. Run by ./quickstart.sh.

With --block a second act, `lab.quickstart_block`: a guest that takes its disks along.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from lab import network, quickstart_block, waiting
from lab.errors import LabError
from lab.lab import Lab
from lab.prober import ProbeReport

GUEST = "demo"
SOURCE, DEST = network.compute_name(1), network.compute_name(2)
DISCOVERY_TIMEOUT_S = 30.0
SETTLE_S = 0.5  # probes before and after, so that the silence in between has an edge

NEXT_STEPS = f"""\
The lab is still up. To try next:
  lab/ctl limosa list                           the guests that the agents have found
  lab/ctl limosa live-migration {GUEST}            back again: the conductor chooses the host
  lab/ctl limosa migration list                 what has been moved, how long it took
  lab/ctl guest create web compute1             one more guest; it appears in `limosa list` by itself
  lab/ctl kill compute1 libvirtd                break something; `lab/ctl start compute1 libvirtd` mends it
  lab/ctl exec compute1 bash                    a shell on a host
  lab/ctl down                                  end it all
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one migration of the guest was like, from three sides."""

    migration: dict[str, Any]  # as `limosa migration show -f json` tells it
    probes: ProbeReport
    boot_id_before: str
    boot_id_after: str


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return _run(keep=arguments.keep, with_block=arguments.block)
    except LabError as e:
        print(f"quickstart: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(*, keep: bool, with_block: bool) -> int:
    # Killed with -9, this process takes the lab with it; a lab that is kept belongs to nobody.
    _say("starting two hosts, RabbitMQ, a conductor and two compute agents")
    lab = Lab.up(hosts=2, owner_pid=None if keep else os.getpid())
    try:
        return _demonstrate(lab) or (_demonstrate_block(lab) if with_block else 0)
    finally:
        if keep:  # also when it was interrupted or has failed: whoever reads this must know what still runs
            print(f"\n{NEXT_STEPS}", end="")
        else:
            Lab.down()


def _demonstrate(lab: Lab) -> int:
    _say(f"booting the guest {GUEST} on {SOURCE}")
    first = lab.guest_create(GUEST, SOURCE)
    waiting.wait_until(
        lambda: GUEST in _known_instances(lab),
        what=f"`limosa list` shows {GUEST}",
        timeout_s=DISCOVERY_TIMEOUT_S,
    )
    _say(f"limosa live-migration {GUEST} {DEST}")
    with lab.probes(GUEST) as stream:
        time.sleep(SETTLE_S)
        migration = _live_migrate(lab)
        time.sleep(SETTLE_S)
    outcome = Outcome(
        migration=migration,
        probes=stream.report,
        boot_id_before=first.boot_id,
        boot_id_after=lab.probe(GUEST).boot_id,
    )
    places = [place.host for place in lab.guest_places() if place.name == GUEST]
    print("\n" + _table(_rows(outcome)))
    return _judge(outcome, places)


def _demonstrate_block(lab: Lab) -> int:
    _say(
        f"the second act: {quickstart_block.GUEST} on {SOURCE} has its disks there alone, and writes to one all the time"
    )
    _say(f"limosa live-migration --block-migrate {quickstart_block.GUEST} {DEST}")
    outcome = quickstart_block.play(lab, source=SOURCE, dest=DEST)
    print("\n" + _table(quickstart_block.rows(outcome, source=SOURCE, dest=DEST)))
    complaints = quickstart_block.complaints(outcome)
    for complaint in complaints:
        print(f"quickstart: FAILED: {complaint}", file=sys.stderr)
    if not complaints:
        print(
            f"\nThe guest and its disks are on {DEST} now: what it wrote while they were copied is there, both times."
        )
    return 1 if complaints else 0


def _live_migrate(lab: Lab) -> dict[str, Any]:
    """Run the client; its progress bar goes to our standard error, its answer to us."""
    argv = [*lab.limosa_argv(), "live-migration", GUEST, DEST, "-f", "json"]
    done = subprocess.run(lab.controller.command(argv), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise LabError(
            f"the live migration ended with exit code {done.returncode}",
            hint=f"the conductor's log is {lab.log(network.CONTROLLER, 'limosa-conductor')}",
        )
    migration_id = json.loads(done.stdout)["id"]
    shown: dict[str, Any] = json.loads(lab.limosa("migration", "show", migration_id, "-f", "json").stdout)
    return shown


def _known_instances(lab: Lab) -> set[str]:
    done = lab.limosa("list", "-f", "json", check=False)
    return {row["name"] for row in json.loads(done.stdout)} if done.returncode == 0 else set()


def _rows(outcome: Outcome) -> Iterable[tuple[str, str, str]]:
    for step in outcome.migration["steps"]:
        yield step["step"], step["host"], f"{step['seconds']:.3f} s"
    yield "whole migration", "", f"{outcome.migration['seconds']:.3f} s"
    yield "", "", ""
    downtime_ms = outcome.migration["downtime_ms"]
    yield (
        "downtime, as libvirt reports it",
        "",
        "not reported" if downtime_ms is None else f"{downtime_ms} ms",
    )
    probes = outcome.probes
    yield "probes lost (one every 10 ms)", network.PROBER, f"{probes.lost} of {probes.sent}"
    yield "longest silence of the guest", network.PROBER, f"{probes.longest_gap_ms} ms"
    yield "boot id before", SOURCE, outcome.boot_id_before
    yield "boot id after", DEST, outcome.boot_id_after


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [("step", "host", "time"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    text = [f"  {what:{widths[0]}}  {where:{widths[1]}}  {value}".rstrip() for what, where, value in lines]
    return "\n".join([text[0], "  " + "-" * (sum(widths) + 14), *text[1:]])


def _judge(outcome: Outcome, places: Sequence[str]) -> int:
    """Say whether the guest that runs now is the one that ran before, once and on the right host."""
    complaints = []
    if {outcome.boot_id_before} != {outcome.boot_id_after, *outcome.probes.boot_ids}:
        complaints.append(f"boot ids differ: {', '.join(outcome.probes.boot_ids)}")
    if outcome.probes.duplicates:
        complaints.append(f"{outcome.probes.duplicates} probes were answered twice")
    if list(places) != [DEST]:
        complaints.append(f"libvirt has the guest on: {', '.join(places) or 'no host'}")
    for complaint in complaints:
        print(f"quickstart: FAILED: {complaint}", file=sys.stderr)
    if not complaints:
        print(f"\nThe same guest runs on {DEST} now; nothing of it is left on {SOURCE}.")
    return 1 if complaints else 0


def _say(sentence: str) -> None:
    print(f"== {sentence}", file=sys.stderr, flush=True)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./quickstart.sh",
        description="Set everything up on this Debian 12 machine, live-migrate a real guest between two hosts made of "
        "namespaces, and show what it cost. Needs root. Leaves nothing behind but Debian packages and .venv, .lab.",
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab up and say what to try next")
    parser.add_argument(
        "--block",
        action="store_true",
        help="a second act: a guest that takes its disks along while it writes to them",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
