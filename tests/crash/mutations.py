"""Each rule of the protocol dropped in turn, in our own code: which invariant must break then.

The rows are those of docs/protocol.md section 5. A rule of the pure code is dropped by putting another
function, verdict or answer in its place; one that a shell keeps, by a field of `Rules`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final, cast

import pytest

from common.migration import Command, Outcome
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb, Verdict
from compute_agent import acceptance, guards
from compute_agent.acceptance import Decision, Entry
from conductor import judgement, live_migration, verdict
from conductor.saga import Handler, Saga, Transition, issue
from tests.crash.interning import Commands
from tests.crash.settings import (
    BROKEN_CONNECTION,
    FINISH_REPLY_LOST_UNLOCKED,
    HOSTS_STAY_OFF,
    ONE,
    ONE_WITH_HOST_DEATH,
    ONE_WITH_LOSS,
    SILENT_LIBVIRTD,
    STALE_ANSWER_AFTER_RESTART,
    TWO,
)
from tests.crash.world import AS_BUILT, Rules, Setting, World, commands_of

Pair = tuple[SourceSeen, DestSeen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One rule dropped. `breaks` is empty for a second line of defence: nothing else may break then."""

    drops: str
    breaks: tuple[str, ...]
    setting: Setting = ONE
    rules: Rules = AS_BUILT
    functions: tuple[tuple[ModuleType, str, Any], ...] = ()
    verdicts: Mapping[Pair, Verdict] = field(default_factory=dict)
    answers: Mapping[tuple[Phase, Result], Handler] = field(default_factory=dict)
    commands: Commands = commands_of
    prunes: bool = True  # not where the rule is what makes old messages void

    @contextmanager
    def in_place(self, setting: Setting | None = None, *, prunes: bool = True) -> Iterator[World]:
        """The world without that rule, in its own setting or another."""
        with pytest.MonkeyPatch.context() as patch:
            for module, name, function in self.functions:
                patch.setattr(module, name, function)
            for pair, word in self.verdicts.items():
                patch.setitem(cast(dict[Pair, Verdict], verdict.TABLE), pair, word)
            plan = replace(live_migration.PLAN, answers={**live_migration.PLAN.answers, **self.answers})
            yield World(
                setting or self.setting,
                rules=self.rules,
                plan=plan,
                commands=self.commands,
                prunes=prunes and self.prunes,
            )


# ---- the agent's rules


def _accept_anything_of_another_migration(
    entry: Entry | None, command: Command, *, running_epoch: int | None
) -> Decision:
    known = entry if entry is not None and entry.migration == command.migration else None
    return _decide(known, command, running_epoch=running_epoch)


_decide = acceptance.decide
_accept = acceptance.accept
_in_flight = acceptance.is_call_in_flight


def _accept_and_forget_the_call(entry: Entry | None, command: Command) -> Entry:
    return replace(_accept(entry, command), called=None)


def _call_without_looking_at_the_fence(entry: Entry, epoch: int) -> Entry | None:
    return replace(entry, called=epoch)


def _call_again(entry: Entry, epoch: int) -> Entry | None:
    return replace(entry, called=epoch) if entry.epoch == epoch else None


def _in_flight_without_the_thread(
    entry: Entry | None,
    *,
    is_thread_alive: bool,
    is_domain_active: bool,
    answering_for_s: float,
    drain_s: float,
) -> bool:
    return False


def _in_flight_without_the_drain(
    entry: Entry | None,
    *,
    is_thread_alive: bool,
    is_domain_active: bool,
    answering_for_s: float,
    drain_s: float,
) -> bool:
    return is_thread_alive


def _ended_by_any_error(entry: Entry, epoch: int, *, by_connection_error: bool) -> Entry:
    return replace(entry, called=None)


def _always(_seen: object) -> bool:
    return True


def _never_kept(_verb: Verb, _result: Result) -> bool:
    return False


NO_GUARDS: Final = ((guards, "may_roll_back", _always), (guards, "may_clean_source", _always))

# ---- the conductor's rules


def _undo(saga: Saga, _outcome: Outcome) -> Transition:
    return issue(replace(saga, ends_in=MigrationStatus.FAILED), Phase.ROLLBACK)


