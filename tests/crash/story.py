"""Walk through a world one named step at a time: what a counterexample of the protocol is told with."""

from conductor.saga import Saga
from tests.crash.settings import ONE
from tests.crash.state import State, Step
from tests.crash.world import Setting, World


class Story:
    """Where a world has come to. A step is named by any part of its label that no other step has now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state: State = world.start()
        self.broken = ""  # the invariant, once one breaks

    @property
    def saga(self) -> Saga:
        return self.state.row.saga

    def goes(self, *labels: str) -> "Story":
        """Take these steps; AssertionError where one is not possible, or not the only one of that name."""
        for label in labels:
            step = self._step(label)
            self.broken = step.broken
            if step.state is not None:
                self.state = step.state
        return self

    def may(self, label: str) -> bool:
        """Whether such a step is possible now, and would change anything."""
        return any(label in step.label and step.state != self.state for step in self._world.steps(self.state))

    def _step(self, label: str) -> Step:
        assert not self.broken, f"{self.broken}; the story is over before {label!r}"
        steps = list(self._world.steps(self.state))
        found = [step for step in steps if label in step.label]
        possible = "\n    ".join(step.label for step in steps)
        assert len(found) == 1, f"{label!r} names {len(found)} of the steps possible now:\n    {possible}"
        return found[0]


def story(setting: Setting = ONE) -> Story:
    """The protocol as it is built; nothing that was sent is ever out of the way."""
    return Story(World(setting, prunes=False))
