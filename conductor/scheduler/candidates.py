"""Choose where a guest may go when nobody names a host; pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from common.checks import NO_CANDIDATE, Finding, refusing
from conductor.capacity import HostStatus, Limits, free_mib
from conductor.prechecks import GuestStatus, check_dest


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The hosts to try, the best first, and what was found on the way."""

    candidates: tuple[str, ...]
    findings: tuple[Finding, ...]  # if there is no candidate: why not, host by host


def choose(guest: GuestStatus, hosts: Iterable[HostStatus], *, limits: Limits, retries: int) -> Choice:
    """Take the host with most free memory, and at most `retries` further ones, for when checks refuse it."""
    fit: list[HostStatus] = []
    findings: list[Finding] = []
    known = {host.name: host for host in hosts}
    for name, host in sorted(known.items()):
        if name == guest.host:
            continue
        found = check_dest(guest, host, source=known.get(guest.host), limits=limits)
        if refusing(found):
            findings.extend(found)
        else:
            fit.append(host)
    if not fit:
        return Choice(candidates=(), findings=(NO_CANDIDATE.finding(instance=guest.name), *findings))
    fit.sort(
        key=lambda host: -(free_mib(host, limits) or 0)
    )  # stable: equal ones stay in order of their names
    return Choice(candidates=tuple(host.name for host in fit[: retries + 1]), findings=())
