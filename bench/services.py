"""The services of a lab as processes, and the memory that they take."""

from pathlib import Path

from lab.faults import Victim
from lab.lab import Lab

KIB_PER_MIB = 1024
RESIDENT = "VmRSS"  # proc(5)
PEAK = "VmHWM"  # of it, since the process began


def pids(lab: Lab) -> dict[str, int]:
    """Of the conductor and of each agent, by what a person calls them."""
    found = {"conductor": lab.process(Victim.CONDUCTOR)}
    return found | {
        f"agent of {host}": lab.process(Victim.AGENT, host_name=host) for host in lab.compute_hosts
    }


def memory_mib(pid: int, kind: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith(f"{kind}:")]
    return int(kib) / KIB_PER_MIB
