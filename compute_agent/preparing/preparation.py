"""What each preparation does for a guest that moves: on the dest before, on the dest after, and on the source.

| method | host | when | how it is undone |
|---|---|---|---|
| prepare | dest | step 4, before the permit | undo |
| undo | dest | rollback, the guest is not here | - |
| accompany | source | around migrateToURI3 | by leaving it |
| complete | dest | step 6, the guest is proven here | forward only |
| release | source | step 7, that is committed | forward only |

All of them may be repeated, by another process than the one that began. Beside other preparations, each in its own green
thread: a call that blocks goes through `concurrency.call_blocking`, bounded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from common.checks import Finding
from common.errors import LimosaError
from common.migration import DestinationFacts, DomainChanges
from common.transfer import Declarations, Handover, TransferPlan
from compute_agent.preparing.arrivals import ArrivalRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A guest that is to come to this host, or has just come."""

    instance: str  # uuid
    name: str
    migration: str
    plan: TransferPlan
    declared: Declarations
    record: ArrivalRecord  # of what is made here for it: written before it is made
    source_address: str = ""
    is_stopped: Callable[[], bool] = lambda: False  # a newer command waits: whatever takes long looks at it


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """A guest that does not come. Nothing is known of it but the record: that is all that may be undone."""

    instance: str
    migration: str
    record: ArrivalRecord
    keep_disks: bool  # the guest may have run here: its disks are evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A guest that leaves this host, or has left it."""

    instance: str
    name: str
    migration: str
    plan: TransferPlan
    declared: Declarations
    dest: DestinationFacts


class HoldSourceError(LimosaError):
    """Raised by `complete`: the guest runs here, and its source must not let go of anything yet."""

    message = "{what} is not safe here yet: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the source is to change in the domain's XML, and what speaks against the guest after all."""

    changes: DomainChanges = field(default_factory=DomainChanges)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What the source has let go of, in sentences for the journal; `handover` is for who watches the guest's network."""

    sentences: tuple[str, ...] = ()
    handover: Handover | None = None


class Preparation:
    """One kind of thing. A method that is not overridden has nothing to do.

    Every method may raise LimosaError. `undo` and `complete` return sentences for the journal of what they did.
    """

    name: ClassVar[str]  # of its items in the record, and in sentences
    is_released_last: ClassVar[bool] = False  # others look through it at the guest that has left

    def prepare(self, arrival: Arrival) -> Prepared:  # noqa: ARG002
        """On the dest: make it, or find it made. An error or a refusing finding is followed by `undo`."""
        return Prepared()

    def undo(self, undoing: Undoing) -> tuple[str, ...]:  # noqa: ARG002
        """On the dest: leave it as it was. Raises where that is not possible now: it is asked again."""
        return ()

    @contextmanager
    def accompany(self, departure: Departure) -> Iterator[None]:  # noqa: ARG002
        """On the source, around the call and the watch over its job. A crash may end it at any line.

        It must not raise, and neither keep the call nor its answer waiting.
        """
        yield

    def complete(self, arrival: Arrival) -> tuple[str, ...]:  # noqa: ARG002
        """On the dest: the guest runs here. What was made for its arrival is the guest's own from now on."""
        return ()

    def handover(self, migration: str) -> Handover | None:  # noqa: ARG002
        """On the dest, once after `complete`: whether its network finds the guest here; None, if that is not its matter."""
        return None

    def release(self, departure: Departure) -> Released:  # noqa: ARG002
        """On the source: the guest runs on the dest. Raises where that is not possible now: it is asked again."""
        return Released()
