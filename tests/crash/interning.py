"""Our own pure code, made fast enough to be called a million times: each value once, each call of a pure function once.

Rows, ledger entries and messages are replaced by one object for each value, compared by identity; what the product's
functions answer is remembered by those objects. Nothing here decides anything.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from common.migration import Command, DestinationFacts, Outcome
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb
from compute_agent import acceptance
from compute_agent.acceptance import Decision, Entry
from conductor import saga as engine
from conductor.saga import Answered, Event, Plan, Saga

DEST_FACTS: Final = DestinationFacts(connect_address="dest")

Commands = Callable[[Saga], tuple[Command, ...]]


class Message:
    """A command or an outcome, and its bit in the network."""

    __slots__ = ("bit", "command", "epoch", "host", "migration", "name", "outcome", "value")

    def __init__(self, value: Command | Outcome, bit: int, host: int) -> None:
        self.value = value
        self.bit = bit
        self.host = host
        self.epoch = value.epoch
        self.migration = value.migration
        self.name = value.verb.value
        self.command = value if isinstance(value, Command) else None
        self.outcome = value if isinstance(value, Outcome) else None


class Row:
    """A committed row without what only people read; `bits` are the messages that it makes current."""

    __slots__ = ("bits", "epoch", "is_open", "migration", "phase", "saga")

    def __init__(self, saga: Saga, bits: int) -> None:
        self.saga = saga
        self.bits = bits
        self.is_open = saga.is_open
        self.epoch = saga.epoch
        self.migration = saga.migration
        self.phase = saga.phase

    @property
    def is_in_error(self) -> bool:
        """The database says, or is about to say, that the guest needs an operator."""
        undoing = self.phase is Phase.ROLLBACK and self.saga.ends_in is MigrationStatus.ERROR
        return undoing or self.saga.status is MigrationStatus.ERROR


class Ledger:
    """What one agent has on disk about the guest: `acceptance.Entry`, or nothing."""

    __slots__ = ("entry", "epoch")

    def __init__(self, entry: Entry | None) -> None:
        self.entry = entry
        self.epoch = entry.epoch if entry else 0


class Book:
    """All values that one exploration has met, and what the pure functions answered to them."""

    def __init__(self, *, plan: Plan, commands: Commands, hosts: tuple[str, str]) -> None:
        self._plan = plan
        self._commands = commands
        self._hosts = hosts
        self._rows: dict[Saga, Row] = {}
        self._ledgers: dict[Entry | None, Ledger] = {}
        self._messages: list[Message] = []
        self._by_value: dict[Command | Outcome, Message] = {}
        self.advance: Final = functools.cache(self._advance)
        self.answered: Final = functools.cache(self._answered)
        self.is_current: Final = functools.cache(self._is_current)
        self.outcome: Final = functools.cache(self._outcome)
        self.decide: Final = functools.cache(self._decide)
        self.accept: Final = functools.cache(self._accept)
        self.settle: Final = functools.cache(self._settle)
        self.call: Final = functools.cache(self._call)
        self.call_ended: Final = functools.cache(self._call_ended)
        self.job_ended: Final = functools.cache(self._job_ended)

    # ---- one object for each value

    def row(self, saga: Saga) -> Row:
        plain = _without_prose(saga)
        known = self._rows.get(plain)
        if known is None:
            bits = sum(self.message(command).bit for command in self._commands(plain))
            known = self._rows[plain] = Row(plain, bits)
        return known

    def ledger(self, entry: Entry | None) -> Ledger:
        known = self._ledgers.get(entry)
        if known is None:
            known = self._ledgers[entry] = Ledger(entry)
        return known

    def message(self, value: Command | Outcome) -> Message:
        known = self._by_value.get(value)
        if known is None:
            known = Message(value, 1 << len(self._messages), self._hosts.index(value.host))
            self._by_value[value] = known
            self._messages.append(known)
        return known

    def messages(self, network: int) -> Iterator[Message]:
        """What is in the network."""
        while network:
            lowest = network & -network
            yield self._messages[lowest.bit_length() - 1]
            network ^= lowest

    # ---- the product's functions, each answer remembered

    def _advance(self, row: Row, event: Event) -> tuple[Row, int]:
        """The next row, and the bits of the messages that are cast after its commit."""
        transition = engine.advance(row.saga, event, plan=self._plan)
        after = self.row(transition.saga)
        return after, after.bits if transition.has_command(row.saga) else 0

    def _answered(self, row: Row, message: Message) -> tuple[Row, int]:
        assert message.outcome is not None
        return self._advance(row, Answered(outcome=message.outcome))

    def _is_current(self, row: Row, message: Message) -> bool:
        return message.outcome is not None and engine.is_current(row.saga, message.outcome)

    def _outcome(
        self, command: Message, result: Result, seen: SourceSeen | DestSeen | None = None
    ) -> Message:
        value = Outcome(
            instance=command.value.instance,
            migration=command.migration,
            epoch=command.epoch,
            verb=command.value.verb,
            host=command.value.host,
            boot_id="boot",
            result=result,
            seen=seen,
            dest_facts=DEST_FACTS if command.value.verb is Verb.CHECK_DEST else None,
        )
        return self.message(value)

    def _decide(self, ledger: Ledger, command: Message, running_epoch: int | None) -> Decision:
        assert command.command is not None
        return acceptance.decide(ledger.entry, command.command, running_epoch=running_epoch)

    def _accept(self, ledger: Ledger, command: Message) -> Ledger:
        assert command.command is not None
        return self.ledger(acceptance.accept(ledger.entry, command.command))

    def _settle(self, ledger: Ledger, outcome: Message) -> Ledger | None:
        """None: the result is void, a newer epoch was accepted meanwhile."""
        if ledger.entry is None or outcome.outcome is None:
            return None
        settled = acceptance.settle(ledger.entry, outcome.outcome)
        return None if settled is None else self.ledger(settled)

    def _call(self, ledger: Ledger, epoch: int) -> Ledger | None:
        """None: fenced, migrateToURI3 must not be issued."""
        called = acceptance.call(ledger.entry, epoch) if ledger.entry else None
        return None if called is None else self.ledger(called)

    def _call_ended(self, ledger: Ledger, epoch: int, by_connection_error: bool) -> Ledger:
        if ledger.entry is None:
            return ledger
        return self.ledger(
            acceptance.call_ended(ledger.entry, epoch, by_connection_error=by_connection_error)
        )

    def _job_ended(self, ledger: Ledger) -> Ledger:
        return ledger if ledger.entry is None else self.ledger(acceptance.job_ended(ledger.entry))


def _without_prose(saga: Saga) -> Saga:
    """Leave out what no rule reads: equal futures become equal rows."""
    return replace(
        saga,
        reason="",
        waiting_for="",
        needs_operator=False,
        findings=(),
        downtime_ms=None,
        dest_facts=None,
        traits=None,
        changes=None,
    )
