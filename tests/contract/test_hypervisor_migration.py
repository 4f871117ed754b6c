"""The contract of compute_agent.hypervisor.driver for migrations, for libvirt and for the fake."""

import pytest

from common import concurrency
from common.concurrency import Task
from common.migration import JobStatistics
from common.states import DestSeen, PowerState, SourceSeen
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent, MigrateRequest
from compute_agent.hypervisor.libvirt_errors import (
    DomainNotFoundError,
    HypervisorOperationError,
    HypervisorUnreachableError,
    JobAbsentError,
)
from tests.contract.hypervisor_sites import (
    NOBODY,
    Site,
    is_running,
    prepared,
    seen_at_dest,
    seen_at_source,
    uuids,
    wait_until,
)
from tests.fakes.domain import guest_xml

END_TIMEOUT_S = 30.0


def started_slowly(site: Site, uuid: str, migration: str) -> Task[JobStatistics | None]:
    """A migration that is under way, its incoming half on the dest."""
    call = prepared(site, uuid, migration, bandwidth_mib_s=site.slow_bandwidth_mib_s)
    task = concurrency.spawn(call.issue)
    wait_until(lambda: seen_at_dest(site, uuid) is DestSeen.INCOMING, what="the incoming half")
    wait_until(lambda: site.source.job_statistics(uuid) is not None, what="a job on the source")
    return task


