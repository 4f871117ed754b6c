"""A guest's whole definition, kept beside the ledger while its migration may undefine it here.

libvirt undefines the source by itself (VIR_MIGRATE_UNDEFINE_SOURCE). The record, fsynced before the call is issued,
is how a source that is `absent` afterwards is told from one that never had the guest, and the last copy of its XML.
It holds secrets: for root only, and never for a log or a message.
"""

import json
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from common.wire import to_primitive
from compute_agent import durable

SUFFIX = ".definition.json"

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionRecord:
    """What was defined here when `migration` was about to move it."""

    migration: str
    is_persistent: bool
    has_autostart: bool
    live_xml: str = field(repr=False)
    inactive_xml: str | None = field(repr=False)


class DefinitionRecords:
    """The records of this host, at most one for each instance."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._migrations = {
            path.name.removesuffix(SUFFIX): _migration_of(path) for path in directory.glob(f"*{SUFFIX}")
        }

    def write(self, instance: str, record: DefinitionRecord) -> None:
        """Replaces that of an older migration. The ledger's next write in this directory makes its name durable, too:

        the one that says `called`, and nothing is called before that.
        """
        with self._lock:
            durable.write(self._path(instance), json.dumps(to_primitive(record)), is_synced=False)
            self._migrations[instance] = record.migration

    def has(self, instance: str, migration: str) -> bool:
        """Whether this migration has recorded the guest here."""
        return self._migrations.get(instance) == migration

    def remove(self, instance: str) -> None:
        """It is settled where the guest is; nothing happens without a record."""
        with self._lock:
            if self._migrations.pop(instance, None) is not None:
                self._path(instance).unlink(missing_ok=True)

    def remove_older(self, instance: str, migration: str) -> None:
        """Another migration has begun: what an earlier one recorded is settled."""
        if self._migrations.get(instance, migration) != migration:
            self.remove(instance)

    def _path(self, instance: str) -> Path:
        return self._directory / f"{instance}{SUFFIX}"


def _migration_of(path: Path) -> str:
    """Empty if it cannot be read: then the guest counts as never recorded, which leads to caution, and it is kept."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["migration"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        LOG.error("the record %s cannot be read: %s", path, error)
        return ""
