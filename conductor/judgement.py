"""What a live migration in doubt does: ask the source, then the dest, then act on the verdict.

Nothing here believes an error, a silence or an absence alone. The order is fixed: fence and observe the source, commit
its answer, then the dest under a new epoch (rule 16). An answer that decides nothing is shown and asked for again.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

from common.migration import Outcome
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verdict
from conductor.saga import MAX_RECOVER_TRIES, Handler, Saga, Transition, finish, issue, waiting
from conductor.verdict import verdict


def doubt(saga: Saga, *story: str) -> Transition:
    """Ask the source first; an abort that is still owed to it goes along with the question."""
    unseen = replace(saga, source_seen=None, dest_seen=None)
    if saga.is_abort_pending:
        told = replace(unseen, is_abort_pending=False)
        return issue(told, Phase.ABORT_SOURCE, *story)
    return issue(unseen, Phase.OBSERVE_SOURCE, *story)


def watch(saga: Saga, *story: str) -> Transition:
    """The source has a job. An abort that is still owed stops it, unless it runs in post-copy."""
    if saga.is_abort_pending and not saga.is_postcopy_seen:
        return doubt(saga, *story)
    return issue(saga, Phase.WATCH, *story)


def abort(saga: Saga) -> Transition:
    """Tell the source to abort its job; where it cannot be told now, remember it (rules 12, 17)."""
    if saga.is_postcopy_seen:
        return Transition(saga=saga, story=("abort is asked for, too late: the guest runs in post-copy",))
    pending = replace(saga, is_abort_pending=True)
    if saga.phase in (Phase.LIVE, Phase.WATCH, Phase.OBSERVE_SOURCE):
        return doubt(pending, "abort is asked for")
    return Transition(saga=pending, story=("abort is asked for; it is weighed when the hosts have answered",))


def _source_answered(saga: Saga, outcome: Outcome) -> Transition:
    """Record what the fenced source says, then ask the dest; with a job there, watch it instead."""
    seen = SourceSeen(cast(SourceSeen, outcome.seen))
    if seen is SourceSeen.UNREACHABLE:
        return waiting(saga, f"libvirt on {saga.source} does not answer its agent")
    if saga.is_unfenced:
        return issue(saga, Phase.OBSERVE_DEST, f"{saga.source} obeys the restored database ({seen.value})")
    if seen is SourceSeen.POSTCOPY_RUNNING:
        postcopy = replace(saga, is_postcopy_seen=True, status=MigrationStatus.RUNNING_POSTCOPY)
        return watch(postcopy, f"{saga.source} runs in post-copy")
    if seen.has_job:
        return watch(saga, f"{saga.source} is still sending ({seen.value})")
    postcopy_seen = saga.is_postcopy_seen or seen is SourceSeen.POSTCOPY_FAILED
    recorded = replace(saga, source_seen=seen, is_postcopy_seen=postcopy_seen)
    return issue(recorded, Phase.OBSERVE_DEST, f"{saga.source} answers: {seen.value}")


def _dest_answered(saga: Saga, outcome: Outcome) -> Transition:
    seen = DestSeen(cast(DestSeen, outcome.seen))
    if saga.is_unfenced and seen is DestSeen.UNREACHABLE:
        return waiting(saga, f"libvirt on {saga.dest} does not answer its agent")
    if saga.is_unfenced:
        return _fenced(saga, f"{saga.dest} obeys the restored database ({seen.value})")
    return judge(saga, seen)


def judge(saga: Saga, dest_seen: DestSeen) -> Transition:
    """Act on the verdict; one that decides nothing leaves the dest's answer unrecorded (rule 16)."""
    source_seen = saga.source_seen or SourceSeen.UNREACHABLE
    word = verdict(source_seen, dest_seen)
    seen = f"{saga.source} {source_seen.value}, {saga.dest} {dest_seen.value}: {word.value}"
    unsettled = _UNSETTLED.get(word)
    if unsettled is not None:
        return waiting(saga, f"{seen}: {unsettled.format(source=saga.source, dest=saga.dest)}")
    recorded = replace(saga, dest_seen=dest_seen)
    return _DECISIONS[word](recorded, seen)


