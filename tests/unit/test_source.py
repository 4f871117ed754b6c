"""The source's verbs: one call under an epoch, followed to its end by whoever is there, and a source left clean."""

import json
import subprocess
import threading
from dataclasses import replace

import pytest

from common.checks import (
    CHECK_FAILED,
    INSTANCE_GONE,
    INSTANCE_NOT_RUNNING,
    PAUSED_SINCE_ARRIVAL,
    STORAGE_NOT_SHARED,
    TUNNELLED_BLOCK,
)
from common.migration import (
    AbsentDisk,
    Acknowledgement,
    CheckSourceArguments,
    DestinationFacts,
    DiskProbe,
    ObserveArguments,
)
from common.states import DiskWay, Result, SourceSeen, StorageMode, Verb
from common.storage_checks import DISK_IN_THE_WAY, DISK_NOT_COPYABLE, PENDING_DISK
from common.transfer import Declarations, DiskTransfer, TransferPlan
from compute_agent.checks import movable, storage
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import DomainState, EventKind, JobKind, Reason
from compute_agent.settings import LiveMigrationSettings
from tests.fakes.host import FLAGS, LIVE_ARGUMENTS, MIGRATION, WAIT_S, Hosts
from tests.fakes.transfer import STATISTICS, End

OBSERVE = ObserveArguments(is_source=True)
PROBE = DiskProbe(disk="vda", path="/srv/web1.raw", probe_path="/nowhere/.limosa-probe", token="t")


@pytest.fixture
def source(hosts):
    return hosts.source


def check(hosts, *probes, absent=(), mode=StorageMode.AUTO, epoch=2):
    facts = DestinationFacts(connect_address="compute2", probes=probes, absent=absent)
    arguments = CheckSourceArguments(dest_facts=facts, declared=Declarations(storage=mode))
    return hosts.source.do(hosts.command(Verb.CHECK_SOURCE, epoch, arguments))


def give_disk(hosts, path="/srv/web1.raw"):
    disk = f"<disk type='file'><source file='{path}'/><target dev='vda'/></disk>"
    domain(hosts).live_xml = domain(hosts).live_xml.replace("<memballoon", disk + "<memballoon")


def observe(hosts, epoch=6):
    return hosts.source.do(hosts.command(Verb.OBSERVE, epoch, OBSERVE))


def begin(hosts, end=End.MOVED, epoch=4):
    """Start a migration and hold it in its transfer."""
    transfer = hosts.world.plan(hosts.uuid, end, is_held=True)
    hosts.source.execute(hosts.live(epoch))
    transfer.wait_until_active()
    return transfer


def domain(hosts):
    return hosts.source.hypervisor.domains[hosts.uuid]


def has_record(hosts):
    return any((hosts.source.settings.state_path / "ledger").glob("*.definition.json"))


def wait_until_idle(hosts):
    assert hosts.source.core.desks.of(hosts.uuid).wait_until_idle(WAIT_S)


# ---- check_can_live_migrate_source


def test_a_guest_that_can_be_moved_tells_its_traits(hosts):
    domain(hosts).has_autostart = True

    outcome = check(hosts)

    assert outcome.result is Result.OK
    assert outcome.traits.is_persistent
    assert outcome.traits.has_autostart
    assert not outcome.traits.is_paused


def test_a_paused_guest_can_be_moved(hosts):
    hosts.source.hypervisor.suspend(hosts.uuid)

    assert check(hosts).traits.is_paused


def test_a_guest_that_is_not_here_is_refused(hosts):
    del hosts.source.hypervisor.domains[hosts.uuid]

    assert [finding.code for finding in check(hosts).findings] == [INSTANCE_GONE.code]


def test_a_guest_that_is_off_is_refused(hosts):
    hosts.source.hypervisor.power_off(hosts.uuid)

    assert [finding.code for finding in check(hosts).findings] == [INSTANCE_NOT_RUNNING.code]


