"""Whether a dest prepares all that a guest has with it as fast as the slowest part of it: pre_live_migration on its host.

Three guests move there and back by turns: one with an iSCSI volume, whose target's ACL the dest changes, one with an
interface in a VXLAN that the dest makes, and one with 8 such volumes and 4 such interfaces. Times are those of the dest's
agent alone.

    bench/preparing [--rounds N] [--json]
"""

import json
import os
import statistics
import sys
from typing import Any

from bench.pairs import options as read_options
from bench.pairs import wait_until_found
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.volumes import VolumeServers, initiator

SOURCE, DEST = "compute1", "compute2"
VOLUMES, NETWORKS = 8, 4
ROUNDS, MIN_ROUNDS = 5, 3
STEP = "pre_live_migration"
GOAL = 2.0  # times the slowest part
STAND_TIMEOUT_S = 30.0


def main() -> int:
    options = read_options(__doc__, what="rounds", default=ROUNDS, least=MIN_ROUNDS)
    lab = Lab.up(hosts=2, owner_pid=os.getpid(), with_services=False)
    try:
        servers = _prepare_hosts(lab)
        guests = {
            "one-volume": _volumes(servers, 1, "one"),
            "one-network": _interfaces(lab, 1, first=0),
            "everything": _volumes(servers, VOLUMES, "all") + _interfaces(lab, NETWORKS, first=1),
        }
        for name, devices in guests.items():
            lab.guest_create(name, SOURCE, GuestOptions(devices=devices))
        wait_until_found(lab, set(guests))
        for number in range(1 + NETWORKS):
            lab.limosa("network", "detach", f"n{number}", SOURCE)
        taken = {
            name: [_moved(lab, name, dest) for dest in (DEST, SOURCE) * options.rounds] for name in guests
        }
    finally:
        Lab.down()
    summary = _summary(taken)
    _report(summary)
    if options.json:
        print(json.dumps(summary))
    return 0


def _prepare_hosts(lab: Lab) -> VolumeServers:
    servers = VolumeServers(lab)
    for host in lab.compute_hosts:
        values = {"initiator": initiator(host), "grants": "tgtd", "tgtadm": servers.tgtadm}
        lab.write_config(host, {f"volumes.{key}": value for key, value in values.items()})
    lab.start_services()
    return servers


def _volumes(servers: VolumeServers, count: int, name: str) -> str:
    xml = ""
    for number in range(count):
        target = servers.target(f"{name}-{number}")
        servers.admit(target, initiator(SOURCE))
        xml += target.disk_xml(f"vd{chr(ord('b') + number)}", initiator=initiator(SOURCE))
    return xml


def _interfaces(lab: Lab, count: int, *, first: int) -> str:
    """Beside the guest's usual one, by which it is seen to boot."""
    xml = ""
    for number in range(first, first + count):
        name, bridge = f"n{number}", f"br-n{number}"
        segment = ("--kind", "vxlan", "--segment", str(100 + number))
        lab.limosa("network", "create", name, *segment, "--bridge", bridge)
        lab.limosa("network", "attach", name, SOURCE)
        script = f"for i in $(seq 300); do [ -e /sys/class/net/{bridge} ] && exit 0; sleep 0.1; done; exit 1"
        lab.exec(SOURCE, ["sh", "-c", script], timeout_s=STAND_TIMEOUT_S + 10)
        xml += f"<interface type='bridge'><source bridge='{bridge}'/><model type='virtio'/><rom enabled='no'/></interface>"
    return xml


def _moved(lab: Lab, name: str, dest: str) -> float:
    """Seconds of the step, on the dest."""
    shown = json.loads(lab.limosa("live-migration", name, dest, "-f", "json").stdout)
    steps = json.loads(lab.limosa("migration", "show", shown["id"], "-f", "json").stdout)["steps"]
    (seconds,) = [step["seconds_on_host"] for step in steps if step["step"] == STEP]
    return float(seconds)


def _summary(taken: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    slowest = max(medians["one-volume"], medians["one-network"])
    return {
        "one_volume_median_s": round(medians["one-volume"], 3),
        "one_network_median_s": round(medians["one-network"], 3),
        "everything_median_s": round(medians["everything"], 3),
        "ratio": round(medians["everything"] / slowest, 3),
        "ratio_goal": GOAL,
        "volumes": VOLUMES,
        "networks": NETWORKS,
        "moves": len(taken["everything"]),
    }


def _report(summary: dict[str, Any]) -> None:
    print(f"{STEP} on the dest, medians of {summary['moves']} moves")
    print(f"one volume                          {summary['one_volume_median_s']:8.3f} s")
    print(f"one network                         {summary['one_network_median_s']:8.3f} s")
    print(f"{VOLUMES} volumes and {NETWORKS} networks          {summary['everything_median_s']:8.3f} s")
    print(f"ratio to the slower one {summary['ratio']:.3f} (goal: at most {GOAL})")


if __name__ == "__main__":
    sys.exit(main())
