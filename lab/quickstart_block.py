"""The demo's second act: a guest whose disks are its host's own moves with them, while it writes to one."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from lab import network, waiting
from lab.errors import LabError
from lab.guest.disks import LocalDisk
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.paths import LOCAL_DIRECTORY

GUEST = "database"
DEVICE = "vdb"
SIZE_MIB = 256
RATE_KIB_S = 1024  # TCG and two cores: enough to keep the copy busy, little enough to end
DISCOVERY_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one block migration was like."""

    migration: dict[str, Any]  # as `limosa migration show -f json` tells it
    boot_id_before: str
    boot_id_after: str
    pairs: int  # blocks written in each half of the disk, and found equal on the dest
    left: tuple[str, ...]  # of its files on the source
    arrived: tuple[str, ...]


def play(lab: Lab, *, source: str, dest: str) -> Outcome:
    """Boot it, have it write, move it, and compare what it wrote. Raises LabError where any of it fails."""
    options = GuestOptions(is_root_local=True, local_disks=(LocalDisk(device=DEVICE, size_mib=SIZE_MIB),))
    first = lab.guest_create(GUEST, source, options)
    waiting.wait_until(
        lambda: _is_known(lab), what=f"`limosa list` shows {GUEST}", timeout_s=DISCOVERY_TIMEOUT_S
    )
    _ask(lab, f"pattern {DEVICE} {RATE_KIB_S}")
    migration = _live_migrate(lab, dest)
    _ask(lab, f"pattern {DEVICE} 0")
    return Outcome(
        migration=migration,
        boot_id_before=first.boot_id,
        boot_id_after=lab.probe(GUEST).boot_id,
        pairs=int(_ask(lab, f"compare {DEVICE}").removeprefix("equal ")),
        left=_files(lab, source),
        arrived=_files(lab, dest),
    )


def rows(outcome: Outcome, *, source: str, dest: str) -> list[tuple[str, str, str]]:
    """For the table."""
    steps = [(step["step"], step["host"], f"{step['seconds']:.3f} s") for step in outcome.migration["steps"]]
    return [
        *steps,
        ("whole migration", "", f"{outcome.migration['seconds']:.3f} s"),
        ("", "", ""),
        ("its disks", dest, ", ".join(outcome.arrived) or "none"),
        ("its disks", source, ", ".join(outcome.left) or "none"),
        ("blocks written twice, and equal", dest, str(outcome.pairs)),
        ("boot id before", source, outcome.boot_id_before),
        ("boot id after", dest, outcome.boot_id_after),
    ]


def complaints(outcome: Outcome) -> list[str]:
    """What is not as it should be."""
    found = []
    if outcome.boot_id_before != outcome.boot_id_after:
        found.append("boot ids differ")
    if not outcome.pairs:
        found.append("the guest has written nothing that could be compared")
    if outcome.left:
        found.append(f"files of the guest are left on its source: {', '.join(outcome.left)}")
    return found


def _live_migrate(lab: Lab, dest: str) -> dict[str, Any]:
    """Run the client; its progress bar goes to our standard error, its answer to us."""
    argv = [*lab.limosa_argv(), "live-migration", "--block-migrate", GUEST, dest, "-f", "json"]
    done = subprocess.run(lab.controller.command(argv), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise LabError(
            f"the block migration ended with exit code {done.returncode}",
            hint=f"the conductor's log is {lab.log(network.CONTROLLER, 'limosa-conductor')}",
        )
    migration_id = json.loads(done.stdout)["id"]
    shown: dict[str, Any] = json.loads(lab.limosa("migration", "show", migration_id, "-f", "json").stdout)
    return shown


def _is_known(lab: Lab) -> bool:
    done = lab.limosa("list", "-f", "json", check=False)
    return done.returncode == 0 and GUEST in {row["name"] for row in json.loads(done.stdout)}


def _ask(lab: Lab, request: str) -> str:
    answer = lab.ask(GUEST, request)
    if answer.startswith("error"):
        raise LabError(f"{GUEST} answers {request!r} with {answer!r}")
    return answer


def _files(lab: Lab, host: str) -> tuple[str, ...]:
    listed = lab.exec(host, ["ls", "-A", str(LOCAL_DIRECTORY)]).stdout.split()
    return tuple(name for name in listed if name.startswith((f"{GUEST}.", f"{GUEST}-", ".limosa")))
