"""When an abort comes too late (rule 22); pure."""

from common.errors import AbortRefusedError, MigrationEndedError
from conductor.saga import Saga


def refuse_if_late(saga: Saga) -> None:
    """Raise AbortRefusedError where a migration can only go on, MigrationEndedError where it has ended."""
    if not saga.is_open:
        raise MigrationEndedError(migration=saga.migration, status=saga.status)
    if saga.is_committed_to_dest:
        reason = f"the guest runs on {saga.dest}, and only the clean-up of {saga.source} is left"
    elif saga.is_postcopy_seen:
        reason = "the guest runs in post-copy: neither host has all of its memory"
    else:
        return
    raise AbortRefusedError(migration=saga.migration, reason=reason)
