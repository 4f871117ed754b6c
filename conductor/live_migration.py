"""A live migration, top to bottom. This is the file to read.

| # | step | where | what it does | how it is undone |
|---|---|---|---|---|
| 1 | accept | conductor | authorise; validate; claim the instance (compare-and-swap on task_state) | release it |
| 2 | check_can_live_migrate_destination | dest | hypervisor, memory, names, storage probe: every finding | remove the probe |
| 3 | check_can_live_migrate_source | source | is the probe seen, does the guest run, who else works on it | - |
| 4 | pre_live_migration | dest | disks, media, volumes, networks, firewall, permit; returns typed changes for the dest XML | rollback_live_migration_at_destination |
| 5 | live_migration | source | migrateToURI3, watched. **The point of no return is inside this step** | abort the job, then ask both hosts |
| 6 | post_live_migration_at_destination | dest | prove that the guest runs there; persistence, autostart, marks | forward only |
| 7 | post_live_migration | source | complete the undefine, let go of what the guest had with it, drop the records | forward only |
| 8 | complete | conductor | claims, history | forward only |

Steps 2 and 3 with the claim on the dest are one *attempt*: a refused one may be followed by the next candidate. From
step 4 on there is one dest. Whatever goes wrong from step 5 on leads to `conductor.judgement`: fence and observe the
source, then the dest, and let the verdict table say where the guest is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from common.checks import CHECK_TIMED_OUT, Finding, refusing
from common.migration import (
    Command,
    Outcome,
)
from common.states import MigrationStatus, Phase, Result, Verb
from common.transfer import TransferPlan
from conductor import handover, judgement
from conductor.saga import (
    CandidateUnfit,
    Plan,
    Saga,
    TimePassed,
    Transition,
    finish,
    issue,
    waiting,
)
from conductor.verb_arguments import arguments_of

MIB_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the table above: its do, and beside it what undoes it."""

    phase: Phase
    verb: Verb
    on_dest: bool
    undo: Verb | None = None


STEPS: Final = (
    Step(phase=Phase.CHECK_DEST, verb=Verb.CHECK_DEST, on_dest=True, undo=Verb.ROLLBACK),
    Step(phase=Phase.CHECK_SOURCE, verb=Verb.CHECK_SOURCE, on_dest=False),
    Step(phase=Phase.PRE, verb=Verb.PRE, on_dest=True, undo=Verb.ROLLBACK),
    Step(phase=Phase.LIVE, verb=Verb.LIVE, on_dest=False, undo=Verb.ABORT),
    Step(phase=Phase.POST_DEST, verb=Verb.POST_DEST, on_dest=True),
    Step(phase=Phase.POST_SOURCE, verb=Verb.POST_SOURCE, on_dest=False),
)
"""The way of a migration that nothing disturbs."""

DETOURS: Final = (
    Step(phase=Phase.WATCH, verb=Verb.WATCH, on_dest=False),
    Step(phase=Phase.OBSERVE_SOURCE, verb=Verb.OBSERVE, on_dest=False),
    Step(phase=Phase.ABORT_SOURCE, verb=Verb.ABORT, on_dest=False),
    Step(phase=Phase.OBSERVE_DEST, verb=Verb.OBSERVE, on_dest=True),
    Step(phase=Phase.RESUME_SOURCE, verb=Verb.RESUME, on_dest=False),
    Step(phase=Phase.RECOVER_POSTCOPY, verb=Verb.RECOVER, on_dest=False),
    Step(phase=Phase.ROLLBACK, verb=Verb.ROLLBACK, on_dest=True),
    Step(phase=Phase.REAP_SOURCE, verb=Verb.REAP, on_dest=False),
)
"""What a migration in doubt is led through."""

BY_PHASE: Final[Mapping[Phase, Step]] = {step.phase: step for step in (*STEPS, *DETOURS)}


# ---- the commands


def command(saga: Saga) -> Command | None:
    """The row's current command: what is sent after a commit, and what the sweeper resends. None: nothing to send."""
    step = BY_PHASE.get(saga.phase)
    if step is None:
        return None
    return Command(
        instance=saga.instance,
        migration=saga.migration,
        epoch=saga.epoch,
        verb=step.verb,
        host=saga.dest if step.on_dest else saga.source,
        arguments=arguments_of(saga, step.verb, on_dest=step.on_dest),
    )


