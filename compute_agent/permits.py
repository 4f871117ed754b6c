"""The dest's leave for one incoming guest: libvirt's hook lets in only a migration of ours that has it here.

    STATE_PATH/permits/MIGRATION             pre_live_migration was done
    STATE_PATH/permits/MIGRATION.revoked     it is being undone: the hook refuses already

The permit is also how a rollback knows that what it finds is of this migration and not somebody else's domain that
made pre_live_migration refuse; so it survives a loss of power.
"""

import contextlib
from pathlib import Path

from compute_agent import durable

DIRECTORY = "permits"
_REVOKED = ".revoked"


class Permits:
    """The permits of this host. `etc/libvirt/hooks/qemu.d/limosa` reads them."""

    def __init__(self, state_path: Path) -> None:
        self._directory = state_path / DIRECTORY
        durable.make_directory(self._directory)

    def grant(self, migration: str, instance: str) -> None:
        durable.write(self._directory / migration, f"{instance}\n")

    def revoke(self, migration: str) -> bool:
        """From now on the hook refuses. Whether there was a permit, also if it was revoked before."""
        with contextlib.suppress(FileNotFoundError):
            (self._directory / migration).replace(self._revoked(migration))
        return self._revoked(migration).exists()

    def remove(self, migration: str) -> None:
        """Nothing of the migration is left to be let in, or to be undone."""
        for path in (self._directory / migration, self._revoked(migration)):
            path.unlink(missing_ok=True)

    def remove_older(self, instance: str, migration: str) -> None:
        """Another migration of this guest has begun: what an earlier one was given is settled."""
        newest = (migration, self._revoked(migration).name)
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another guest's, which ended meanwhile
                if path.name not in newest and path.read_text(encoding="utf-8") == f"{instance}\n":
                    path.unlink()

    def _revoked(self, migration: str) -> Path:
        return self._directory / f"{migration}{_REVOKED}"
