"""What the conductor answers on the bus, beside whole migrations: refusals, alarms, fences, and what agents tell."""

import inspect
from dataclasses import replace

import pytest

from common.conductor_api import ConductorAPI
from common.errors import (
    HostIsHeardError,
    InstanceAmbiguousError,
    InstanceNotFoundError,
    InvalidRequestError,
    RefusedError,
)
from common.states import DestSeen, MigrationStatus, Phase, PowerState, SourceSeen, Verb
from common.views import LiveMigrationRequest, MigrationFilter
from conductor.capacity import Limits
from conductor.endpoint import ConductorEndpoint
from conductor.judging import Judging
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import GUEST

NOBODY_IS_HEARD = Limits(service_down_time_s=-1, ram_allocation_ratio=1, reserved_memory_mib=0)
OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"


def codes(refusal):
    return [finding.code for finding in refusal.value.findings]


def test_the_endpoint_has_every_method_of_the_api():
    asked = {name for name, _ in inspect.getmembers(ConductorAPI, inspect.isfunction) if name[0] != "_"}

    for name in asked:
        parameters = list(inspect.signature(getattr(ConductorAPI, name)).parameters)
        answered = list(inspect.signature(getattr(ConductorEndpoint, name)).parameters)
        assert [parameter.lstrip("_") for parameter in answered] == ["self", "context", *parameters[1:]], name


# ---- refusals


def test_all_that_speaks_against_a_migration_is_told_at_once(cluster):
    cluster.source.guests[GUEST] = guest_facts(GUEST, power_state=PowerState.SHUTOFF)
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_instance(GUEST).power_state is PowerState.SHUTOFF)

    with pytest.raises(RefusedError) as refusal:
        cluster.migrate("compute9")

    assert codes(refusal) == ["instance_not_running", "dest_unknown"]
    assert "compute1, compute2" in refusal.value.findings[1].hint
    assert cluster.api.list_migrations(MigrationFilter()) == ()
    assert cluster.source.commands == cluster.dest.commands == []


def test_the_source_is_refused_as_dest(cluster):
    with pytest.raises(RefusedError) as refusal:
        cluster.migrate("compute1")

    assert codes(refusal) == ["dest_is_source"]


def test_without_a_host_that_fits_each_one_says_why(cluster):
    cluster.source.guests[GUEST] = guest_facts(GUEST, memory_mib=8192)
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_instance(GUEST).memory_mib == 8192)

    with pytest.raises(RefusedError) as refusal:
        cluster.migrate(None)

    assert codes(refusal) == ["no_candidate", "memory_short"]


def test_an_instance_in_conflict_is_not_moved(cluster):
    cluster.dest.guests[GUEST] = guest_facts(GUEST, power_state=PowerState.SHUTOFF)
    cluster.dest.report()
    cluster.until(lambda: cluster.api.show_instance(GUEST).conflict != ())

    with pytest.raises(RefusedError) as refusal:
        cluster.migrate()

    assert codes(refusal) == ["instance_in_conflict"]


def test_a_name_must_mean_one_instance(cluster):
    cluster.dest.guests[OTHER] = guest_facts(OTHER)
    cluster.dest.report()
    cluster.until(lambda: len(cluster.api.list_instances()) == 2)

    with pytest.raises(InstanceAmbiguousError, match=OTHER):
        cluster.migrate()
    with pytest.raises(InstanceNotFoundError):
        cluster.api.live_migrate(LiveMigrationRequest(instance="web9"))
    with pytest.raises(InvalidRequestError):
        cluster.api.live_migrate(LiveMigrationRequest(instance=""))
    with pytest.raises(InvalidRequestError):
        cluster.api.list_migrations(MigrationFilter(limit=0))


# ---- doubt and alarms


def answer_with(agent, verb, seen):
    agent.script(verb, lambda command: replace(agent.default(command), seen=seen))


def test_an_unreachable_source_is_asked_again_and_told_once(cluster):
    # given: a job that has fallen silent, on a host whose libvirt does not answer
    cluster.source.silence(Verb.LIVE)
    answer_with(cluster.source, Verb.OBSERVE, SourceSeen.UNREACHABLE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)
    cluster.sweep(timeout_s=0)
    waiting = cluster.watch(view, lambda view: view.waiting_for != "")

    # when: it is asked again and again
    for count in (2, 3, 4):
        cluster.sweep(resend_s=0)
        cluster.source.wait_for(lambda agent, count=count: agent.verbs().count(Verb.OBSERVE) == count)

    # then: nothing is decided, and the story does not grow
    still = cluster.api.show_migration(view.id)
    assert "compute1" in waiting.waiting_for
    assert (still.version, still.phase) == (waiting.version, Phase.OBSERVE_SOURCE)
    assert cluster.dest.verbs() == [Verb.CHECK_DEST, Verb.PRE]

    # and: an answer goes on from there
    answer_with(cluster.source, Verb.OBSERVE, SourceSeen.RUNNING)
    answer_with(cluster.dest, Verb.OBSERVE, DestSeen.ABSENT)
    cluster.sweep(resend_s=0)
    assert cluster.end_of(still).status is MigrationStatus.FAILED


