"""Search every state of a world, breadth first: the first trace that breaks an invariant is a shortest one.

Liveness is AG EF: from every state that can be reached, a final state can be reached by steps that are not faults.
It is not a proof of fairness.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.crash.state import State
from tests.crash.world import World

MAX_STATES: Final = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that breaks, and how."""

    invariant: str  # I1 .. I8
    sentence: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        lines = "\n".join(f"    {number:2} {label}" for number, label in enumerate(self.trace, start=1))
        return f"{self.sentence}, in {len(self.trace)} steps:\n{lines}"


@dataclass(slots=True, kw_only=True)
class Explored:
    """What a search has found."""

    states: int = 0
    transitions: int = 0
    is_complete: bool = False
    violations: dict[str, Violation] = field(default_factory=dict)  # by invariant, the shortest first

    def __str__(self) -> str:
        extent = "all" if self.is_complete else "cut at"
        found = "\n".join(str(violation) for violation in self.violations.values()) or "nothing breaks"
        return f"{extent} {self.states} states, {self.transitions} transitions: {found}"


class Exploration:
    """One search; `run` may be called once."""

    def __init__(self, world: World) -> None:
        self._world = world
        first = world.start()
        self._number: dict[State, int] = {first: 0}
        self._states: list[State] = [first]
        self._came_from: list[tuple[int, str]] = [(-1, "")]
        self._reached_from: list[list[int]] = [[]]  # by steps that are not faults
        self._finals: list[int] = []
        self._explored = Explored()

    def run(self, *, wanted: Collection[str] = (), max_states: int = MAX_STATES) -> Explored:
        """Search everything; with `wanted` invariants, stop as soon as each of them is broken."""
        queue, explored, world = deque([0]), self._explored, self._world
        while queue:
            number = queue.popleft()
            state = self._states[number]
            if world.is_final(state):
                self._finals.append(number)
            for step in world.steps(state):
                explored.transitions += 1
                if step.broken or step.state is None:
                    self._note(step.broken, number, step.label)
                    if wanted and explored.violations.keys() >= set(wanted):
                        explored.states = len(self._states)
                        return explored
                    continue
                found = self._number.get(step.state)
                if found is None:
                    found = self._add(step.state, number, step.label)
                    queue.append(found)
                if not step.is_fault:
                    self._reached_from[found].append(number)
            if len(self._states) > max_states:
                explored.states = len(self._states)
                return explored
        explored.states = len(self._states)
        explored.is_complete = True
        self._look_for_stuck_states()
        return explored

    def _add(self, state: State, number: int, label: str) -> int:
        found = self._number[state] = len(self._states)
        self._states.append(state)
        self._came_from.append((number, label))
        self._reached_from.append([])
        return found

    def _note(self, sentence: str, number: int, last: str) -> None:
        invariant = sentence.partition(" ")[0]
        if invariant not in self._explored.violations:
            trace = (*self._trace(number), last)
            self._explored.violations[invariant] = Violation(
                invariant=invariant, sentence=sentence, trace=trace
            )

    def _trace(self, number: int) -> Sequence[str]:
        labels = []
        while number > 0:
            number, label = self._came_from[number]
            labels.append(label)
        return labels[::-1]

    def _look_for_stuck_states(self) -> None:
        """Walk back from the final states; the first state not met is stuck."""
        is_live = bytearray(len(self._states))
        pending = list(self._finals)
        for number in pending:
            is_live[number] = 1
        while pending:
            for before in self._reached_from[pending.pop()]:
                if not is_live[before]:
                    is_live[before] = 1
                    pending.append(before)
        stuck = is_live.find(0)
        if stuck >= 0:
            state = self._states[stuck]
            where = f"phase {state.row.phase.value}, status {state.row.saga.status.value}, {''.join(state.domains)}"
            self._note(f"I4 stuck: {where}", stuck, "(stuck)")


def explore(world: World, *, wanted: Collection[str] = (), max_states: int = MAX_STATES) -> Explored:
    """Search the world; see `Exploration.run`."""
    return Exploration(world).run(wanted=wanted, max_states=max_states)
