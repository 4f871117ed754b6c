"""A compute agent in which one preparation fails, where a file says so. Run as limosa-compute-agent is.

    echo 'networks begun' > PLACE       it has written what it is about to make, and makes nothing
    echo 'networks ended' > PLACE       it has made everything

All of it is the real agent's, but for the line that fails.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import concurrency
from compute_agent import service

PLACE = Path("/var/lib/limosa/fail-here")
BEGUN, ENDED = "begun", "ended"


def main() -> int:
    setup = concurrency.setup

    def setup_and_install(backend: concurrency.Backend | str) -> None:
        setup(backend)  # before anything else of ours is imported
        _install()

    concurrency.setup = setup_and_install
    return service.main()


def _install() -> None:
    from common.errors import LimosaError
    from compute_agent.preparing import together

    class InjectedError(LimosaError):
        message = "injected where {place}"

    def wrapped(name: str, prepare: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def prepare_or_fail(arrival: Any) -> Any:
            place = PLACE.read_text(encoding="utf-8").strip() if PLACE.exists() else ""
            error = InjectedError(place=place)
            if place == f"{name} {BEGUN}":
                prepare(replace(arrival, record=_FailingRecord(arrival.record, error)))
                raise error  # it has written nothing
            prepared = prepare(arrival)
            if place == f"{name} {ENDED}":
                raise error
            return prepared

        return prepare_or_fail

    class FailingPreparations(together.Preparations):
        def __init__(self, preparations: Any) -> None:
            for preparation in preparations:
                preparation.prepare = wrapped(preparation.name, preparation.prepare)
            super().__init__(preparations)

    from compute_agent import core

    core.Preparations = FailingPreparations  # type: ignore[misc]


class _FailingRecord:
    """Writes, and then fails, as an agent that ended there."""

    def __init__(self, record: Any, error: Exception) -> None:
        self._record = record
        self._error = error

    def write(self, item: Any) -> None:
        self._record.write(item)
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


if __name__ == "__main__":
    sys.exit(main())
