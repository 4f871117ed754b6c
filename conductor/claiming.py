"""The claims of a migration follow its row, in the same transaction: source and dest until its last answer (rule 23).

Memory and CPUs are claimed with the candidate, room for the disks when the source's check has told which are copied.
"""

from dataclasses import replace

from sqlalchemy.orm import Session

from common.checks import Finding
from common.states import Phase, PowerState
from conductor import live_migration
from conductor import saga as engine
from conductor.capacity import Limits, copied_mib
from conductor.db import claims, hosts
from conductor.prechecks import GuestStatus, check_disk, check_named_dest
from conductor.saga import CandidateUnfit, Saga, Transition


def claim(session: Session, saga: Saga, host: str) -> None:
    """Take on this host what the guest needs."""
    claims.claim(
        session,
        migration=saga.migration,
        instance=saga.instance,
        host=host,
        memory_mib=saga.guest.memory_mib,
        vcpus=saga.guest.vcpus,
    )


def follow(session: Session, before: Saga, transition: Transition, *, limits: Limits) -> Transition:
    """Move the dest's claim to the next candidate, or to the one after it if that one is full by now.

    The transition that comes back ends at the candidate that was claimed, or at the end of the migration.
    """
    if transition.saga.is_open and transition.saga.dest == before.dest:
        return _with_disk(session, before, transition, limits)
    claims.release(session, before.migration, host=before.dest)
    for _ in range(len(before.candidates) + 1):  # each turn takes a candidate away, the last one ends it
        after = transition.saga
        if not after.is_open:
            break
        findings = _findings(session, after, limits)
        if not findings:
            claim(session, after, after.dest)
            return transition
        transition = _unfit(transition, findings)
    claims.release(session, before.migration)
    return transition


def _with_disk(session: Session, before: Saga, transition: Transition, limits: Limits) -> Transition:
    """The same, with room claimed for what the plan copies; a dest without it is left, its probe removed first."""
    after = transition.saga
    if (before.phase, after.phase) != (Phase.CHECK_SOURCE, Phase.PRE) or after.plan is None:
        return transition
    dest = hosts.read_hosts(session).get(after.dest)
    needed_mib = copied_mib(after.plan, dest) if dest is not None else 0
    if dest is None or not needed_mib:
        return transition
    findings = check_disk(replace(_guest(after), copied_mib=needed_mib), dest, limits=limits)
    if findings:
        return _unfit(transition, findings)
    claims.claim_disk(session, after.migration, host=after.dest, disk_mib=needed_mib)
    return transition


def _unfit(transition: Transition, findings: tuple[Finding, ...]) -> Transition:
    further = engine.advance(transition.saga, CandidateUnfit(findings=findings), plan=live_migration.PLAN)
    return replace(
        further,
        story=transition.story + further.story,
        acknowledge=transition.acknowledge + further.acknowledge,
    )


def _findings(session: Session, saga: Saga, limits: Limits) -> tuple[Finding, ...]:
    """What speaks against the next candidate now."""
    return check_named_dest(_guest(saga), saga.dest, hosts.read_hosts(session), limits=limits)


def _guest(saga: Saga) -> GuestStatus:
    return GuestStatus(
        uuid=saga.instance,
        name=saga.name,
        host=saga.source,
        power_state=PowerState.RUNNING,  # accepted as such; the source's own check looks again
        memory_mib=saga.guest.memory_mib,
        vcpus=saga.guest.vcpus,
        migration=saga.migration,
    )
