"""All that a migration may make, change or leave on the hosts, as text that can be compared: before and after.

Seen with the tools of the hosts; none of Limosa's code is used here.
"""

import json
import re
from collections.abc import Iterable

from lab.lab import Lab
from lab.volumes import VolumeServers
from tests.lab import observer

Snapshot = dict[str, tuple[str, ...]]
"""By what was looked at: its lines, in order."""

DIRECTORIES = (
    "/srv/local /srv/shared /var/lib/limosa /var/lib/libvirt/images /etc/libvirt/qemu /etc/libvirt/nwfilter"
)
# An agent's own memory of what it was told: it changes with every command, and says nothing of the host.
OWN_MEMORY = ("/var/lib/limosa/ledger", "/var/lib/limosa/fail-here")
_FILES = (
    f"for d in {DIRECTORIES}; do [ -d $d ] && find $d -printf '%p %y %m %U:%G ' "
    "\\( -type f -size -256k -exec sha256sum {} \\; -o -printf '%s\\n' \\); done"
)


def take(lab: Lab, servers: VolumeServers, *, hosts: Iterable[str]) -> Snapshot:
    """Of these hosts, the servers of volumes, and the database."""
    found: Snapshot = {
        "ACLs": tuple(_acls(servers.shown())),
        "claims": tuple(str(row) for row in observer.query(lab, "SELECT host, instance FROM claims")),
    }
    for host in hosts:
        for what, lines in _of_host(lab, host).items():
            found[f"{what} of {host}"] = tuple(sorted(lines))
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """A line for each line that only one of them has."""
    return [
        f"{what}: {sign} {line}"
        for what in before.keys() | after.keys()
        for sign, these, those in (("-", before, after), ("+", after, before))
        for line in these.get(what, ())
        if line not in those.get(what, ())
    ]


def _of_host(lab: Lab, host: str) -> dict[str, list[str]]:
    def lines(script: str) -> list[str]:
        return lab.exec(host, ["sh", "-c", script], check=False).stdout.splitlines()

    return {
        "domains": [f"{place.name} {place.state}" for place in lab.guest_places() if place.host == host],
        "libvirt's own": lines(
            "for w in secret-list nwfilter-list 'net-list --all' 'pool-list --all'; do virsh -q $w; done"
        ),
        "files": [line for line in lines(_FILES) if not line.startswith(OWN_MEMORY)],
        "mounts": lines("cat /proc/mounts"),
        "links": _links("".join(lines("ip -j -d link show"))),
        "forwarding": [line for line in lines("bridge fdb show") if "permanent" in line],
        "routes": lines("ip route show table all"),
        "rules": lines("nft --stateless list ruleset"),
        "connections known": lines("conntrack -L 2>/dev/null | grep -c 10.78.0.1"),
        "ports": lines("ss -Hltn | awk '{print $4}'"),
        "processes": lines("ps -eo args= | grep -v -e ^ps -e '^sh -c' -e failing_agent -e compute-agent"),
    }


def _links(text: str) -> list[str]:
    keys = ("ifindex", "ifname", "mtu", "master", "operstate", "address", "ifalias")
    return [
        " ".join(
            [
                *(str(link.get(key, "-")) for key in keys),
                json.dumps(link.get("linkinfo", {}).get("info_kind")),
            ]
        )
        for link in json.loads(text)
    ]


def _acls(shown: str) -> list[str]:
    """Targets, who is connected, and who is let in."""
    wanted = re.compile(r"Target \d+:.*|\s+Initiator: .*|\s+iqn\..*")
    return [line.split(" alias")[0].strip() for line in shown.splitlines() if wanted.fullmatch(line)]
