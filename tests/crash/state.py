"""What is true at one moment of the explored world: the database's row, two hosts, the network, and who still may err.

Two hosts, one guest, any number of migrations in a row. A state is a tuple that hashes fast: whatever of our own code
is slow to hash (rows, ledger entries, messages) stands in it as an object of `tests.crash.interning`, compared by identity.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeVar

from tests.crash.interning import Ledger, Message, Row

T = TypeVar("T")

Host = Literal[0, 1]
HOSTS: Final[tuple[Host, Host]] = (0, 1)
NAMES: Final = ("compute1", "compute2")

# ---- what libvirt has of the guest on one host

ABSENT: Final = "A"
RUNNING: Final = "R"
PAUSED: Final = "P"  # by the migration, at its switch
INCOMING: Final = "I"
FINISHING: Final = "J"  # incoming, and libvirt's Finish may still be under way to it
SENDING_POSTCOPY: Final = "Q"
RUNNING_POSTCOPY: Final = "U"
BROKEN_SENDER: Final = "q"  # paused, post-copy failed
BROKEN_RECEIVER: Final = "u"
SHUTOFF: Final = "S"

HEALTHY: Final = frozenset("RPIJQU")
"""From each of these the guest goes on, or may; with both hosts outside it, it is off or lost."""


class Job(NamedTuple):
    """libvirt's migration job."""

    source: Host
    epoch: int
    migration: str
    stage: str


PRECOPY: Final = "pre-copy"
SWITCH: Final = "switch"  # source paused, its state sent
FINISHED: Final = "finished"  # the dest runs, the source is not gone yet
POSTCOPY: Final = "post-copy"


class Request(NamedTuple):
    """A migrateToURI3 that sits in a libvirtd and has not begun."""

    host: Host
    epoch: int
    migration: str


class Thread(NamedTuple):
    """What an agent is doing; it dies with the agent."""

    kind: str
    epoch: int
    migration: str
    command: Message


PREPARING: Final = "prepares"
ORPHANED: Final = "orphaned child prepares"
ASKING: Final = "asks for confirmation"
CONFIRMED: Final = "confirmed"
CALLING: Final = "calls"


class Agent(NamedTuple):
    """One compute agent: its ledger's entry of the guest, the record of the definition, its work."""

    ledger: Ledger
    record: str = ""  # the migration that wrote the definition down before its call
    thread: Thread | None = None


class Budget(NamedTuple):
    """What may still go wrong. Delay, repetition and reordering of messages are free and without bound."""

    crashes: int = 0
    faults: int = 0
    host_deaths: int = 0
    aborts: int = 0
    deadlines: int = 0
    losses: int = 0


class State(NamedTuple):
    """One moment. The network is a bit set of every message ever sent and not provably void."""

    row: Row
    domains: tuple[str, str]
    resources: tuple[bool, bool]
    job: Job | None
    requests: frozenset[Request]
    agents: tuple[Agent, Agent]
    network: int
    budget: Budget
    acted: tuple[int, int]  # the newest epoch each host has acted under: what an older one does now is stale
    ran_last: Host  # where the guest ran last: a copy elsewhere is stale
    off: Host | None = None  # a host that died and stays dead
    old_row: Row | None = None  # what a second conductor has read, where nothing compares versions
    has_overwritten: bool = False


class Step(NamedTuple):
    """One thing that may happen next; `state` is None where it breaks an invariant.

    A fault is everything that need not happen: liveness must hold without it.
    """

    label: str
    state: State | None
    is_fault: bool = False
    broken: str = ""


def put(pair: tuple[T, T], host: Host, value: T) -> tuple[T, T]:
    """The pair with that host's part replaced."""
    return (value, pair[1]) if host == 0 else (pair[0], value)


def other(host: Host) -> Host:
    return 1 if host == 0 else 0


def sent_or_lost(state: State, bits: int, label: str, *, is_fault: bool = False) -> Iterator[Step]:
    """Something is sent: it is in the network from now on, or was lost at once."""
    yield Step(label, state._replace(network=state.network | bits), is_fault)
    losses = state.budget.losses
    if bits and losses:
        yield Step(f"{label} [lost]", state._replace(budget=state.budget._replace(losses=losses - 1)), True)
