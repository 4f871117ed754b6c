"""The claims of a migration follow its row, in the same transaction: source and dest until its last answer (rule 23)."""

from dataclasses import replace

from sqlalchemy.orm import Session

from common.checks import Finding
from common.states import PowerState
from conductor import live_migration
from conductor import saga as engine
from conductor.capacity import Limits
from conductor.db import claims, hosts
from conductor.prechecks import GuestStatus, check_named_dest
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
        return transition
    claims.release(session, before.migration, host=before.dest)
    for _ in range(len(before.candidates) + 1):  # each turn takes a candidate away, the last one ends it
        after = transition.saga
        if not after.is_open:
            break
        findings = _findings(session, after, limits)
        if not findings:
            claim(session, after, after.dest)
            return transition
        further = engine.advance(after, CandidateUnfit(findings=findings), plan=live_migration.PLAN)
        transition = replace(
            further,
            story=transition.story + further.story,
            acknowledge=transition.acknowledge + further.acknowledge,
        )
    claims.release(session, before.migration)
    return transition


def _findings(session: Session, saga: Saga, limits: Limits) -> tuple[Finding, ...]:
    """What speaks against the next candidate now."""
    guest = GuestStatus(
        uuid=saga.instance,
        name=saga.name,
        host=saga.source,
        power_state=PowerState.RUNNING,  # accepted as such; the source's own check looks again
        memory_mib=saga.guest.memory_mib,
        vcpus=saga.guest.vcpus,
        migration=saga.migration,
    )
    return check_named_dest(guest, saga.dest, hosts.read_hosts(session), limits=limits)