def test_migration_moves_a_running_guest_and_its_definition(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"))
    statistics = prepared(site, uuid, migration).issue()
    assert statistics is not None and statistics.downtime_ms is not None
    assert statistics.memory_total > 0
    assert seen_at_source(site, uuid) is SourceSeen.ABSENT
    assert seen_at_dest(site, uuid) is DestSeen.RUNNING
    assert (uuids(site.source), uuids(site.dest)) == ([], [uuid])
    definition = site.dest.definition(uuid)
    assert definition.inactive_xml is not None
    assert 'team="a"' in definition.live_xml and 'team="a"' in definition.inactive_xml
    assert domain_xml.migration_mark(definition.inactive_xml) is None
    assert site.dest.completed_statistics(uuid) is not None


def test_mark_is_on_the_arrived_guest_until_it_is_cleared(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"))
    prepared(site, uuid, migration).issue()
    assert site.dest.migration_mark(uuid) == migration
    site.dest.clear_migration_mark(uuid)
    site.dest.clear_migration_mark(uuid)
    assert site.dest.migration_mark(uuid) is None
    assert 'team="a"' in site.dest.definition(uuid).live_xml
    site.dest.clear_migration_mark(NOBODY)


def test_paused_guest_arrives_paused_as_its_user_had_it(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"))
    wait_until(lambda: site.source.has_run(uuid), what="it has run")
    site.suspend(uuid)
    prepared(site, uuid, migration).issue()
    assert seen_at_dest(site, uuid) is DestSeen.PAUSED_OTHER
    assert not site.dest.has_run(uuid)
    site.dest.resume(uuid)
    wait_until(lambda: site.dest.has_run(uuid), what="it runs on the dest")
    assert site.dest.guest_facts(uuid).power_state is PowerState.RUNNING


def test_paused_guest_is_reported_paused_where_it_came_to(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"))
    site.suspend(uuid)
    prepared(site, uuid, migration).issue()
    assert site.dest.guest_facts(uuid).power_state is PowerState.PAUSED


def test_transient_guest_arrives_persistent_and_can_be_made_transient(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"), is_persistent=False)
    prepared(site, uuid, migration).issue()
    assert site.dest.observe(uuid).is_persistent
    site.dest.undefine(uuid)
    assert not site.dest.observe(uuid).is_persistent
    assert seen_at_dest(site, uuid) is DestSeen.RUNNING
    assert seen_at_source(site, uuid) is SourceSeen.ABSENT


def test_guest_whose_permit_is_gone_is_refused_and_stays(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"))
    call = prepared(site, uuid, migration)
    site.set_permit(migration, is_given=False)
    with pytest.raises(HypervisorOperationError):
        call.issue()
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    assert seen_at_dest(site, uuid) is DestSeen.ABSENT


def test_discarded_call_does_nothing(site: Site, migration: str) -> None:
    uuid = site.add_guest(guest_xml("web"))
    call = prepared(site, uuid, migration)
    call.discard()
    call.discard()
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    assert seen_at_dest(site, uuid) is DestSeen.ABSENT


def test_call_for_an_unknown_guest_is_not_prepared(site: Site, migration: str) -> None:
    request = MigrateRequest(
        dconnuri="", migrate_uri=None, flags=0, bandwidth_mib_s=0, dest_xml="", persist_xml=None
    )
    with pytest.raises(DomainNotFoundError):
        site.source.prepare_migration(NOBODY, request)


def test_unsafe_never_reaches_libvirt(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    unsafe = 1 << 9  # VIR_MIGRATE_UNSAFE, libvirt-domain.h
    request = MigrateRequest(
        dconnuri="", migrate_uri=None, flags=unsafe, bandwidth_mib_s=0, dest_xml="", persist_xml=None
    )
    with pytest.raises(ValueError, match="UNSAFE"):
        site.source.prepare_migration(uuid, request)


def test_incoming_half_is_no_guest_and_goes_when_the_job_is_aborted(site: Site, migration: str) -> None:
    uuid = site.add_slow_guest()
    task = started_slowly(site, uuid, migration)
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING_JOB
    assert (uuids(site.source), uuids(site.dest)) == ([uuid], [])
    with pytest.raises(DomainNotFoundError):
        site.dest.guest_facts(uuid)
    assert site.dest.find_by_name("slow") == uuid
    with pytest.raises(JobAbsentError):
        site.dest.abort_job(uuid)
    site.source.set_max_downtime(uuid, 400)

    site.source.abort_job(uuid)
    with pytest.raises(HypervisorOperationError):
        task.wait(END_TIMEOUT_S)
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    assert seen_at_dest(site, uuid) is DestSeen.ABSENT
    with pytest.raises(JobAbsentError):
        site.source.abort_job(uuid)


def test_events_tell_of_a_migration(site: Site, migration: str) -> None:
    heard: list[tuple[str, HypervisorEvent]] = []
    site.source.subscribe(lambda event: heard.append(("source", event)))
    site.dest.subscribe(lambda event: heard.append(("dest", event)))
    site.source.start()
    site.dest.start()
    wait_until(lambda: {("source", "relist"), ("dest", "relist")} <= words(heard), what="both lists")
    uuid = site.add_guest(guest_xml("web"))
    prepared(site, uuid, migration).issue()
    expected = {
        ("dest", "started"),
        ("dest", "defined"),
        ("dest", "resumed"),
        ("source", "stopped"),
        ("source", "job-completed"),
    }
    wait_until(lambda: expected <= words(heard), what="the events of a migration")
    [completed] = [
        event for _, event in heard if event.kind is EventKind.JOB_COMPLETED and event.uuid == uuid
    ][:1]
    assert completed.statistics is not None and completed.statistics.downtime_ms is not None


def words(heard: list[tuple[str, HypervisorEvent]]) -> set[tuple[str, str]]:
    return {(host, event.kind.value) for host, event in heard}


def test_call_over_a_libvirtd_that_dies_is_unreachable_and_its_job_ends(site: Site, migration: str) -> None:
    uuid = site.add_slow_guest()
    task = started_slowly(site, uuid, migration)
    site.kill_libvirtd()
    with pytest.raises(HypervisorUnreachableError):
        task.wait(END_TIMEOUT_S)
    site.start_libvirtd()
    wait_until(lambda: is_running(site, uuid), what="the source without a job")
    wait_until(lambda: seen_at_dest(site, uuid) is DestSeen.ABSENT, what="the dest without its half")


def test_slow_migration_goes_on_to_its_end(site: Site, migration: str) -> None:
    uuid = site.add_slow_guest()
    task = started_slowly(site, uuid, migration)
    assert not task.done
    site.let_go(uuid)
    assert task.wait(END_TIMEOUT_S) is not None
    assert seen_at_source(site, uuid) is SourceSeen.ABSENT
    assert seen_at_dest(site, uuid) is DestSeen.RUNNING


def test_destroying_the_incoming_half_leaves_the_source_running(site: Site, migration: str) -> None:
    uuid = site.add_slow_guest()
    task = started_slowly(site, uuid, migration)
    site.dest.destroy(uuid)
    with pytest.raises(HypervisorOperationError):
        task.wait(END_TIMEOUT_S)
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    assert seen_at_dest(site, uuid) is DestSeen.ABSENT
