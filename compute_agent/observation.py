"""Look at a guest on this host, as the source or the dest of a migration: one word of the verdict table (rule 11).

Libvirt is asked anew each time, up to a round trip to the guest's QEMU. A migrateToURI3 that may still begin counts as
a job (rule 10), so that nobody takes `no job` for the end of what was commanded.
"""

from dataclasses import dataclass

from common.states import DestSeen, SourceSeen
from compute_agent.calls import Calls
from compute_agent.definition_records import DefinitionRecords
from compute_agent.hypervisor.classify import classify_dest, classify_source
from compute_agent.hypervisor.driver import DomainSnapshot, Hypervisor
from compute_agent.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLook:
    """What the source has. `found` is libvirt's word alone, `seen` the one that travels."""

    found: SourceSeen
    is_call_in_flight: bool
    snapshot: DomainSnapshot

    @property
    def seen(self) -> SourceSeen:
        return _as_job(self.found) if self.is_call_in_flight else self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class DestLook:
    seen: DestSeen
    snapshot: DomainSnapshot


class Observation:
    """Looks at guests. Every method raises HypervisorError; silence is never a word of the table here."""

    def __init__(
        self, hypervisor: Hypervisor, ledger: Ledger, records: DefinitionRecords, calls: Calls
    ) -> None:
        self._hypervisor = hypervisor
        self._ledger = ledger
        self._records = records
        self._calls = calls

    def source(self, instance: str, migration: str) -> SourceLook:
        """As the source of this migration."""
        was_at_work = self._calls.is_at_work(instance)
        snapshot = self._hypervisor.observe(instance)
        page = self._ledger.page(instance)
        found = classify_source(snapshot, has_record=self._records.has(instance, migration))
        self._calls.note_job(page, instance, is_there=found.has_job)
        is_in_flight = self._calls.is_in_flight(
            page.entry, instance=instance, was_at_work=was_at_work, is_domain_active=snapshot.is_active
        )
        look = SourceLook(found=found, is_call_in_flight=is_in_flight, snapshot=snapshot)
        if not look.seen.has_job and (snapshot.is_active or not snapshot.exists):
            # A definition that is off is left alone: somebody may start it while libvirtd still has the request.
            self._calls.ended(page, instance)
        return look

    def glance(self, instance: str) -> SourceLook:
        """As a source, for somebody who commands nothing: the ledger is read, and learns nothing."""
        was_at_work = self._calls.is_at_work(instance)
        snapshot = self._hypervisor.observe(instance)
        is_in_flight = self._calls.is_in_flight(
            self._ledger.page(instance).entry,
            instance=instance,
            was_at_work=was_at_work,
            is_domain_active=snapshot.is_active,
        )
        found = classify_source(snapshot, has_record=False)
        return SourceLook(found=found, is_call_in_flight=is_in_flight, snapshot=snapshot)

    def dest(self, instance: str) -> DestLook:
        snapshot = self._hypervisor.observe(instance)
        return DestLook(seen=classify_dest(snapshot), snapshot=snapshot)


def _as_job(found: SourceSeen) -> SourceSeen:
    """The word of the same state with a job. Post-copy has its own words for it."""
    if found in (SourceSeen.POSTCOPY_RUNNING, SourceSeen.POSTCOPY_FAILED):
        return found
    if found in (SourceSeen.PAUSED_MIGRATING, SourceSeen.PAUSED_OTHER, SourceSeen.PAUSED_MIGRATING_JOB):
        return SourceSeen.PAUSED_MIGRATING_JOB
    return SourceSeen.RUNNING_JOB