_UNSETTLED: Final[Mapping[Verdict, str]] = {
    Verdict.WAIT: "the half on {dest} goes by itself, or becomes the guest; it is asked again",
    Verdict.UNKNOWN: "nothing is decided until both hosts answer, or one is declared down",
    Verdict.SRC_UNSEEN: "the guest runs on {source}; {dest} still has to be cleaned and does not answer",
}


def _on_source(saga: Saga, seen: str) -> Transition:
    reason = saga.reason or "the guest stayed on its source"
    undoing = replace(saga, home=saga.source, ends_in=MigrationStatus.FAILED, reason=reason)
    return issue(undoing, Phase.ROLLBACK, seen)


def _resume(saga: Saga, seen: str) -> Transition:
    """Only a guest that never ran on the dest: after the commit that it did, the copy on the source is stale."""
    if saga.is_committed_to_dest:
        return _alarm(saga, f"{seen}, but the guest has run on {saga.dest}")
    return issue(saga, Phase.RESUME_SOURCE, seen)


def _on_dest(saga: Saga, seen: str) -> Transition:
    """instance.host changes in this commit (rule 18); from here on only forward."""
    committed = replace(saga, home=saga.dest, status=MigrationStatus.SOURCE_UNCONFIRMED, reason="")
    return issue(committed, Phase.POST_DEST, seen)


def _off_source(saga: Saga, seen: str) -> Transition:
    undoing = replace(saga, ends_in=MigrationStatus.ERROR, reason=f"the guest is off on {saga.source}")
    return issue(undoing, Phase.ROLLBACK, seen)


def _nowhere(saga: Saga, seen: str) -> Transition:
    reason = "no host has a definition of the guest; the disks of both are kept"
    undoing = replace(saga, ends_in=MigrationStatus.ERROR, reason=reason)
    return issue(undoing, Phase.ROLLBACK, seen)


def _died_on_dest(saga: Saga, seen: str) -> Transition:
    return _reap(saga, f"the guest ran on {saga.dest} and is off there", seen)


def _lost_in_postcopy(saga: Saga, seen: str) -> Transition:
    lost = replace(saga, is_postcopy_seen=True)
    return _reap(lost, "the guest was lost in post-copy; the disks of both hosts are kept", seen)


def _reap(saga: Saga, reason: str, seen: str) -> Transition:
    """Never resume the source: its memory is older than the disks (rule 20)."""
    gone = replace(saga, home=saga.dest, reason=reason)
    return issue(gone, Phase.REAP_SOURCE, seen)


def _recover(saga: Saga, seen: str) -> Transition:
    if saga.recover_tries >= MAX_RECOVER_TRIES:
        return _alarm(saga, f"{seen}; post-copy could not be resumed in {MAX_RECOVER_TRIES} tries")
    trying = replace(saga, is_postcopy_seen=True, recover_tries=saga.recover_tries + 1)
    return issue(replace(trying, status=MigrationStatus.RUNNING_POSTCOPY), Phase.RECOVER_POSTCOPY, seen)


def _alarm(saga: Saga, seen: str) -> Transition:
    """Touch nothing (rule 21). The migration stays open, so that nothing else touches the guest either.

    It has an epoch, though no command: a repeated answer to what led here is not current any more.
    """
    stopped = replace(
        issue(saga, Phase.ALARM).saga,
        status=MigrationStatus.ERROR,
        reason=seen,
        waiting_for="an operator",
        needs_operator=True,
    )
    return Transition(saga=stopped, story=(f"nothing is touched: {seen}",))