@pytest.mark.parametrize(
    ("job", "code"), [(JobKind.OUTGOING, "migrated_by_others"), (JobKind.OTHER, "job_runs")]
)
def test_a_guest_that_somebody_works_on_is_refused(hosts, job, code):
    domain(hosts).job = job

    outcome = check(hosts)

    assert outcome.result is Result.REFUSED
    assert [finding.code for finding in outcome.findings] == [code]


def test_a_guest_that_was_started_paused_on_this_host_can_be_moved(hosts, monkeypatch):
    domain(hosts).state, domain(hosts).reason = DomainState.PAUSED, Reason.USER
    domain(hosts).has_run = False
    monkeypatch.setattr(movable, "was_begun_for_incoming", lambda uuid: uuid != hosts.uuid)

    assert check(hosts).result is Result.OK


def test_a_guest_that_came_paused_and_has_not_run_since_is_refused(hosts):
    domain(hosts).state, domain(hosts).reason = DomainState.PAUSED, Reason.USER
    assert check(hosts).result is Result.OK

    domain(hosts).has_run = False
    outcome = check(hosts, epoch=3)

    assert outcome.result is Result.REFUSED
    assert [finding.code for finding in outcome.findings] == [PAUSED_SINCE_ARRIVAL.code]


def test_after_the_ledger_was_lost_the_refusal_says_until_when(hosts):
    hosts.source.core.ledger.enrol((Acknowledgement(instance=hosts.uuid, epoch=1),))

    outcome = check(hosts)
    assert outcome.result is Result.REFUSED
    assert "may still begin, until libvirt has answered for 45 s" in outcome.findings[0].sentence

    hosts.source.clock.pass_s(hosts.source.settings.call_drain_s)
    assert check(hosts, epoch=3).result is Result.OK


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        (StorageMode.AUTO, DISK_IN_THE_WAY.code),
        (StorageMode.BLOCK, DISK_IN_THE_WAY.code),
        (StorageMode.SHARED, STORAGE_NOT_SHARED.code),
    ],
)
def test_a_probe_that_does_not_appear_here_refuses(hosts, mode, code):
    give_disk(hosts)

    outcome = check(hosts, PROBE, mode=mode)

    assert outcome.result is Result.REFUSED
    assert [finding.code for finding in outcome.findings] == [code]


def test_a_disk_that_came_after_the_dest_was_asked_refuses(hosts):
    disk = "<disk type='file'><source file='/srv/late.raw'/><target dev='vdb'/></disk>"
    domain(hosts).live_xml = domain(hosts).live_xml.replace("<memballoon", disk + "<memballoon")

    [finding] = check(hosts).findings

    assert finding.evidence["path"] == "/srv/late.raw"


@pytest.mark.parametrize("is_open", [True, False, None])
def test_a_file_that_took_the_place_of_the_one_that_qemu_has_open_is_not_taken_for_it(
    hosts, tmp_path, monkeypatch, is_open
):
    path = tmp_path / "web1.raw"
    path.write_bytes(b"\0" * 512)
    give_disk(hosts, path)
    number = path.stat().st_dev, path.stat().st_ino
    opened = {True: frozenset({number}), False: frozenset({(1, 1)}), None: None}[is_open]
    monkeypatch.setattr(storage, "open_files", lambda _uuid: opened)

    outcome = check(
        hosts, absent=(AbsentDisk(disk="vda", path=str(path), reason="compute2 has no such file"),)
    )

    codes = [DISK_NOT_COPYABLE.code] if is_open is False else []
    assert [finding.code for finding in outcome.findings] == codes
    assert (outcome.plan is None) is (is_open is False)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("<slices><slice type='storage' offset='4096' size='512'/></slices>", "the rest would be lost"),
        ("<encryption format='luks'/>", "without its secret"),
    ],
)
def test_a_disk_that_is_not_what_its_file_is_cannot_be_copied(hosts, tmp_path, more, reason):
    path = tmp_path / "web1.raw"
    path.write_bytes(b"\0" * 512)
    give_disk(hosts, path)
    domain(hosts).live_xml = domain(hosts).live_xml.replace(f"'{path}'/>", f"'{path}'>{more}</source>")

    [finding] = check(
        hosts, absent=(AbsentDisk(disk="vda", path=str(path), reason="compute2 has no such file"),)
    ).findings

    assert finding.code == DISK_NOT_COPYABLE.code
    assert reason in finding.sentence


