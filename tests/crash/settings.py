"""The worlds that are explored: what may go wrong in each, and how often.

Each mutation is looked for in one of these; in the same one the protocol as it stands must hold.
"""

from dataclasses import replace
from typing import Final

from tests.crash.state import Budget
from tests.crash.world import Setting

ONE: Final = Setting(budget=Budget(crashes=1, faults=1, aborts=1, deadlines=1))
ONE_WITH_LOSS: Final = Setting(budget=Budget(crashes=1, faults=1, aborts=1, deadlines=1, losses=1))
ONE_WITH_HOST_DEATH: Final = Setting(budget=Budget(faults=1, host_deaths=1, aborts=1, deadlines=1))
ONE_WITH_EVERYTHING: Final = Setting(
    budget=Budget(crashes=1, faults=1, host_deaths=1, aborts=1, deadlines=1, losses=1)
)
TWO: Final = replace(ONE, migrations=2)
WITH_CHECKS: Final = replace(ONE_WITH_LOSS, has_checks=True)
POSTCOPY: Final = replace(ONE_WITH_EVERYTHING, has_postcopy=True)
DEFINITION_STAYS: Final = replace(ONE_WITH_EVERYTHING, undefines_source=False)
FINISH_REPLY_LOST: Final = replace(ONE, loses_finish_reply=True)
FINISH_REPLY_LOST_UNLOCKED: Final = replace(FINISH_REPLY_LOST, has_storage_lock=False)
BROKEN_CONNECTION: Final = replace(ONE, breaks_connections=True)
SILENT_LIBVIRTD: Final = replace(ONE, falls_silent=True)
STALE_ANSWER_AFTER_RESTART: Final = Setting(budget=Budget(faults=2, host_deaths=1, aborts=1, deadlines=1))
HOSTS_STAY_OFF: Final = replace(ONE_WITH_HOST_DEATH, hosts_stay_off=True)
HOSTS_STAY_OFF_POSTCOPY: Final = replace(HOSTS_STAY_OFF, has_postcopy=True)
TWO_WITH_LOSS: Final = Setting(budget=Budget(crashes=1, aborts=1, losses=1), migrations=2)
THREE: Final = Setting(budget=Budget(crashes=1, faults=1), migrations=3)
