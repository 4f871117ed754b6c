"""Whether a command is obeyed: the rules of the ledger, as pure functions over one instance's entry.

The ledger holds one entry for each instance that this host was ever commanded about. Its epoch is the fence: an older
command has no effect, a repeated one is not done twice, a newer one cancels or waits out what runs. The entry is on disk
before anything is done (`compute_agent.ledger`), so that all this holds across a restart.

The numbers of rules are those of docs/protocol.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from common.migration import Command, Outcome
from common.states import Result, Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What this host has accepted about one instance, and what it has answered.

    `called` is the epoch of a migrateToURI3 that was issued and is not known to have ended; it outlives newer epochs (rule
    8), since libvirt may still begin it. A floor entry (no verb) comes from a conductor after the ledger was lost.
    """

    instance: str
    epoch: int
    migration: str = ""
    verb: Verb | None = None
    outcome: Outcome | None = None
    called: int | None = None
    is_acknowledged: bool = False


class Decision(StrEnum):
    """What an arriving command leads to."""

    SUPERSEDED = "superseded"  # a newer epoch, or another command of this epoch, was accepted: no effect
    REPEAT = "repeat"  # it was done: send the kept outcome again
    JOIN = "join"  # it is being done: its outcome will come
    RUN = "run"  # do it, after `accept`; verbs are idempotent


def decide(entry: Entry | None, command: Command, *, running_epoch: int | None) -> Decision:
    """Rule 7. `running_epoch` is that of the verb at work for this instance, if any."""
    if entry is None or command.epoch > entry.epoch:
        return Decision.RUN
    if command.epoch < entry.epoch:
        return Decision.SUPERSEDED
    if entry.verb is not None and (entry.verb, entry.migration) != (command.verb, command.migration):
        return Decision.SUPERSEDED
    if entry.outcome is not None:
        return Decision.REPEAT
    return Decision.JOIN if running_epoch == command.epoch else Decision.RUN


def accept(entry: Entry | None, command: Command) -> Entry:
    """The entry that must be on disk before the command is acted on (rule 8b); `called` survives."""
    return Entry(
        instance=command.instance,
        epoch=command.epoch,
        migration=command.migration,
        verb=command.verb,
        called=entry.called if entry else None,
    )


_KEPT: Final[Mapping[Verb, frozenset[Result]]] = {
    Verb.CHECK_DEST: frozenset({Result.OK, Result.REFUSED, Result.ERROR}),
    Verb.CHECK_SOURCE: frozenset({Result.OK, Result.REFUSED, Result.ERROR}),
    Verb.PRE: frozenset({Result.OK, Result.REFUSED, Result.ERROR}),
    Verb.LIVE: frozenset({Result.OK, Result.ERROR}),
    Verb.ROLLBACK: frozenset({Result.OK}),
    Verb.RESUME: frozenset({Result.OK}),
    Verb.RECOVER: frozenset({Result.OK}),
    Verb.REAP: frozenset({Result.OK}),
    Verb.POST_DEST: frozenset({Result.RUNNING}),
    Verb.POST_SOURCE: frozenset({Result.OK}),
}
"""Outcomes that a repeated command gets without being done again. Observations are never among them (rule 11)."""


def is_kept(verb: Verb, result: Result) -> bool:
    """Whether an outcome enters the ledger; any other is looked up anew at each delivery."""
    return result in _KEPT.get(verb, frozenset())


def settle(entry: Entry, outcome: Outcome) -> Entry | None:
    """The entry after a verb has ended; None if a newer epoch was accepted meanwhile and the result is void (8c)."""
    if (entry.epoch, entry.verb) != (outcome.epoch, outcome.verb):
        return None
    return replace(entry, outcome=outcome) if is_kept(outcome.verb, outcome.result) else entry


def acknowledge(entry: Entry, epoch: int) -> Entry:
    """The conductor has settled everything up to `epoch`: stop repeating it."""
    return replace(entry, is_acknowledged=True) if epoch >= entry.epoch else entry


# ---- migrateToURI3: at most one for an epoch, and known to be in flight until it provably is not


def call(entry: Entry, epoch: int) -> Entry | None:
    """The entry that must be on disk right before migrateToURI3 is issued; None: fenced, it must not be (rule 9)."""
    if entry.epoch != epoch or entry.verb is not Verb.LIVE or entry.called == epoch:
        return None
    return replace(entry, called=epoch)


def call_ended(entry: Entry, epoch: int, *, by_connection_error: bool) -> Entry:
    """The call of `epoch` has returned. An error of the connection is not an end: libvirtd may still hold it (6)."""
    if entry.called != epoch or by_connection_error:
        return entry
    return replace(entry, called=None)


def job_ended(entry: Entry) -> Entry:
    """The job of the issued call was seen, and then seen to be over; or the time of the drain has passed."""
    return replace(entry, called=None)


def is_call_in_flight(
    entry: Entry | None,
    *,
    is_thread_alive: bool,
    is_domain_active: bool,
    answering_for_s: float,
    drain_s: float,
) -> bool:
    """Rule 10: whether a migrateToURI3 may still begin or go on.

    `answering_for_s`: how long libvirtd has answered without a break, counted from the agent's start and from each
    lost connection. A request can wait in libvirtd no longer than its job wait of 30 s. For a domain that is not
    active no request can begin (libvirt checks under the job's lock), so there is nothing to wait for.
    """
    if is_thread_alive:
        return True
    if entry is None or entry.called is None or not is_domain_active:
        return False
    return answering_for_s < drain_s