def test_an_overlay_that_does_not_name_the_format_of_its_base_is_made_anew_with_the_one_that_qemu_reads_it_in(
    hosts, tmp_path
):
    """libvirt finds it out by itself. As raw, the base's own header would be the first thing that the guest reads."""
    base, overlay = tmp_path / "base.qcow2", tmp_path / "web1.raw"
    for argv in (["qcow2", str(base), "1M"], ["qcow2", "-b", str(base), "-F", "qcow2", str(overlay)]):
        subprocess.run(["qemu-img", "create", "-q", "-f", *argv], check=True)
    overlay.write_bytes(overlay.read_bytes().replace(bytes.fromhex("e2792aca"), bytes.fromhex("12345678")))
    give_disk(hosts, overlay)
    chain = f"<backingStore type='file'><format type='qcow2'/><source file='{base}'/></backingStore>"
    domain(hosts).live_xml = domain(hosts).live_xml.replace(
        f"'{overlay}'/>", f"'{overlay}'/><driver type='qcow2'/>{chain}"
    )
    absent = (AbsentDisk(disk="vda", path=str(path), reason="no such file") for path in (overlay, base))

    [disk] = check(hosts, absent=tuple(absent)).plan.disks

    assert [image.format for image in disk.images] == ["qcow2", "qcow2"]
    assert disk.images[0].backing_format == "qcow2"


def test_a_disk_of_the_next_start_is_told(hosts):
    pending = "<disk type='file'><source file='/srv/next.raw'/><target dev='vdb'/></disk>"
    domain(hosts).inactive_xml = domain(hosts).live_xml.replace("<memballoon", pending + "<memballoon")

    outcome = check(hosts)

    assert outcome.result is Result.OK
    assert [(finding.code, finding.evidence["path"]) for finding in outcome.findings] == [
        (PENDING_DISK.code, "/srv/next.raw")
    ]


def test_what_would_have_to_be_copied_does_not_go_through_the_tunnel(tmp_path):
    settings = LiveMigrationSettings(flags=(*FLAGS, "VIR_MIGRATE_TUNNELLED"), scheme="ext")
    hosts = Hosts(tmp_path, live_migration=settings)
    hosts.add_guest()
    path = tmp_path / "web1.raw"
    path.write_bytes(b"\0" * 512)
    give_disk(hosts, path)

    absent = AbsentDisk(disk="vda", path=str(path), reason="compute2 has no such file")
    codes = [finding.code for finding in check(hosts, absent=(absent,)).findings]

    assert codes == [TUNNELLED_BLOCK.code]
    hosts.stop()


def test_a_check_with_a_silent_libvirt_is_an_error(hosts, source):
    source.hypervisor.go_down()

    outcome = check(hosts)

    assert outcome.result is Result.ERROR
    assert [finding.code for finding in outcome.findings] == [CHECK_FAILED.code]


# ---- live_migration: one call under an epoch


def test_a_guest_is_moved(hosts, source):
    outcome = source.do(hosts.live(4))

    assert outcome.result is Result.OK
    assert outcome.statistics == STATISTICS
    assert outcome.traits.is_persistent
    assert hosts.uuid in hosts.dest.hypervisor.domains
    assert hosts.uuid not in source.hypervisor.domains
    assert source.entry(hosts.uuid).called is None


def test_the_call_carries_what_was_configured_and_what_the_dest_asked_for(hosts, source):
    source.do(hosts.live(4))

    [request] = source.hypervisor.calls
    assert request.dconnuri == "qemu+ext://compute2/system"
    assert request.migrate_uri is None
    assert domain_xml.migration_mark(request.dest_xml) == MIGRATION
    assert domain_xml.migration_mark(request.persist_xml) is None


