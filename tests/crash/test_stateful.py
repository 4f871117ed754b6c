"""Long random lives of the same world, with more misfortunes than an exhaustive search can hold.

Messages are delivered, lost for good, repeated, delayed and reordered as hypothesis likes: whatever was ever sent and is
not lost may arrive at any time, any number of times. After each step every invariant holds; whenever the
misfortunes stop, the migration can still end well. Derandomized: a failure here fails everywhere, with its steps printed.
"""

from collections import deque
from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.crash.mutations import without
from tests.crash.state import Budget, State, Step
from tests.crash.world import Setting, World

SETTING: Final = Setting(
    budget=Budget(crashes=3, faults=3, host_deaths=1, aborts=1, deadlines=2),
    migrations=4,
    has_checks=True,
    has_postcopy=True,
    loses_finish_reply=True,
    breaks_connections=True,
    falls_silent=True,
)
MAX_SEARCHED: Final = 20_000
MAX_UNDISTURBED_STEPS: Final = 12


class Life(RuleBasedStateMachine):
    """One world, from its first state; each rule is one kind of thing that may happen next."""

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()
        self.state = self.world.start()
        self.steps: list[Step] = []
        self.broken = ""
        self._look()

    def make_world(self) -> World:
        return World(SETTING, prunes=False)

    def can(self, *words: str, is_fault: bool) -> list[Step]:
        return [
            step
            for step in self.steps
            if step.is_fault is is_fault and any(word in step.label for word in words)
        ]

    @initialize(steps=st.integers(min_value=1, max_value=2 * MAX_UNDISTURBED_STEPS))
    def a_migration_is_on_its_way(self, steps: int) -> None:
        self._go_on(steps)

    @rule(steps=st.integers(min_value=1, max_value=MAX_UNDISTURBED_STEPS))
    def nothing_disturbs_it_for_a_while(self, steps: int) -> None:
        """Outcomes are read first, then the current command arrives, then what goes on by itself goes on."""
        self._go_on(steps)

    @precondition(lambda self: self.can(" <- ", is_fault=False))
    @rule(data=st.data())
    def a_command_arrives_perhaps_late_or_once_more(self, data: st.DataObject) -> None:
        self._draw(data, self.can(" <- ", is_fault=False))

    @precondition(lambda self: self.can("conductor: ", "sweeper", is_fault=False))
    @rule(data=st.data())
    def a_conductor_gets_an_outcome_or_resends(self, data: st.DataObject) -> None:
        self._draw(data, self.can("conductor: ", "sweeper", is_fault=False))

    @precondition(lambda self: self.can("libvirt", "asks", "calls", "prepares", is_fault=False))
    @rule(data=st.data())
    def an_agent_or_libvirt_goes_on(self, data: st.DataObject) -> None:
        self._draw(data, self.can("libvirt", "asks", "calls", "prepares", is_fault=False))

    @precondition(lambda self: self.state.network)
    @rule(data=st.data())
    def a_message_is_lost_for_good(self, data: st.DataObject) -> None:
        sent = list(self.world.book.messages(self.state.network))
        lost = data.draw(st.sampled_from(sent), label="lost")
        self.state = self.state._replace(network=self.state.network & ~lost.bit)
        self._look()

    @rule()
    def a_conductor_is_killed_and_restarted(self) -> None:
        """It owns nothing: the row is all there is, and every other conductor has it too."""
        self._look()

    @precondition(lambda self: self.can("killed", is_fault=True))
    @rule(data=st.data())
    def an_agent_is_killed(self, data: st.DataObject) -> None:
        self._draw(data, self.can("killed", is_fault=True))

    @precondition(lambda self: self.can("deadline", "operator: abort", is_fault=True))
    @rule(data=st.data())
    def a_deadline_passes_or_an_operator_aborts(self, data: st.DataObject) -> None:
        self._draw(data, self.can("deadline", "operator: abort", is_fault=True))

    @precondition(lambda self: self.state.row.is_open and self.can("libvirt", "dies", "->", is_fault=True))
    @rule(data=st.data())
    def something_breaks(self, data: st.DataObject) -> None:
        self._draw(data, self.can("libvirt", "dies", "->", is_fault=True))

    @invariant()
    def no_invariant_breaks(self) -> None:
        assert not self.broken, self.broken

    def teardown(self) -> None:
        """Misfortunes stop, messages that arrive are answered, the sweeper sweeps: it can end well."""
        self.world.prunes = True
        assert self._can_end_well(), f"I4 stuck in {self.state}"

    def _go_on(self, steps: int) -> None:
        for _ in range(steps):
            current = f" e{self.state.row.epoch}"
            orderly = (
                *self.can("operator: migration", is_fault=True),
                *self.can("conductor: ", is_fault=False),
                *(step for step in self.can(" <- ", is_fault=False) if current in step.label),
                *self.can("libvirt", "asks", "calls", "prepares", is_fault=False),
            )
            for step in orderly:
                if step.state != self.state:
                    self._take(step)
                    break

    def _draw(self, data: st.DataObject, steps: list[Step]) -> None:
        labels = [step.label for step in steps]
        chosen = data.draw(st.sampled_from(range(len(steps))).map(labels.__getitem__), label="step")
        self._take(steps[labels.index(chosen)])

    def _take(self, step: Step) -> None:
        self.broken = step.broken
        if step.state is not None:
            self.state = step.state
        self._look()

    def _look(self) -> None:
        self.steps = list(self.world.steps(self.state))

    def _can_end_well(self) -> bool:
        known: set[State] = {self.state}
        pending = deque([self.state])
        while pending and len(known) < MAX_SEARCHED:
            state = pending.popleft()
            if self.world.is_final(state):
                return True
            for step in self.world.steps(state):
                if step.state is not None and not step.is_fault and step.state not in known:
                    known.add(step.state)
                    pending.append(step.state)
        return False


LIVES: Final = settings(
    max_examples=400,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TestLife = Life.TestCase
TestLife.settings = LIVES


@pytest.mark.parametrize(
    "rule",
    ["6: the epoch is on disk", "8c: one verb at a time", "16: the source is asked first", "10: the drain"],
)
def test_random_lives_find_a_dropped_rule_too(rule: str) -> None:
    """They are no proof, but not blind either."""
    with without(rule).in_place(SETTING, prunes=False) as world:

        class Mutant(Life):
            def make_world(self) -> World:
                return world

        unshrunk = settings(LIVES, phases=[Phase.generate], max_examples=20_000, print_blob=False)
        with pytest.raises(AssertionError, match=r"I[1-8] "):
            run_state_machine_as_test(Mutant, settings=unshrunk)