def test_two_running_copies_are_an_alarm_that_touches_nothing(cluster):
    cluster.source.silence(Verb.LIVE)
    answer_with(cluster.source, Verb.OBSERVE, SourceSeen.RUNNING)
    cluster.dest.script(
        Verb.OBSERVE, lambda command: replace(cluster.dest.default(command), seen=DestSeen.RUNNING)
    )
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    cluster.sweep(timeout_s=0)
    alarm = cluster.watch(view, lambda view: view.phase is Phase.ALARM)
    cluster.sweep(resend_s=0, timeout_s=0)

    assert alarm.status is MigrationStatus.ERROR
    assert "BOTH" in alarm.reason
    assert Verb.ROLLBACK not in cluster.dest.verbs()
    assert cluster.api.show_instance(GUEST).migration == view.id  # still nobody else's


def test_an_operator_lets_an_alarm_be_judged_again(cluster):
    test_two_running_copies_are_an_alarm_that_touches_nothing(cluster)
    (view,) = cluster.api.list_migrations(MigrationFilter(is_open=True))

    # when: the operator has ended the copy on the dest
    answer_with(cluster.dest, Verb.OBSERVE, DestSeen.ABSENT)
    cluster.api.judge_migration(view.id)

    ended = cluster.end_of(view)
    assert ended.status is MigrationStatus.FAILED
    assert cluster.api.show_instance(GUEST).host == "compute1"


def test_a_host_that_is_heard_cannot_be_declared_down(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    with pytest.raises(HostIsHeardError):
        cluster.api.judge_migration(view.id, down_host="compute1")
    with pytest.raises(InvalidRequestError, match="compute9 has no part in it"):
        cluster.api.judge_migration(view.id, down_host="compute9")

    assert cluster.api.show_migration(view.id).phase is Phase.LIVE


def test_a_source_that_is_declared_down_lets_the_dest_be_asked(cluster):
    # given: a source that has fallen silent, and a dest that runs the guest
    cluster.source.silence(Verb.LIVE)
    cluster.dest.script(
        Verb.OBSERVE, lambda command: replace(cluster.dest.default(command), seen=DestSeen.RUNNING)
    )
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)
    cluster.source.silence(Verb.POST_SOURCE)
    app = cluster.conductor
    judging = Judging(app.database, app.driver, limits=NOBODY_IS_HEARD)

    judging.declare_down(view.id, "compute1")
    cluster.watch(view, lambda view: view.phase is Phase.POST_SOURCE)
    judging.declare_down(view.id, "compute1")

    assert cluster.end_of(view).status is MigrationStatus.COMPLETED
    assert cluster.api.show_instance(GUEST).host == "compute2"


# ---- what agents ask and tell


def test_an_empty_ledger_gets_the_floor_of_every_instance(cluster):
    assert cluster.dest.conductor.ledger_floor("compute2") == ()

    ended = cluster.end_of(cluster.migrate())

    (floor,) = cluster.dest.conductor.ledger_floor("compute2")
    assert (floor.instance, floor.epoch) == (GUEST, ended.epoch)


def test_an_agent_that_starts_anew_is_asked_for_a_report(cluster):
    asked = cluster.dest.reports_requested
    cluster.dest.start_id = "compute2-2"
    cluster.dest.sequence = 0

    cluster.dest.heartbeat()

    cluster.dest.wait_for(lambda agent: agent.reports_requested > asked)


def test_services_are_listed_conductors_first(cluster):
    cluster.until(lambda: len(cluster.api.list_services()) == 3)

    services = cluster.api.list_services()

    assert [(service.binary, service.host, service.state) for service in services] == [
        ("limosa-conductor", "controller", "up"),
        ("limosa-compute-agent", "compute1", "up"),
        ("limosa-compute-agent", "compute2", "up"),
    ]
    assert services[1].instances == 1
    assert services[1].memory_free_mib == 4096 - 96
    assert services[1].libvirt_version == "9.0.0"


def test_a_guest_made_or_removed_by_hand_appears_and_goes(cluster):
    cluster.dest.guests[OTHER] = guest_facts(OTHER, name="db1")
    cluster.dest.report(is_full=False)
    cluster.until(lambda: [view.name for view in cluster.api.list_instances()] == ["db1", "web1"])

    del cluster.dest.guests[OTHER]
    cluster.dest.report(is_full=False, gone=(OTHER,))
    cluster.until(lambda: [view.name for view in cluster.api.list_instances()] == ["web1"])