def test_called_and_the_definition_are_on_the_disk_before_libvirt_is_asked(hosts, source, monkeypatch):
    on_disk = {}
    prepare = source.hypervisor.prepare_migration

    def prepare_and_look(uuid, request):
        call = prepare(uuid, request)
        issue = call.issue

        def look_and_issue():
            ledger = source.settings.state_path / "ledger"
            on_disk["called"] = json.loads((ledger / f"{uuid}.json").read_text())["entry"]["called"]
            on_disk["record"] = json.loads((ledger / f"{uuid}.definition.json").read_text())
            return issue()

        monkeypatch.setattr(call, "issue", look_and_issue)
        return call

    monkeypatch.setattr(source.hypervisor, "prepare_migration", prepare_and_look)
    source.do(hosts.live(4))

    assert on_disk["called"] == 4
    assert on_disk["record"]["migration"] == MIGRATION
    assert "web1" in on_disk["record"]["inactive_xml"]


def test_a_redelivery_while_it_runs_does_not_call_again(hosts, source):
    transfer = begin(hosts)

    source.execute(hosts.live(4))
    transfer.release()

    assert source.conductor.outcome_of(4).result is Result.OK
    assert len(source.hypervisor.calls) == 1


def test_a_redelivery_after_it_ended_repeats_the_outcome(hosts, source):
    source.do(hosts.live(4))
    wait_until_idle(hosts)

    assert source.do(hosts.live(4)).result is Result.OK
    assert len(source.hypervisor.calls) == 1


def test_what_the_conductor_does_not_confirm_is_not_called(hosts, source):
    source.conductor.confirm = lambda migration, epoch: (migration, epoch) != (MIGRATION, 4)

    outcome = source.do(hosts.live(4))

    assert outcome.result is Result.ERROR
    assert source.hypervisor.calls == []
    assert source.entry(hosts.uuid).called is None
    assert not has_record(hosts)


def test_a_disk_that_changes_while_the_conductor_confirms_is_not_moved(hosts, source, monkeypatch):
    """libvirt compares no paths: of a disk with a fresh snapshot it would copy what was written after that, and no more."""
    give_disk(hosts)
    prepared = threading.Event()
    prepare = source.hypervisor.prepare_migration

    def note(*arguments):
        prepared.set()
        return prepare(*arguments)

    def confirm(_migration, _epoch):
        assert prepared.wait(WAIT_S)
        domain(hosts).live_xml = domain(hosts).live_xml.replace("web1.raw", "web1.snapshot")
        return True

    monkeypatch.setattr(source.hypervisor, "prepare_migration", note)
    source.conductor.confirm = confirm
    disk = DiskTransfer(target="vda", type="file", source="/srv/web1.raw", way=DiskWay.COPIED)
    arguments = replace(LIVE_ARGUMENTS, plan=TransferPlan(disks=(disk,)))

    outcome = source.do(hosts.command(Verb.LIVE, 4, arguments))

    assert outcome.result is Result.ERROR
    assert "/srv/web1.snapshot" in outcome.detail
    assert source.hypervisor.calls == []


def test_a_newer_command_cancels_a_call_that_waits_for_its_confirmation(hosts, source):
    """C1 of the protocol: the thread was confirmed, and must not call after the fence."""
    asked, confirmed = threading.Event(), threading.Event()

    def confirm(_migration, _epoch):
        asked.set()
        return confirmed.wait(WAIT_S)

    source.conductor.confirm = confirm
    source.execute(hosts.live(4))
    assert asked.wait(WAIT_S)

    source.execute(hosts.command(Verb.OBSERVE, 6, OBSERVE))
    confirmed.set()

    assert source.conductor.outcome_of(6).seen is SourceSeen.RUNNING
    assert source.hypervisor.calls == []
    assert not has_record(hosts)