# ---- the way forward, step by step


def start(saga: Saga) -> Transition:
    """Step 1 is being committed: ask the first candidate."""
    story = f"accepted: {saga.name} is to move from {saga.source} to {saga.dest}"
    return issue(replace(saga, status=MigrationStatus.ACCEPTED), Phase.CHECK_DEST, story)


def _dest_checked(saga: Saga, outcome: Outcome) -> Transition:
    found = replace(saga, dest_facts=outcome.dest_facts, findings=saga.findings + outcome.findings)
    return issue(found, Phase.CHECK_SOURCE, f"{saga.dest} could take it")


def _dest_refused(saga: Saga, outcome: Outcome) -> Transition:
    """The dest has removed its own probe before it answered: nothing is left to undo there.

    With no further host the source is asked all the same, so that all reasons are told at once.
    """
    found = replace(saga, findings=saga.findings + outcome.findings)
    story = f"{saga.dest} refuses: {_sentences(outcome.findings)}"
    if saga.candidates or outcome.dest_facts is None:
        return next_candidate(found, story)
    reason = _sentences(refusing(found.findings))
    ending = replace(found, dest_facts=outcome.dest_facts, ends_in=MigrationStatus.FAILED, reason=reason)
    return issue(ending, Phase.CHECK_SOURCE, story)


def _source_checked(saga: Saga, outcome: Outcome) -> Transition:
    found, story = _told(saga, outcome), f"{saga.source} could give it{_copied(outcome.plan)}"
    if saga.ends_in is not None:
        return next_candidate(found, story)
    fit = replace(
        found,
        traits=outcome.traits,
        plan=outcome.plan,
        status=MigrationStatus.PREPARING,
        is_prepared=True,
    )
    return issue(fit, Phase.PRE, story)


def _source_refused(saga: Saga, outcome: Outcome) -> Transition:
    found, story = _told(saga, outcome), f"{saga.source} refuses: {_sentences(outcome.findings)}"
    return issue(found, Phase.ROLLBACK, story) if saga.ends_in is None else next_candidate(found, story)


def _told(saga: Saga, outcome: Outcome) -> Saga:
    """With what the source has found. `ends_in` is set: the dest has refused before, and its reason is a finding too."""
    return replace(saga, findings=saga.findings + outcome.findings, reason="")


def _prepared(saga: Saga, outcome: Outcome) -> Transition:
    ready = replace(saga, changes=outcome.changes, status=MigrationStatus.RUNNING)
    return issue(ready, Phase.LIVE, f"{saga.dest} is prepared")


def _moved(saga: Saga, outcome: Outcome) -> Transition:
    """migrateToURI3 says that it succeeded. The dest proves it; only that counts (rule 15)."""
    statistics = outcome.statistics
    told = replace(
        saga,
        downtime_ms=statistics.downtime_ms if statistics else None,
        traits=outcome.traits or saga.traits,
    )
    return issue(told, Phase.POST_DEST, f"{saga.source} says that the guest has moved{_call(outcome)}")


def _proven(saga: Saga, outcome: Outcome) -> Transition:
    """The guest runs on the dest: instance.host changes in this commit, the source is cleaned only after it (19)."""
    proven = replace(
        saga, home=saga.dest, status=MigrationStatus.SOURCE_UNCONFIRMED, handover=outcome.handover
    )
    return issue(proven, Phase.POST_SOURCE, f"{saga.dest} runs the guest{_detail(outcome)}")


def _clean(saga: Saga, outcome: Outcome) -> Transition:
    done = replace(saga, handover=handover.joined(saga.handover, outcome.handover))
    clean = f"{saga.source} is clean{_detail(outcome)}"
    return finish(done, MigrationStatus.COMPLETED, *filter(None, (clean, handover.story(done))))


# ---- the way back


def _check_failed(saga: Saga, outcome: Outcome) -> Transition:
    found = replace(saga, findings=saga.findings + outcome.findings)
    return issue(found, Phase.ROLLBACK, f"{outcome.host} could not check: {outcome.detail}")