def _doubt_dest_first(saga: Saga, *_story: str) -> Transition:
    unseen = replace(saga, source_seen=None, dest_seen=None, is_abort_pending=False)
    return issue(unseen, Phase.OBSERVE_DEST)


def _dest_answers_first(saga: Saga, outcome: Outcome) -> Transition:
    return issue(replace(saga, dest_seen=cast(DestSeen, outcome.seen)), Phase.OBSERVE_SOURCE)


def _source_answers_second(saga: Saga, outcome: Outcome) -> Transition:
    seen = SourceSeen(cast(SourceSeen, outcome.seen))  # an equal word of the dest's may stand for it
    if seen.has_job:
        return judgement.watch(saga)
    judged = judgement.judge(replace(saga, source_seen=seen), saga.dest_seen or DestSeen.UNREACHABLE)
    return judged if judged.has_command(saga) else _doubt_dest_first(saga)


def _dest_never_ran_it(saga: Saga, _story: str) -> Transition:
    return judgement.judge(saga, DestSeen.ABSENT)


def _both_ends_at_once(saga: Saga) -> tuple[Command, ...]:
    """post_live_migration goes out beside post_live_migration_at_destination."""
    commands = commands_of(saga)
    if saga.phase is not Phase.POST_DEST:
        return commands
    return (*commands, *commands_of(replace(saga, phase=Phase.POST_SOURCE)))


def _nothing(saga: Saga, _outcome: Outcome) -> Transition:
    return Transition(saga=saga)


_SOURCE_OFF: Final = (SourceSeen.ABSENT, SourceSeen.UNDEFINED, SourceSeen.SHUTOFF)