def test_an_agent_that_stops_does_not_call_any_more(hosts, source):
    asked, confirmed = threading.Event(), threading.Event()

    def confirm(_migration, _epoch):
        asked.set()
        return confirmed.wait(WAIT_S)

    source.conductor.confirm = confirm
    source.execute(hosts.live(4))
    assert asked.wait(WAIT_S)

    source.core.desks.of(hosts.uuid).stop()
    confirmed.set()
    wait_until_idle(hosts)

    assert source.hypervisor.calls == []
    assert source.entry(hosts.uuid).called is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: setattr(found, "job", JobKind.OUTGOING),
        lambda found: (
            setattr(found, "reason", Reason.MIGRATION) or setattr(found, "state", DomainState.PAUSED)
        ),
    ],
)
def test_a_guest_that_is_not_free_is_not_called(hosts, source, spoil):
    spoil(domain(hosts))

    assert source.do(hosts.live(4)).result is Result.ERROR
    assert source.hypervisor.calls == []


def test_nothing_is_called_while_an_older_call_may_still_begin(hosts, source):
    begin(hosts, End.CONNECTION_LOST).release()
    assert source.conductor.outcome_of(4).result is Result.ERROR
    domain(hosts).job = JobKind.NONE

    source.clock.pass_s(source.settings.call_drain_s - 1)
    assert "may still begin" in source.do(hosts.live(7)).detail
    source.clock.pass_s(1)
    hosts.dest.hypervisor.domains.clear()

    assert source.do(hosts.live(8)).result is Result.OK


def test_an_error_of_the_call_is_told_and_ends_it(hosts, source):
    hosts.world.plan(hosts.uuid, End.FAILED)

    outcome = source.do(hosts.live(4))

    assert outcome.result is Result.ERROR
    assert "fake error" in outcome.detail
    assert source.entry(hosts.uuid).called is None


def test_an_overdue_job_is_given_up_and_the_reason_told(tmp_path):
    settings = LiveMigrationSettings(flags=FLAGS, poll_interval_s=0.05, completion_timeout_s=1)
    hosts = Hosts(tmp_path, live_migration=settings)
    hosts.add_guest()
    source = hosts.source
    source.hypervisor.job_statistics = lambda _uuid: replace(STATISTICS, elapsed_ms=2001)
    begin(hosts)

    outcome = source.conductor.outcome_of(4)

    assert outcome.result is Result.ERROR
    assert "live_migration_completion_timeout" in outcome.detail
    hosts.stop()


# ---- rule 10: a call in flight is a job


def test_a_fence_sees_the_running_call_as_a_job(hosts):
    begin(hosts)

    assert observe(hosts).seen is SourceSeen.RUNNING_JOB


def test_a_call_that_ends_after_a_newer_epoch_is_forgotten_by_the_ledger(hosts, source):
    transfer = begin(hosts, End.FAILED)
    observe(hosts)
    transfer.release()

    outcome = source.do(hosts.command(Verb.WATCH, 7, LIVE_ARGUMENTS))

    assert outcome.result is Result.ENDED
    assert source.entry(hosts.uuid).called is None
    assert len(source.conductor.outcomes) == 2, "what the call came out with is void"


def test_a_broken_connection_is_no_end_before_the_drain_has_passed(hosts, source):
    begin(hosts, End.CONNECTION_LOST).release()
    source.conductor.outcome_of(4)
    wait_until_idle(hosts)
    domain(hosts).job = JobKind.NONE

    assert source.entry(hosts.uuid).called == 4
    source.clock.pass_s(source.settings.call_drain_s - 1)
    assert observe(hosts).seen is SourceSeen.RUNNING_JOB
    source.clock.pass_s(1)
    assert observe(hosts).seen is SourceSeen.RUNNING
    assert source.entry(hosts.uuid).called is None


def test_each_lost_connection_to_libvirt_begins_the_drain_anew(hosts, source):
    begin(hosts, End.CONNECTION_LOST).release()
    source.conductor.outcome_of(4)
    domain(hosts).job = JobKind.NONE
    source.clock.pass_s(source.settings.call_drain_s - 1)
    source.hypervisor.go_down()
    source.hypervisor.come_up()
    wait_until_liveness_is(hosts, lambda seconds: seconds < 1)

    source.clock.pass_s(2)

    assert observe(hosts).seen is SourceSeen.RUNNING_JOB