def _not_prepared(saga: Saga, outcome: Outcome) -> Transition:
    why = outcome.detail or _sentences(outcome.findings)
    undoing = replace(
        saga,
        findings=saga.findings + outcome.findings,
        ends_in=MigrationStatus.FAILED,
        reason=f"{saga.dest} could not prepare: {why}",
    )
    return issue(undoing, Phase.ROLLBACK, f"{saga.dest} could not prepare: {why}")


def _doubted(saga: Saga, outcome: Outcome) -> Transition:
    """An error of migrateToURI3, or a lost call, is only a reason to look (rule 15)."""
    told = replace(saga, reason=outcome.detail or saga.reason, traits=outcome.traits or saga.traits)
    return judgement.doubt(
        told, f"{saga.source} answers {outcome.result.value}{_detail(outcome)}{_call(outcome)}"
    )


def _rolled_back(saga: Saga, outcome: Outcome) -> Transition:
    return _undone(saga, f"{saga.dest} has undone its part{_detail(outcome)}")


def _undone(saga: Saga, story: str) -> Transition:
    """What a roll-back leads to: the next candidate, or the end."""
    return next_candidate(saga, story) if saga.ends_in is None else finish(saga, _ends_in(saga), story)


def _ends_in(saga: Saga) -> MigrationStatus:
    """An abort that found the guest on its source ends in cancelled, whatever else had gone wrong."""
    if saga.is_abort_requested and saga.ends_in is MigrationStatus.FAILED:
        return MigrationStatus.CANCELLED
    return saga.ends_in or MigrationStatus.FAILED


def next_candidate(saga: Saga, *story: str) -> Transition:
    """The attempt is over without a trace: try the next host, if there is one and nobody has asked to stop."""
    if saga.is_abort_requested:
        return finish(saga, MigrationStatus.CANCELLED, *story)
    if not saga.candidates:
        reasons = _sentences(refusing(saga.findings))
        return finish(replace(saga, reason=saga.reason or reasons), MigrationStatus.FAILED, *story)
    dest, *rest = saga.candidates
    onward = replace(
        saga, dest=dest, candidates=tuple(rest), dest_facts=None, plan=None, is_prepared=False, reason=""
    )
    transition = issue(onward, Phase.CHECK_DEST, *story, f"{dest} is tried next")
    return replace(transition, acknowledge=(saga.dest,))


def _unfit(saga: Saga, event: CandidateUnfit) -> Transition:
    found = replace(saga, findings=saga.findings + event.findings)
    story = f"{saga.dest} cannot be claimed: {_sentences(event.findings)}"
    if saga.phase is Phase.PRE:  # not commanded yet: that transition is not committed. The dest has its probe
        return issue(
            replace(found, is_prepared=False, plan=None, status=MigrationStatus.ACCEPTED),
            Phase.ROLLBACK,
            story,
        )
    return next_candidate(found, story)


def _abort(saga: Saga) -> Transition:
    """Stop it if it can be stopped: in `cancelled`, or in `completed` where the guest had moved already (rule 22)."""
    asked = replace(saga, is_abort_requested=True)
    if saga.phase in (Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE):
        undoing = replace(asked, ends_in=MigrationStatus.FAILED, reason=saga.reason or "aborted")
        return issue(undoing, Phase.ROLLBACK, "abort is asked for")
    if saga.phase is Phase.ROLLBACK:
        undoing = replace(asked, ends_in=saga.ends_in or MigrationStatus.FAILED)
        return Transition(saga=undoing, story=("abort is asked for; it is being undone already",))
    return judgement.abort(replace(asked, reason=saga.reason or "aborted"))


