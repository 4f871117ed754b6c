"""The protocol as it is built, in every state that it can reach: no invariant breaks, and every state can end well.

Delay, repetition and reordering of messages are without bound in all of these; the settings bound the rest. Larger
bounds, for minutes: `python -m tests.crash.exhaustive`.
"""

import pytest

from tests.crash import settings
from tests.crash.exploration import explore
from tests.crash.settings import ONE, ONE_WITH_EVERYTHING
from tests.crash.state import ABSENT, Budget
from tests.crash.world import Setting, World

SETTINGS = {
    "one migration, one of each misfortune": settings.ONE_WITH_EVERYTHING,
    "with the checks": settings.WITH_CHECKS,
    "post-copy": settings.POSTCOPY,
    "a source that is not undefined": settings.DEFINITION_STAYS,
    "Finish's reply lost, storage locked": settings.FINISH_REPLY_LOST,
    "connections that break under a call": settings.BROKEN_CONNECTION,
    "a libvirtd that falls silent": settings.SILENT_LIBVIRTD,
    "hosts that stay off": settings.HOSTS_STAY_OFF,
    "hosts that stay off, post-copy": settings.HOSTS_STAY_OFF_POSTCOPY,
    "two migrations": settings.TWO,
    "two migrations, messages lost": settings.TWO_WITH_LOSS,
    "three migrations": settings.THREE,
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_nothing_breaks_and_every_state_can_end_well(setting: Setting) -> None:
    explored = explore(World(setting))

    assert explored.is_complete, str(explored)
    assert not explored.violations, str(explored)


def test_the_exploration_reaches_what_it_is_about() -> None:
    """A world that did nothing would break nothing either."""
    world = World(ONE_WITH_EVERYTHING)

    labels, endings = _reached(world)

    assert {"completed", "cancelled", "failed", "error"} <= endings
    for verb in ("observe", "abort", "watch", "resume", "reap", "rollback_live_migration_at_destination"):
        assert any(f"<- {verb} " in label and "->" in label for label in labels), verb
    for misfortune in ("agent killed", "sweeper resends", "[lost]", "dies (was R)", "dies at the switch"):
        assert any(misfortune in label for label in labels), misfortune


def test_without_misfortunes_there_is_one_way_and_it_completes() -> None:
    world = World(Setting(budget=Budget()))

    _labels, endings = _reached(world)

    assert endings == {"completed"}


def test_a_world_without_undo_leaves_resources_that_the_final_states_do_not_allow() -> None:
    """The predicate of I4 is not empty: a guest at home with resources left on the other host is no end."""
    world = World(ONE)
    clean = world.start()
    dirty = clean._replace(resources=(True, True))

    assert world.is_final(clean)
    assert not world.is_final(dirty)
    assert not world.is_final(clean._replace(domains=(ABSENT, "R")))


def _reached(world: World) -> tuple[set[str], set[str]]:
    """Every label of a step, and every status that a migration ends in."""
    first = world.start()
    known, pending = {first}, [first]
    labels: set[str] = set()
    endings: set[str] = set()
    while pending:
        state = pending.pop()
        saga = state.row.saga
        if not saga.is_open and saga.migration != "0":
            endings.add(saga.status.value)
        for step in world.steps(state):
            assert step.state is not None and not step.broken, step.label
            labels.add(step.label)
            if step.state not in known:
                known.add(step.state)
                pending.append(step.state)
    return labels, endings
