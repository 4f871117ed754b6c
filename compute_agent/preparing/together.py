"""All preparations of a guest beside each other: as fast as the slowest, and none of them is forgotten when one fails."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from common import concurrency
from common.checks import Finding
from common.errors import LimosaError, describe, describe_os_error
from common.migration import DomainChanges
from common.transfer import Handover
from compute_agent.preparing.preparation import (
    Arrival,
    Departure,
    HoldSourceError,
    Preparation,
    Prepared,
    Released,
    Undoing,
)

# Of one wait: each preparation bounds itself, and the conductor gives up long before.
_WAIT_SLICE_S = 24 * 3600.0

T = TypeVar("T")

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What all of them have to say. `failures` are sentences of those that could not."""

    changes: DomainChanges = field(default_factory=DomainChanges)
    findings: tuple[Finding, ...] = ()
    sentences: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    holds_source: bool = False  # complete: one of the failures is that the source must not let go yet
    handover: Handover | None = None  # complete, release: what was seen of the guest's network


class _Failure(NamedTuple):
    sentence: str
    holds_source: bool


class Preparations:
    def __init__(self, preparations: Sequence[Preparation]) -> None:
        self._preparations = tuple(preparations)

    def prepare(self, arrival: Arrival) -> Told:
        prepared, failures = self._all(lambda preparation: preparation.prepare(arrival))
        return Told(
            changes=_merged(prepared),
            findings=tuple(finding for each in prepared for finding in each.findings),
            failures=_sentences(failures),
        )

    def undo(self, undoing: Undoing) -> Told:
        return self._told(lambda preparation: preparation.undo(undoing))

    def complete(self, arrival: Arrival) -> Told:
        told = self._told(lambda preparation: preparation.complete(arrival))
        seen = [preparation.handover(arrival.migration) for preparation in self._preparations]
        return replace(told, handover=next((each for each in seen if each is not None), None))

    def release(self, departure: Departure) -> Told:
        released: tuple[Released, ...] = ()
        failures: tuple[_Failure, ...] = ()
        for is_last in (False, True):
            told, failed = self._all(
                lambda preparation: preparation.release(departure),
                among=[each for each in self._preparations if each.is_released_last is is_last],
            )
            released, failures = released + told, failures + failed
        return Told(
            sentences=tuple(one for each in released for one in each.sentences),
            failures=_sentences(failures),
            handover=next((each.handover for each in released if each.handover is not None), None),
        )

    @contextmanager
    def accompany(self, departure: Departure) -> Iterator[None]:
        """Enter all of them; one that breaks is logged, and leaves the call alone."""
        with ExitStack() as entered:
            for preparation in self._preparations:
                try:
                    entered.enter_context(preparation.accompany(departure))
                except Exception:
                    LOG.exception("%s does not accompany the migration", preparation.name)
            yield

    def _told(self, do: Callable[[Preparation], tuple[str, ...]]) -> Told:
        sentences, failures = self._all(do)
        return Told(
            sentences=tuple(one for each in sentences for one in each),
            failures=_sentences(failures),
            holds_source=any(failure.holds_source for failure in failures),
        )

    def _all(
        self, do: Callable[[Preparation], T], *, among: Sequence[Preparation] | None = None
    ) -> tuple[tuple[T, ...], tuple[_Failure, ...]]:
        """What they returned, and what those said that raised. Returns when all have ended."""
        concerned = self._preparations if among is None else among
        tasks = [(each.name, concurrency.spawn(do, each)) for each in concerned]
        returned: list[T] = []
        failures: list[_Failure] = []
        for name, task in tasks:
            try:
                returned.append(task.wait(_WAIT_SLICE_S))
            except Exception as error:  # noqa: BLE001 (the edge of all preparations: the others must be waited for)
                failures.append(_Failure(_sentence(name, error), isinstance(error, HoldSourceError)))
        return tuple(returned), tuple(failures)


def _sentences(failures: Sequence[_Failure]) -> tuple[str, ...]:
    return tuple(failure.sentence for failure in failures)


def _sentence(name: str, error: Exception) -> str:
    if isinstance(error, LimosaError | concurrency.BlockingCallTimeout):
        return f"{name}: {error}"
    if isinstance(error, OSError):
        return f"{name}: {describe_os_error(error)}"
    LOG.error("%s broke", name, exc_info=error)
    return f"{name}: internal error, see the agent's log: {describe(error)}"


def _merged(prepared: Sequence[Prepared]) -> DomainChanges:
    changes = [each.changes for each in prepared]
    return DomainChanges(
        graphics=tuple(one for each in changes for one in each.graphics),
        disks=tuple(one for each in changes for one in each.disks),
        interfaces=tuple(one for each in changes for one in each.interfaces),
        boot_files=tuple(one for each in changes for one in each.boot_files),
    )
