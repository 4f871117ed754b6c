"""What is prepared on the dest for a guest that is to come: one file a kind of thing, its undo beside its do.

`preparation.py` says what each of them does; `together.py` runs all of them beside each other. A new kind of thing is a new
file and a line in `compute_agent.belongings`.
"""

from compute_agent.preparing.arrivals import Arrivals
from compute_agent.preparing.preparation import Arrival, Departure, Preparation, Prepared, Released, Undoing
from compute_agent.preparing.together import Preparations, Told

__all__ = [
    "Arrival",
    "Arrivals",
    "Departure",
    "Preparation",
    "Preparations",
    "Prepared",
    "Released",
    "Told",
    "Undoing",
]
