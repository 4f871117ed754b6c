"""Every rule of the protocol is needed: drop it from our code, and the exploration finds the invariant that breaks."""

import pytest

from tests.crash.exploration import explore
from tests.crash.mutations import MUTATIONS, Mutation
from tests.crash.settings import ONE_WITH_HOST_DEATH, ONE_WITH_LOSS, TWO
from tests.crash.world import Setting, World

NEEDED = [mutation for mutation in MUTATIONS if mutation.breaks]
SECOND_LINE = [mutation for mutation in MUTATIONS if not mutation.breaks]


@pytest.mark.parametrize("mutation", NEEDED, ids=lambda mutation: mutation.drops)
def test_without_a_rule_the_listed_invariants_break(mutation: Mutation) -> None:
    with mutation.in_place() as world:
        explored = explore(world, wanted=mutation.breaks)

    assert set(mutation.breaks) <= explored.violations.keys(), str(explored)


@pytest.mark.parametrize("setting", [ONE_WITH_LOSS, ONE_WITH_HOST_DEATH, TWO], ids=["loss", "death", "two"])
@pytest.mark.parametrize("mutation", SECOND_LINE, ids=lambda mutation: mutation.drops)
def test_a_second_line_of_defence_alone_may_fall(mutation: Mutation, setting: Setting) -> None:
    with mutation.in_place(setting) as world:
        explored = explore(world)

    assert explored.is_complete
    assert not explored.violations, str(explored)


@pytest.mark.parametrize(
    "setting",
    {mutation.setting: None for mutation in NEEDED if not mutation.drops.startswith("25")},
    ids=lambda setting: str(setting.budget),
)
def test_with_all_rules_nothing_breaks_in_the_same_worlds(setting: Setting) -> None:
    explored = explore(World(setting))

    assert explored.is_complete
    assert not explored.violations, str(explored)