_DECISIONS: Final[Mapping[Verdict, Callable[[Saga, str], Transition]]] = {
    Verdict.ON_SOURCE: _on_source,
    Verdict.RESUME: _resume,
    Verdict.ON_DEST: _on_dest,
    Verdict.DIED_DEST: _died_on_dest,
    Verdict.OFF_SOURCE: _off_source,
    Verdict.NOWHERE: _nowhere,
    Verdict.RECOVER: _recover,
    Verdict.LOST_POSTCOPY: _lost_in_postcopy,
    Verdict.BOTH: _alarm,
    Verdict.CONFLICT: _alarm,
}


# ---- the other answers of a migration in doubt


def _job_ended(saga: Saga, outcome: Outcome) -> Transition:
    statistics = outcome.statistics
    told = replace(saga, downtime_ms=statistics.downtime_ms if statistics else saga.downtime_ms)
    return doubt(told, f"{saga.source} has no job any more")


def _resumed(saga: Saga, _outcome: Outcome) -> Transition:
    reason = saga.reason or "the guest stayed on its source"
    undoing = replace(saga, ends_in=MigrationStatus.FAILED, reason=reason)
    return issue(undoing, Phase.ROLLBACK, f"{saga.source} runs the guest again")


def _refused(saga: Saga, outcome: Outcome) -> Transition:
    """What the verdict asked for is not so any more on that host: judge anew (rule 18)."""
    return doubt(
        saga, f"{outcome.host} refuses {outcome.verb.value}: {outcome.result.value} {outcome.detail}".rstrip()
    )


def _locked(saga: Saga, outcome: Outcome) -> Transition:
    """A lock may last: it is tried again by resends, and after a while both hosts are asked again (`overdue`)."""
    return waiting(saga, f"{outcome.host} cannot resume the guest: {outcome.detail}", needs_operator=True)


def _recovering(saga: Saga, _outcome: Outcome) -> Transition:
    return issue(saga, Phase.WATCH, f"{saga.source} resumes post-copy")


def _not_recovering(saga: Saga, outcome: Outcome) -> Transition:
    return doubt(saga, f"post-copy was not resumed: {outcome.detail}")


def _gone_on_dest(saga: Saga, _outcome: Outcome) -> Transition:
    """Before the commit this is doubt; after it the guest has died where it was handed to (rule 19)."""
    if not saga.is_committed_to_dest:
        return doubt(saga, f"{saga.dest} does not run the guest")
    return _reap(
        saga, f"the guest died on {saga.dest} after the hand-over", f"{saga.dest} has lost the guest"
    )


def _reaped(saga: Saga, _outcome: Outcome) -> Transition:
    return finish(saga, MigrationStatus.ERROR, f"{saga.source} has ended its stale copy; its disks are kept")


def _source_still_runs(saga: Saga, outcome: Outcome) -> Transition:
    return _alarm(saga, f"{saga.source} runs the guest though it was handed to {saga.dest}: {outcome.detail}")


ANSWERS: Final[Mapping[tuple[Phase, Result], Handler]] = {
    (Phase.WATCH, Result.ENDED): _job_ended,
    (Phase.OBSERVE_SOURCE, Result.OBSERVED): _source_answered,
    (Phase.ABORT_SOURCE, Result.OBSERVED): _source_answered,
    (Phase.OBSERVE_DEST, Result.OBSERVED): _dest_answered,
    (Phase.RESUME_SOURCE, Result.OK): _resumed,
    (Phase.RESUME_SOURCE, Result.GONE): _refused,
    (Phase.RESUME_SOURCE, Result.LOCKED): _locked,
    (Phase.RECOVER_POSTCOPY, Result.OK): _recovering,
    (Phase.RECOVER_POSTCOPY, Result.ERROR): _not_recovering,
    (Phase.RECOVER_POSTCOPY, Result.GONE): _not_recovering,
    (Phase.ROLLBACK, Result.RUNNING): _refused,
    (Phase.POST_DEST, Result.GONE): _gone_on_dest,
    (Phase.POST_SOURCE, Result.RUNNING): _source_still_runs,
    (Phase.REAP_SOURCE, Result.OK): _reaped,
    (Phase.REAP_SOURCE, Result.RUNNING): _source_still_runs,
}


