"""Administrators enable and disable hosts: whether guests may be moved there. Guests that run there are left alone."""

import logging

from common.errors import InvalidRequestError
from conductor.db import hosts
from conductor.db.engine import Database

REASON_MAX_CHARS = 255  # Nova's bound; it is shown in a column

LOG = logging.getLogger(__name__)


class Enabling:
    """The only writer of a host's status."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enable(self, host: str, *, by: str) -> None:
        """Let guests be moved there again; raises HostNotFoundError."""
        before = self._database.transact(lambda session: hosts.disable(session, host, reason=None))
        if before is not None:
            LOG.info("%s enables %s, which was disabled: %s", by, host, before)

    def disable(self, host: str, *, reason: str, by: str) -> None:
        """Let no guest be moved there; migrations under way go on. Raises HostNotFoundError, InvalidRequestError."""
        if not reason.strip() or len(reason) > REASON_MAX_CHARS or not reason.isprintable():
            raise InvalidRequestError(
                reason=f"The reason must be one line of 1 to {REASON_MAX_CHARS} printable characters."
            )
        before = self._database.transact(lambda session: hosts.disable(session, host, reason=reason))
        if before != reason:
            LOG.warning("%s disables %s: %s", by, host, reason)
