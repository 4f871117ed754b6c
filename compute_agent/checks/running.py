"""Run checks beside each other, each bounded, none of them able to break the others."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from common import concurrency
from common.checks import CHECK_FAILED, Finding, refusing
from common.errors import LimosaError, describe, describe_os_error
from common.states import Result
from compute_agent.settings import Settings

# In all: longer than any check waits for storage that hangs, shorter than a conductor waits for the host.
CHECKS_TIMEOUT_S = 45.0

LOG = logging.getLogger(__name__)


class Look(Protocol):
    """What all looks have in common."""

    @property
    def settings(self) -> Settings: ...


L = TypeVar("L", bound=Look)
Check = Callable[[L], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the checks found, in their order; `failures` are sentences of those that could not be made."""

    findings: tuple[Finding, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def result(self) -> Result:
        """Of a verb that checks. What could not be looked at is an error, whatever else was found."""
        if self.failures:
            return Result.ERROR
        return Result.REFUSED if refusing(self.findings) else Result.OK

    @property
    def accepts(self) -> bool:
        return self.result is Result.OK

    def __add__(self, other: "Found") -> "Found":
        return Found(findings=self.findings + other.findings, failures=self.failures + other.failures)


def run(checks: Sequence[Check[L]], look: L) -> Found:
    """All findings of all checks. One that raises or does not end becomes CHECK_FAILED, which names it."""
    deadline = time.monotonic() + CHECKS_TIMEOUT_S
    tasks = [(_name(check), concurrency.spawn(_findings, check, look)) for check in checks]
    found = Found()
    for name, task in tasks:
        found += _outcome_of(name, task, host=look.settings.host, timeout_s=deadline - time.monotonic())
    return found


def _outcome_of(
    name: str, task: concurrency.Task[tuple[Finding, ...]], *, host: str, timeout_s: float
) -> Found:
    try:
        return Found(findings=task.wait(max(0.0, timeout_s)))
    except Exception as error:  # noqa: BLE001 (the edge of all checks: the others must still be told)
        return failure(name, error, host=host)


def failure(name: str, error: Exception, *, host: str) -> Found:
    """A check that could not be made: a finding that names it. Only a bug has a traceback, in the log."""
    if isinstance(error, LimosaError | concurrency.BlockingCallTimeout):
        reason = str(error)
    elif isinstance(error, OSError):
        reason = describe_os_error(error)
    elif isinstance(error, concurrency.TaskTimeout):
        reason = "it did not end in time"
    else:
        LOG.error("the check of %s broke", name, exc_info=error)
        reason = f"internal error, see the agent's log: {describe(error)}"
    failed = CHECK_FAILED.finding(host, reason=f"{name}: {reason.rstrip('.')}")
    return Found(findings=(failed,), failures=(failed.sentence,))


def _findings(check: Check[L], look: L) -> tuple[Finding, ...]:
    return tuple(check(look))


def _name(check: Check[L]) -> str:
    return getattr(check, "__name__", repr(check)).removeprefix("check_").replace("_", " ")