# ---- silence, and what an operator says


def overdue(saga: Saga, *, host: str) -> Transition:
    """Silence decides nothing: say so, and raise an alarm. A resume that does not succeed is judged anew."""
    if saga.phase is Phase.RESUME_SOURCE:
        return doubt(saga, f"{host} has not resumed the guest")
    known = f"; {saga.source} answered {saga.source_seen.value}" if saga.source_seen else ""
    already = saga.waiting_for or f"{host} has not answered {saga.phase.value} yet{known}"
    return waiting(saga, already, needs_operator=True)


def declared_down(saga: Saga, host: str) -> Transition:
    """That host is off: what it was asked is answered by that, and nothing runs there."""
    story = f"{host} is declared down"
    if host == saga.source:
        if saga.phase in (Phase.POST_SOURCE, Phase.REAP_SOURCE):
            status = MigrationStatus.COMPLETED if saga.phase is Phase.POST_SOURCE else MigrationStatus.ERROR
            return finish(saga, status, story)
        if saga.phase in _ASKS_SOURCE:
            absent = replace(saga, source_seen=SourceSeen.ABSENT, is_unfenced=False)
            return issue(absent, Phase.OBSERVE_DEST, story)
    if host == saga.dest:
        if saga.phase is Phase.OBSERVE_DEST:
            return _dest_is_down(saga, story)
        if saga.phase is Phase.POST_DEST and saga.is_committed_to_dest:
            return _reap(saga, f"the guest was on {saga.dest} when that host was declared down", story)
        if saga.phase is Phase.POST_DEST:
            return doubt(saga, story)
    return Transition(saga=saga, story=(story,))


def _dest_is_down(saga: Saga, story: str) -> Transition:
    """Nothing runs there now; whether the guest ever ran there, nobody can say (rule 20).

    A source paused by the migration may then be stale, or the only copy: neither resumed nor ended without a person.
    """
    if saga.is_unfenced:
        return _fenced(saga, story)
    if saga.source_seen is SourceSeen.PAUSED_MIGRATING:
        return _alarm(saga, f"{story}; whether the guest ran there is not known, {saga.source} has it paused")
    return judge(saga, DestSeen.ABSENT)


_ASKS_SOURCE: Final = (
    Phase.LIVE, Phase.WATCH, Phase.OBSERVE_SOURCE, Phase.ABORT_SOURCE, Phase.RESUME_SOURCE, Phase.RECOVER_POSTCOPY,
)  # fmt: skip


def judge_again(saga: Saga) -> Transition:
    """After an alarm: look at both hosts anew."""
    if saga.phase is not Phase.ALARM:
        return Transition(saga=saga)
    return doubt(replace(saga, status=MigrationStatus.RUNNING), "an operator asks to look again")


# ---- after commits were lost


def restored(saga: Saga) -> Transition:
    """Fence both hosts before anything else, then judge as ever (rule 27).

    The row may be older than what its hosts were told last: a command on its way, or at work, could act after the verdict
    on the other host alone. Nothing that either answers meanwhile is recorded. A roll-back takes back a preparation, too.
    """
    status = MigrationStatus.RUNNING if saga.phase is Phase.ALARM else saga.status
    unfenced = replace(
        saga, status=status, source_seen=None, dest_seen=None, is_unfenced=True, is_prepared=True
    )
    return issue(unfenced, Phase.OBSERVE_SOURCE, "the database was restored: both hosts are asked anew")


def _fenced(saga: Saga, *story: str) -> Transition:
    """Nothing older than this row's epoch is obeyed any more, on either host."""
    return doubt(replace(saga, is_unfenced=False), *story)
