"""Wake those who wait for a migration to change, within this process; other conductors' changes are found by polling."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class News:
    """Who waits for which migration. Bounded: at most `waiters_max` at once."""

    def __init__(self, *, waiters_max: int) -> None:
        self._waiters_max = waiters_max
        self._lock = threading.Lock()
        self._waiters: dict[str, set[threading.Event]] = {}
        self._count = 0

    def publish(self, migration: str) -> None:
        """The migration, or its progress, has changed; call it after the commit."""
        with self._lock:
            for waiter in self._waiters.get(migration, ()):
                waiter.set()

    @contextmanager
    def waiting(self, migration: str) -> Iterator[threading.Event | None]:
        """An event that is set at each change (clear it before looking); None when too many wait already."""
        event = self._join(migration)
        try:
            yield event
        finally:
            if event is not None:
                self._leave(migration, event)

    def _join(self, migration: str) -> threading.Event | None:
        with self._lock:
            if self._count >= self._waiters_max:
                return None
            event = threading.Event()
            self._waiters.setdefault(migration, set()).add(event)
            self._count += 1
            return event

    def _leave(self, migration: str, event: threading.Event) -> None:
        with self._lock:
            self._waiters[migration].discard(event)
            if not self._waiters[migration]:
                del self._waiters[migration]
            self._count -= 1