MUTATIONS: Final = (
    Mutation(
        drops="6: the epoch is on disk",
        breaks=("I6",),
        rules=Rules(keeps_ledger=False),
    ),
    Mutation(
        drops="6: the epoch is on disk (two migrations)",
        breaks=("I6", "I3"),
        setting=TWO,
        rules=Rules(keeps_ledger=False),
    ),
    Mutation(
        drops="6: the epoch is on disk, a confirm call before every verb instead",
        breaks=("I6",),
        rules=Rules(keeps_ledger=False, confirms_every_verb=True),
    ),
    Mutation(
        drops="1: one epoch counter for all migrations of the instance",
        breaks=("I6", "I3"),
        setting=TWO,
        functions=((acceptance, "decide", _accept_anything_of_another_migration),),
        prunes=False,
    ),
    Mutation(
        drops="11: an observation fences",
        breaks=("I3",),
        rules=Rules(observation_fences=False),
    ),
    Mutation(
        drops="16: the source is asked first",
        breaks=("I5", "I8"),
        functions=((judgement, "doubt", _doubt_dest_first),),
        answers={
            (Phase.OBSERVE_DEST, Result.OBSERVED): _dest_answers_first,
            (Phase.OBSERVE_SOURCE, Result.OBSERVED): _source_answers_second,
        },
    ),
    Mutation(
        drops="8a, 10: a call in flight is cancelled or counted",
        breaks=("I3",),
        rules=Rules(cancels_unissued_call=False),
        functions=(
            (acceptance, "call", _call_without_looking_at_the_fence),
            (acceptance, "is_call_in_flight", _in_flight_without_the_thread),
        ),
    ),
    Mutation(
        drops="8: `called` outlives newer epochs",
        breaks=("I3",),
        functions=((acceptance, "accept", _accept_and_forget_the_call),),
    ),
    Mutation(
        drops="10: the drain",
        breaks=("I6", "I3"),
        functions=((acceptance, "is_call_in_flight", _in_flight_without_the_drain),),
    ),
    Mutation(
        drops="6: an error of the connection does not end the call",
        breaks=("I3",),
        setting=BROKEN_CONNECTION,
        functions=((acceptance, "call_ended", _ended_by_any_error),),
    ),
    Mutation(
        drops="17: after an abort both hosts are judged",
        breaks=("I4",),
        answers={(Phase.ABORT_SOURCE, Result.OBSERVED): _undo},
    ),
    Mutation(
        drops="17 and 13: neither judged after an abort, nor guarded",
        breaks=("I3",),
        answers={(Phase.ABORT_SOURCE, Result.OBSERVED): _undo},
        functions=NO_GUARDS,
    ),
    Mutation(
        drops="the row RESUME",
        breaks=("I4",),
        verdicts={(SourceSeen.PAUSED_MIGRATING, DestSeen.ABSENT): Verdict.WAIT},
    ),
    Mutation(
        drops="the row WAIT",
        breaks=("I8",),
        verdicts={(SourceSeen.PAUSED_MIGRATING, DestSeen.INCOMING): Verdict.RESUME},
    ),
    Mutation(
        drops="the row WAIT, on storage without locks",
        breaks=("I1",),
        setting=replace(ONE, has_storage_lock=False),
        verdicts={(SourceSeen.PAUSED_MIGRATING, DestSeen.INCOMING): Verdict.RESUME},
    ),
    Mutation(
        drops="the row DIED_DEST",
        breaks=("I8",),
        setting=ONE_WITH_HOST_DEATH,
        verdicts={(SourceSeen.PAUSED_MIGRATING, DestSeen.SHUTOFF): Verdict.RESUME},
    ),
    Mutation(
        drops="19: the source is cleaned after the commit of the dest's proof",
        breaks=("I2",),
        commands=_both_ends_at_once,
        answers={(Phase.POST_DEST, Result.OK): _nothing},
    ),
    Mutation(
        drops="15: an error of migrateToURI3 is not believed",
        breaks=("I3",),
        answers={(Phase.LIVE, Result.ERROR): _undo, (Phase.LIVE, Result.LOST): _undo},
    ),
    Mutation(
        drops="16: a source without the guest proves nothing",
        breaks=("I4",),
        setting=ONE_WITH_HOST_DEATH,
        verdicts={(source, DestSeen.ABSENT): Verdict.ON_DEST for source in _SOURCE_OFF},
    ),
    Mutation(
        drops="11: no answer is not `absent`",
        breaks=("I5",),
        setting=SILENT_LIBVIRTD,
        rules=Rules(believes_silence=True),
    ),
    Mutation(
        drops="11: a look is a round trip to the monitor",
        breaks=("I8",),
        setting=STALE_ANSWER_AFTER_RESTART,
        rules=Rules(asks_monitor=False),
    ),
    Mutation(
        drops="8c: one verb at a time",
        breaks=("I6",),
        rules=Rules(waits_for_worker=False),
    ),
    Mutation(
        drops="8c: children die with their agent",
        breaks=("I6",),
        rules=Rules(children_die_with_agent=False),
    ),
    Mutation(
        drops="2: compare and swap",
        breaks=("I2", "I3", "I5"),
        rules=Rules(compares_versions=False),
    ),
    Mutation(
        drops="4: the sweeper",
        breaks=("I4",),
        setting=ONE_WITH_LOSS,
        rules=Rules(sweeps=False),
    ),
    Mutation(
        drops="25: a storage lock, with the reply of libvirt's Finish lost",
        breaks=("I1",),
        setting=FINISH_REPLY_LOST_UNLOCKED,
    ),
    Mutation(
        drops="20: of a dest that is declared down nobody knows whether the guest ran there",
        breaks=("I8",),
        setting=HOSTS_STAY_OFF,
        functions=((judgement, "_dest_is_down", _dest_never_ran_it),),
    ),
    # second lines: each alone, and several together, break nothing
    Mutation(drops="13: the guards", breaks=(), functions=NO_GUARDS),
    Mutation(drops="9: the confirm call", breaks=(), rules=Rules(confirms=False)),
    Mutation(
        drops="9: one call for an epoch",
        breaks=(),
        rules=Rules(calls_once=False),
        functions=((acceptance, "call", _call_again),),
    ),
    Mutation(drops="6: outcomes are kept", breaks=(), functions=((acceptance, "is_kept", _never_kept),)),
    Mutation(
        drops="9, 9 and 6: confirm call, one call for an epoch, kept outcomes",
        breaks=(),
        rules=Rules(confirms=False, calls_once=False),
        functions=((acceptance, "call", _call_again), (acceptance, "is_kept", _never_kept)),
    ),
)


def without(rule: str) -> Mutation:
    """The mutation that drops it."""
    (mutation,) = (mutation for mutation in MUTATIONS if mutation.drops == rule)
    return mutation