def wait_until_liveness_is(hosts, is_so):
    seen = threading.Event()
    hosts.source.core.hub.subscribe(
        lambda _event: seen.set() if is_so(hosts.source.liveness.answering_for_s) else None
    )
    hosts.source.hypervisor.emit(EventKind.CHANGED, hosts.uuid)
    assert seen.wait(WAIT_S)


def test_a_restarted_agent_counts_a_queued_call_as_a_job(hosts, source):
    """C4 of the protocol: killed with its request in libvirtd's queue, restarted, and the job begins after that."""
    begin(hosts, End.CONNECTION_LOST).release()
    source.conductor.outcome_of(4)
    wait_until_idle(hosts)
    domain(hosts).job = JobKind.NONE
    source.restart()

    assert observe(hosts).seen is SourceSeen.RUNNING_JOB


# ---- a job that another agent has begun


def test_a_restarted_agent_follows_the_job_again_without_being_told(hosts, source):
    transfer = begin(hosts, End.MOVED)
    source.restart()

    source.conductor.progress_told.clear()  # of the agent before
    source.core.desks.readopt("compute1")
    source.conductor.wait_for(lambda: source.conductor.progress_told, "progress")
    transfer.release()

    assert source.conductor.outcome_of(4).result is Result.LOST
    assert len(source.hypervisor.calls) == 1
    assert observe(hosts).seen is SourceSeen.UNDEFINED


def test_a_restarted_agent_whose_job_is_over_says_lost_and_never_calls_again(hosts, source):
    transfer = begin(hosts, End.FAILED)
    source.restart()
    transfer.release()
    wait_until_off_job(hosts)

    assert source.do(hosts.live(4)).result is Result.LOST
    assert source.do(hosts.live(4)).result is Result.LOST
    assert len(source.hypervisor.calls) == 1


def test_a_job_that_a_restarted_agent_has_seen_to_end_needs_no_drain(hosts, source):
    transfer = begin(hosts, End.FAILED)
    source.restart()
    source.conductor.progress_told.clear()  # of the agent before
    source.core.desks.readopt("compute1")
    source.conductor.wait_for(lambda: source.conductor.progress_told, "progress")
    transfer.release()
    source.conductor.outcome_of(4)

    assert source.do(hosts.live(4)).result is Result.LOST, "a redelivery must not call again"
    assert observe(hosts).seen is SourceSeen.RUNNING
    assert source.entry(hosts.uuid).called is None


def test_a_job_that_was_seen_before_the_call_is_not_its_end(hosts, source):
    domain(hosts).job = JobKind.OUTGOING
    assert observe(hosts, 3).seen is SourceSeen.RUNNING_JOB
    domain(hosts).job = JobKind.NONE
    begin(hosts, End.CONNECTION_LOST, epoch=4).release()
    source.conductor.outcome_of(4)
    domain(hosts).job = JobKind.NONE

    assert observe(hosts, 6).seen is SourceSeen.RUNNING_JOB, "it may still begin"


def test_a_job_that_watch_has_seen_to_end_needs_no_drain(hosts, source):
    transfer = begin(hosts, End.FAILED)
    source.restart()
    observe(hosts)
    source.conductor.progress_told.clear()  # of the agent before
    source.execute(hosts.command(Verb.WATCH, 7, LIVE_ARGUMENTS))
    source.conductor.wait_for(lambda: source.conductor.progress_told, "progress")
    transfer.release()

    assert source.conductor.outcome_of(7).result is Result.ENDED
    assert observe(hosts, 8).seen is SourceSeen.RUNNING


def test_a_job_that_abort_has_ended_needs_no_drain(hosts, source):
    begin(hosts)
    source.restart()

    assert source.do(hosts.command(Verb.ABORT, 7)).seen is SourceSeen.RUNNING