def _overdue(saga: Saga, event: TimePassed) -> Transition:
    step = BY_PHASE.get(saga.phase)
    if step is None:
        return Transition(saga=saga)
    host = saga.dest if step.on_dest else saga.source
    if saga.phase in (Phase.CHECK_DEST, Phase.CHECK_SOURCE, Phase.PRE):
        side = "as the dest" if step.on_dest else "as the source"
        late = CHECK_TIMED_OUT.finding(host, side=side, timeout_s=round(event.seconds))
        findings = (*saga.findings, late)
        # `ends_in` is set in a check: the dest has refused before, which is a reason beside the silence.
        reason = late.sentence if saga.ends_in is None else _sentences(refusing(findings))
        ends_in = MigrationStatus.FAILED if saga.phase is Phase.PRE else saga.ends_in
        undoing = replace(saga, findings=findings, ends_in=ends_in, reason=reason)
        return issue(undoing, Phase.ROLLBACK, late.sentence)
    if saga.phase is Phase.ROLLBACK and not saga.is_prepared:
        # Only a probe is owed there, and the agent removes its own probes when nobody comes back for them.
        return _undone(saga, f"{host} does not answer; it will remove its probe by itself")
    if saga.phase in (Phase.LIVE, Phase.WATCH):
        return judgement.doubt(saga, f"{host} has not been heard for {event.seconds:.0f} s")
    return judgement.overdue(saga, host=host)


def _declared_down(saga: Saga, host: str) -> Transition:
    """A dest that is off owes no roll-back any more; whatever else was asked of a host: `conductor.judgement`."""
    if host == saga.dest and saga.phase is Phase.ROLLBACK:
        return _undone(saga, f"{host} is declared down")
    return judgement.declared_down(saga, host)


def _not_yet(saga: Saga, outcome: Outcome) -> Transition:
    """A verb that only goes forward could not be done now; the same command is resent until it is."""
    return waiting(saga, f"{outcome.host}: {outcome.detail or outcome.result.value}")


# ---- sentences


def _sentences(findings: tuple[Finding, ...]) -> str:
    return " ".join(finding.sentence for finding in findings)


def _copied(plan: TransferPlan | None) -> str:
    """Which disks are copied, and how much of them there is at most."""
    if plan is None or not plan.copied:
        return ""
    size_mib = -(-plan.copied_bytes // MIB_BYTES)
    return f"; of its disks {', '.join(disk.target for disk in plan.copied)} are copied, {size_mib} MiB"


def _detail(outcome: Outcome) -> str:
    return f": {outcome.detail}" if outcome.detail else ""


def _call(outcome: Outcome) -> str:
    statistics = outcome.statistics
    if statistics is None or statistics.downtime_ms is None:
        return ""
    return f" (downtime {statistics.downtime_ms} ms, {statistics.elapsed_ms} ms in all)"


PLAN: Final = Plan(
    answers={
        # the way forward
        (Phase.CHECK_DEST, Result.OK): _dest_checked,
        (Phase.CHECK_SOURCE, Result.OK): _source_checked,
        (Phase.PRE, Result.OK): _prepared,
        (Phase.LIVE, Result.OK): _moved,
        (Phase.POST_DEST, Result.RUNNING): _proven,
        (Phase.POST_SOURCE, Result.OK): _clean,
        # refusals and failures before the source was told to do anything
        (Phase.CHECK_DEST, Result.REFUSED): _dest_refused,
        (Phase.CHECK_DEST, Result.ERROR): _check_failed,
        (Phase.CHECK_SOURCE, Result.REFUSED): _source_refused,
        (Phase.CHECK_SOURCE, Result.ERROR): _check_failed,
        (Phase.PRE, Result.REFUSED): _not_prepared,
        (Phase.PRE, Result.ERROR): _not_prepared,
        (Phase.ROLLBACK, Result.OK): _rolled_back,
        # doubt
        (Phase.LIVE, Result.ERROR): _doubted,
        (Phase.LIVE, Result.LOST): _doubted,
        **judgement.ANSWERS,
        # not yet: shown, and asked again
        **{
            (phase, Result.ERROR): _not_yet
            for phase in (
                Phase.WATCH,
                Phase.OBSERVE_SOURCE,
                Phase.ABORT_SOURCE,
                Phase.OBSERVE_DEST,
                Phase.RESUME_SOURCE,
                Phase.ROLLBACK,
                Phase.POST_DEST,
                Phase.POST_SOURCE,
                Phase.REAP_SOURCE,
            )
        },
    },
    on_abort=_abort,
    on_time=_overdue,
    on_unfit=_unfit,
    on_declared_down=_declared_down,
    on_judge_again=judgement.judge_again,
    on_restored=judgement.restored,
)
