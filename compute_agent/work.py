"""One accepted command on its way through a verb, and what the verb answers."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from common.checks import Finding
from common.migration import (
    Command,
    DestinationFacts,
    DomainChanges,
    GuestTraits,
    JobStatistics,
    Outcome,
)
from common.states import DestSeen, Result, SourceSeen, Verb
from common.transfer import Handover, TransferPlan
from compute_agent.errors import InvalidCommandError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a verb has to say; `Outcome` is this with the names of command and host."""

    result: Result
    seen: SourceSeen | DestSeen | None = None
    findings: tuple[Finding, ...] = ()
    detail: str = ""
    dest_facts: DestinationFacts | None = None
    traits: GuestTraits | None = None
    plan: TransferPlan | None = None
    changes: DomainChanges | None = None
    handover: Handover | None = None
    statistics: JobStatistics | None = None
    has_call_ended: bool = False  # the migrateToURI3 of this epoch has returned, and libvirt holds it no more

    def outcome(
        self, command: Command, *, boot_id: str, seconds: float = 0.0, accepted_epoch: int | None = None
    ) -> Outcome:
        """The answer as it travels."""
        return Outcome(
            instance=command.instance,
            migration=command.migration,
            epoch=command.epoch,
            verb=command.verb,
            host=command.host,
            boot_id=boot_id,
            result=self.result,
            seen=self.seen,
            findings=self.findings,
            detail=self.detail,
            accepted_epoch=accepted_epoch,
            dest_facts=self.dest_facts,
            traits=self.traits,
            plan=self.plan,
            changes=self.changes,
            handover=self.handover,
            statistics=self.statistics,
            seconds=seconds,
        )


class Work:
    """A command that is being carried out. A verb that takes long looks at `is_stopped` whenever it wakes.

    `wake` wakes whoever waits for news of the instance (`events.EventHub.wake`).
    """

    def __init__(self, command: Command, *, wake: Callable[[str], None]) -> None:
        self.command = command
        self.ended = threading.Event()
        self._wake = wake
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """A newer epoch was accepted, or the agent stops: whatever comes out of this is void."""
        return self._is_stopped

    def stop(self) -> None:
        self._is_stopped = True
        self._wake(self.command.instance)

    def arguments(self, kind: type[T]) -> T:
        """The command's arguments; raises InvalidCommandError if they are not what the verb needs."""
        if not isinstance(self.command.arguments, kind):
            raise InvalidCommandError(
                verb=self.command.verb, instance=self.command.instance, reason=f"no {kind.__name__}"
            )
        return self.command.arguments


VerbFunction = Callable[[Work], Answer]
Verbs = Mapping[Verb, VerbFunction]
