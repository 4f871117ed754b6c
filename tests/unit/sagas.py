"""A migration's row in any phase, and the outcomes that may answer it."""

from dataclasses import replace
from typing import Any, Final

from common.migration import CheckDestArguments, Outcome
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb
from conductor import live_migration
from conductor.saga import AbortAsked, Answered, Saga, Transition, advance

SOURCE: Final = "compute1"
DEST: Final = "compute2"
EPOCH: Final = 7

_AT_WORK: Final = Saga(
    migration="m1",
    instance="i1",
    name="guest",
    source=SOURCE,
    dest=DEST,
    home=SOURCE,
    guest=CheckDestArguments(name="guest", memory_mib=96, vcpus=1, machine="pc", disks=()),
    phase=Phase.LIVE,
    status=MigrationStatus.RUNNING,
    instance_epoch=EPOCH,
    epoch=EPOCH,
    is_prepared=True,
)


def saga(phase: Phase = Phase.LIVE, **changes: Any) -> Saga:
    """A prepared migration in that phase, its current command not answered yet."""
    return replace(_AT_WORK, phase=phase, **changes)


def outcome(row: Saga, result: Result, seen: SourceSeen | DestSeen | None = None, **changes: Any) -> Outcome:
    """An answer to the row's current command."""
    step = live_migration.BY_PHASE.get(row.phase)
    return replace(
        Outcome(
            instance=row.instance,
            migration=row.migration,
            epoch=row.epoch,
            verb=step.verb if step else Verb.OBSERVE,
            host=row.dest if step and step.on_dest else row.source,
            boot_id="boot",
            result=result,
            seen=seen,
        ),
        **changes,
    )


def answered(
    row: Saga, result: Result, seen: SourceSeen | DestSeen | None = None, **changes: Any
) -> Transition:
    """What follows when the row's current command is answered so."""
    event = Answered(outcome=outcome(row, result, seen, **changes))
    return advance(row, event, plan=live_migration.PLAN)


def judged(source: SourceSeen, dest: DestSeen, **changes: Any) -> Saga:
    """The row after the dest has answered, the source's answer recorded before."""
    return answered(saga(Phase.OBSERVE_DEST, source_seen=source, **changes), Result.OBSERVED, dest).saga


def aborted(row: Saga) -> Transition:
    """What follows when an operator asks for an end."""
    return advance(row, AbortAsked(), plan=live_migration.PLAN)
