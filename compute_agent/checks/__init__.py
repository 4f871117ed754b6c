"""What speaks against a migration on this host: one file a check or family, run by the verbs and by `limosa check` alike.

A check is a function of a look that yields findings, and a line below. It changes nothing and leaves nothing behind.
It may raise: `run` makes that a finding that names it. Whether the storage is shared is the one thing that must write
something to be found out: `compute_agent.examiner` does it beside these.
"""

from typing import Final

from compute_agent.checks.look import DestLook, SourceLook
from compute_agent.checks.memory import check_memory
from compute_agent.checks.movable import check_movable
from compute_agent.checks.names import check_names
from compute_agent.checks.running import Check, Found, run
from compute_agent.checks.storage import check_storage

__all__ = ["DEST_CHECKS", "SOURCE_CHECKS", "DestLook", "Found", "SourceLook", "run"]

DEST_CHECKS: Final[tuple[Check[DestLook], ...]] = (
    check_names,
    check_memory,
)

SOURCE_CHECKS: Final[tuple[Check[SourceLook], ...]] = (
    check_movable,
    check_storage,
)
