"""Explore the protocol within larger bounds than the tests do: minutes, and up to some GiB of memory.

    python -m tests.crash.exhaustive [WORD ...]     only those whose name contains one of the words

Prints one line for each setting, and the trace of whatever breaks; ends with 1 if anything does.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.crash.exploration import explore
from tests.crash.settings import WITH_CHECKS
from tests.crash.state import Budget
from tests.crash.world import Setting, World

MAX_STATES: Final = 3_000_000
LARGE: Final = Setting(budget=Budget(crashes=2, faults=2, host_deaths=1, aborts=1, deadlines=2, losses=1))
SETTINGS: Final = {
    "one migration": LARGE,
    "one migration with its checks": replace(WITH_CHECKS, budget=LARGE.budget),
    "one migration, post-copy": replace(LARGE, has_postcopy=True),
    "one migration, Finish's reply lost": replace(LARGE, loses_finish_reply=True),
    "one migration, connections break": replace(LARGE, breaks_connections=True),
    "one migration, hosts stay off": replace(LARGE, hosts_stay_off=True),
    "two migrations": Setting(
        budget=Budget(crashes=1, faults=1, host_deaths=1, aborts=1, deadlines=1), migrations=2
    ),
    "two migrations, faults": Setting(
        budget=Budget(crashes=2, faults=2, aborts=1, deadlines=1), migrations=2
    ),
    "two migrations, losses": Setting(
        budget=Budget(crashes=1, faults=1, aborts=1, deadlines=1, losses=1), migrations=2
    ),
    "two migrations, post-copy": Setting(
        budget=Budget(crashes=1, faults=1, host_deaths=1, aborts=1, deadlines=1),
        migrations=2,
        has_postcopy=True,
    ),
    "three migrations": Setting(budget=Budget(crashes=1, faults=1, aborts=1), migrations=3),
}


def main(words: Sequence[str]) -> int:
    """Explore; the exit status."""
    has_failed = False
    for name, setting in SETTINGS.items():
        if words and not any(word in name for word in words):
            continue
        began_s = time.monotonic()
        explored = explore(World(setting), max_states=MAX_STATES)
        has_failed = has_failed or bool(explored.violations) or not explored.is_complete
        sys.stdout.write(f"{name}: {explored} ({time.monotonic() - began_s:.0f} s)\n")
        sys.stdout.flush()
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
