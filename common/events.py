"""What the conductors tell the world, one event for each change: versioned, stable, and harmless to read.

An event is told after the commit that it speaks of, at most once (`common.event_bus`). It is news, never a command, and
holds neither domain XML nor a secret. Its words are text and not enumerations, so that a follower can show the words of
a newer conductor. docs/events.md is made from this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

SCHEMA = "limosa.event"
SCHEMA_VERSION = 1


class EventType(StrEnum):
    """What has happened; also the routing key by which a follower chooses."""

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    # One for each phase of a migration (`common.states.Phase`), named after it, and one for each way to end.
    ACCEPTED = "migration.accepted", "claimed; the first candidate is asked whether it could take the guest"
    CHECK_DEST = "migration.check-dest", "the candidate before refused; the next one is asked"
    CHECK_SOURCE = "migration.check-source", "the candidate could take it; the source looks at the guest"
    PRE = "migration.pre-live-migration", "one dest is chosen and prepares itself"
    LIVE = "migration.live-migration", "the source is told to move the guest"
    WATCH = "migration.watch", "the source has a job already; its end is waited for"
    OBSERVE_SOURCE = "migration.observe-source", "in doubt: the source is fenced and asked what it sees"
    ABORT_SOURCE = "migration.abort-source", "the source is told to abort its job"
    OBSERVE_DEST = "migration.observe-dest", "the source has answered; the dest is asked what it sees"
    RESUME_SOURCE = (
        "migration.resume-source",
        "the guest is paused on the source and nowhere else; it is resumed",
    )
    RECOVER_POSTCOPY = "migration.recover-postcopy", "both halves wait for each other; post-copy is resumed"
    ROLLBACK = "migration.rollback", "the dest undoes its preparation"
    POST_DEST = "migration.post-dest", "the source says that the guest has moved; the dest is asked for proof"
    POST_SOURCE = "migration.post-source", "the guest is proven on the dest; the source cleans up"
    REAP_SOURCE = "migration.reap-source", "the guest died on the dest; the stale copy on the source is ended"
    ALARM = "migration.alarm", "the hosts contradict each other; nothing is touched until an operator acts"
    NOTED = (
        "migration.noted",
        "something was learnt (a host is waited for, an abort is asked for); the phase stays",
    )
    COMPLETED = "migration.completed", "ended: the guest runs on the dest, the source is clean"
    FAILED = "migration.failed", "ended: the guest is on its source, everything is undone"
    CANCELLED = "migration.cancelled", "ended as failed does, because an operator asked for it"
    ERROR = "migration.error", "ended: an operator must act"

    FOUND = "instance.found", "a guest that was not known, or was gone, is reported by a host"
    MOVED = "instance.moved", "another host has the guest now: by a migration, or without us if none is named"
    GONE = "instance.gone", "the guest's host says that it is not there any more, and no other host has it"
    CONFLICT = (
        "instance.conflict",
        "a second host reports a guest that nobody is moving; nothing is done to it",
    )


def _means(text: str) -> Mapping[str, str]:
    return {"meaning": text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a migration has cost."""

    seconds: float = field(metadata=_means("from accept to end"))
    downtime_ms: int | None = field(
        metadata=_means("pause of the guest at the hand-over, as libvirt reports it")
    )
    sent_bytes: int | None = field(metadata=_means("memory sent"))
    passes: int | None = field(metadata=_means("how often libvirt went over the memory"))
    network_gap_ms: int | None = field(
        default=None,
        metadata=_means("from the guest's pause until it answered from the dest, by the source's clock"),
    )
    network_verified: bool | None = field(
        default=None, metadata=_means("both hosts saw the guest reached on the dest; null: not looked at")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationState:
    """A migration as the commit left it."""

    id: str = field(metadata=_means("uuid"))
    version: int = field(
        metadata=_means(
            "counts the changes of this migration from 1; each has one event, whichever conductor made it"
        )
    )
    source: str = field(metadata=_means("host"))
    dest: str = field(metadata=_means("host; the candidate that is being asked, while there are several"))
    phase: str = field(metadata=_means("which command is current, `done` at the end"))
    status: str = field(
        metadata=_means("accepted, preparing, running, ..., completed, failed, cancelled, error")
    )
    epoch: int = field(metadata=_means("of the current command"))
    host: str = field(
        metadata=_means("whom the current command is for; of a phase without one: who has the guest")
    )
    is_abort_requested: bool = field(metadata=_means("an operator has asked for its end"))
    needs_operator: bool = field(metadata=_means("something is wrong or lasts; a person should look"))
    waiting_for: str = field(metadata=_means("what an open migration in doubt waits for; else empty"))
    reason: str = field(metadata=_means("why it fails or is cancelled; empty while all is well"))
    findings: tuple[str, ...] = field(
        metadata=_means("codes of what checks have found so far (docs/checks.md)")
    )
    figures: Figures | None = field(metadata=_means("at the end; null before"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that has happened. What it is about stands in it; what its conductor adds is stamped on publishing."""

    schema_version: int = field(
        default=SCHEMA_VERSION,
        metadata=_means("grows when a field changes its meaning or goes; added fields do not count"),
    )
    event_type: str = field(metadata=_means("see above"))
    at: str = field(metadata=_means("time of the commit by the database's clock, ISO 8601 in UTC"))
    instance_uuid: str = field(metadata=_means("the guest"))
    instance_name: str = field(metadata=_means("its name at that time"))
    instance_host: str = field(
        metadata=_means("where the database has it after the commit; of a gone one: where it was")
    )
    hosts: tuple[str, ...] = field(
        default=(),
        metadata=_means("instance.moved: from, to; instance.conflict: all that report it; else empty"),
    )
    sentence: str = field(metadata=_means("what happened, for a person; its wording may change at any time"))
    migration: MigrationState | None = field(
        default=None, metadata=_means("the migration; null where none is concerned")
    )
    conductor: str = field(default="", metadata=_means("host of the conductor that tells it"))
    stream: str = field(default="", metadata=_means("random, anew at each start of that conductor"))
    sequence: int = field(default=0, metadata=_means("counts the events of the stream from 1"))
