"""What a host could still take, from what its agent last told; pure."""

from dataclasses import dataclass

from common.facts import HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host as the database has it at this moment."""

    name: str
    heard_s: float  # since its agent was heard, by the database's clock
    hypervisor_age_s: float | None  # since libvirt answered the agent, at its last heartbeat
    facts: HostFacts | None  # None: it has not reported yet
    used_mib: int  # its guests, what open migrations claim on it, and guests that only it reports
    disabled_reason: str | None = None  # of an administrator; None: enabled
    version: str = ""  # its agent's


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The options that say when a host counts as up, and how much of it guests may have."""

    service_down_time_s: float
    ram_allocation_ratio: float
    reserved_memory_mib: int


def is_up(host: HostStatus, limits: Limits) -> bool:
    """Whether its agent is heard. Down stops new work there and is evidence of nothing else."""
    return host.heard_s <= limits.service_down_time_s


def free_mib(host: HostStatus, limits: Limits) -> int | None:
    """Memory for further guests; negative when overcommitted, None before the first report."""
    if host.facts is None:
        return None
    total_mib = int(host.facts.memory_total_mib * limits.ram_allocation_ratio)
    return total_mib - limits.reserved_memory_mib - host.used_mib