def wait_until_off_job(hosts):
    pause = threading.Event()
    for _ in range(500):
        if domain(hosts).job is JobKind.NONE:
            return
        pause.wait(0.01)
    raise AssertionError("the job has not ended")


def test_an_orderly_stop_aborts_nothing_and_records_nothing(hosts, source):
    begin(hosts)

    source.restart()

    assert domain(hosts).job is JobKind.OUTGOING
    assert source.entry(hosts.uuid).called == 4
    assert source.entry(hosts.uuid).outcome is None


# ---- watch, abort


def test_watch_answers_when_the_job_has_ended_and_brings_its_figures(hosts, source):
    transfer = begin(hosts)
    observe(hosts)
    source.conductor.progress_told.clear()  # of the command before
    source.execute(hosts.command(Verb.WATCH, 7, LIVE_ARGUMENTS))
    source.conductor.wait_for(lambda: source.conductor.progress_told, "progress of the watched job")
    transfer.release()

    outcome = source.conductor.outcome_of(7)

    assert outcome.result is Result.ENDED
    assert outcome.statistics == STATISTICS


def test_watch_of_a_broken_post_copy_does_not_wait_for_libvirt_to_forget_its_job(hosts, source):
    found = domain(hosts)
    found.job, found.state, found.reason = JobKind.OUTGOING, DomainState.PAUSED, Reason.POSTCOPY_FAILED
    source.hypervisor.job_statistics = lambda _uuid: replace(STATISTICS, is_postcopy=True)

    assert source.do(hosts.command(Verb.WATCH, 7, LIVE_ARGUMENTS)).result is Result.ENDED


def test_watch_with_a_silent_libvirt_is_not_an_end(hosts, source):
    source.hypervisor.go_down()

    assert source.do(hosts.command(Verb.WATCH, 7, LIVE_ARGUMENTS)).result is Result.ERROR


def test_abort_stops_the_job_and_says_what_is_seen_then(hosts, source):
    transfer = begin(hosts)

    outcome = source.do(hosts.command(Verb.ABORT, 7))

    assert transfer.is_aborted
    assert (outcome.result, outcome.seen) == (Result.OBSERVED, SourceSeen.RUNNING)
    assert not has_record(hosts)
    assert source.entry(hosts.uuid).called is None


def test_abort_that_comes_too_late_says_that_the_guest_has_left(hosts, source):
    """C3 of the protocol: `no job` is never `undone`."""
    source.do(hosts.live(4))

    assert source.do(hosts.command(Verb.ABORT, 7)).seen is SourceSeen.UNDEFINED


def test_abort_waits_for_a_job_that_may_still_begin(hosts, source):
    begin(hosts, End.CONNECTION_LOST).release()
    source.conductor.outcome_of(4)
    domain(hosts).job = JobKind.NONE

    source.execute(hosts.command(Verb.ABORT, 7))
    source.clock.pass_s(source.settings.call_drain_s)

    assert source.conductor.outcome_of(7).seen is SourceSeen.RUNNING


def test_abort_leaves_post_copy_alone(hosts, source):
    found = domain(hosts)
    found.job, found.state, found.reason = JobKind.OUTGOING, DomainState.PAUSED, Reason.POSTCOPY

    assert source.do(hosts.command(Verb.ABORT, 7)).seen is SourceSeen.POSTCOPY_RUNNING


def test_silence_is_never_absent(hosts, source):
    source.hypervisor.go_down()

    assert observe(hosts).seen is SourceSeen.UNREACHABLE
    assert source.do(hosts.command(Verb.ABORT, 7)).seen is SourceSeen.UNREACHABLE


def test_a_guest_that_is_seen_here_and_free_needs_its_record_no_more(hosts, source):
    hosts.world.plan(hosts.uuid, End.FAILED)
    source.do(hosts.live(4))
    assert has_record(hosts)

    observe(hosts)

    assert not has_record(hosts)


# ---- resume


def test_the_only_copy_is_resumed(hosts, source):
    hosts.world.plan(hosts.uuid, End.FINISH_LOST)
    source.do(hosts.live(4))
    assert observe(hosts).seen is SourceSeen.PAUSED_MIGRATING

    assert source.do(hosts.command(Verb.RESUME, 8)).result is Result.OK
    assert domain(hosts).state is DomainState.RUNNING
    assert not has_record(hosts)


def test_a_guest_that_its_user_paused_is_not_resumed(hosts, source):
    source.hypervisor.suspend(hosts.uuid)

    assert source.do(hosts.command(Verb.RESUME, 8)).result is Result.GONE
    assert domain(hosts).state is DomainState.PAUSED


def test_resuming_again_finds_it_running(hosts, source):
    assert source.do(hosts.command(Verb.RESUME, 8)).result is Result.OK


# ---- post_live_migration


def test_a_source_that_libvirt_has_cleaned_is_clean(hosts, source):
    source.do(hosts.live(4))

    outcome = source.do(hosts.command(Verb.POST_SOURCE, 6))

    assert outcome.result is Result.OK
    assert not has_record(hosts)


def test_a_stale_paused_copy_is_ended_and_undefined(hosts, source):
    hosts.world.plan(hosts.uuid, End.LEFT_PAUSED)
    source.do(hosts.live(4))

    outcome = source.do(hosts.command(Verb.POST_SOURCE, 6))

    assert outcome.result is Result.OK
    assert hosts.uuid not in source.hypervisor.domains
    assert "stale" in outcome.detail


def test_a_definition_that_libvirt_left_is_removed(hosts, source):
    source.hypervisor.power_off(hosts.uuid)

    assert source.do(hosts.command(Verb.POST_SOURCE, 6)).result is Result.OK
    assert hosts.uuid not in source.hypervisor.domains


def test_a_guest_that_runs_here_is_never_cleaned_away(hosts, source):
    assert source.do(hosts.command(Verb.POST_SOURCE, 6)).result is Result.RUNNING
    assert domain(hosts).state is DomainState.RUNNING


def test_a_source_whose_job_has_not_ended_is_not_cleaned_yet(hosts, source):
    found = domain(hosts)
    found.job, found.state, found.reason = JobKind.OUTGOING, DomainState.PAUSED, Reason.MIGRATION

    assert source.do(hosts.command(Verb.POST_SOURCE, 6)).result is Result.ERROR
    assert hosts.uuid in source.hypervisor.domains


# ---- reap


def test_a_stale_copy_is_ended_and_its_definition_kept_from_starting_by_itself(hosts, source):
    hosts.world.plan(hosts.uuid, End.LEFT_PAUSED)
    domain(hosts).has_autostart = True
    source.do(hosts.live(4))

    outcome = source.do(hosts.command(Verb.REAP, 6))

    assert outcome.result is Result.OK
    assert domain(hosts).live_xml is None
    assert domain(hosts).inactive_xml is not None
    assert not domain(hosts).has_autostart


def test_a_guest_that_runs_here_is_never_reaped(hosts, source):
    assert source.do(hosts.command(Verb.REAP, 6)).result is Result.RUNNING


# ---- recover


def test_a_broken_post_copy_is_resumed(hosts, source):
    found = domain(hosts)
    found.job, found.state, found.reason = JobKind.OUTGOING, DomainState.PAUSED, Reason.POSTCOPY_FAILED

    outcome = source.do(hosts.command(Verb.RECOVER, 9, LIVE_ARGUMENTS))

    assert outcome.result is Result.OK
    [request] = source.hypervisor.calls
    assert request.flags & (1 << 15), "POSTCOPY"
    assert request.flags & (1 << 19), "POSTCOPY_RESUME"


def test_what_is_not_a_broken_post_copy_is_not_resumed(hosts, source):
    assert source.do(hosts.command(Verb.RECOVER, 9, LIVE_ARGUMENTS)).result is Result.GONE
    assert source.hypervisor.calls == []
