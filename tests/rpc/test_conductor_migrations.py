"""Whole migrations over the bus: the real conductor and its database, agents that answer by a script."""

from dataclasses import replace

import pytest

from common.checks import STORAGE_NOT_SHARED
from common.errors import AbortRefusedError, MigrationNotFoundError, RefusedError
from common.migration import JobStatistics, Progress
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb
from common.views import MigrationFilter
from tests.fakes.agent import DOWNTIME_MS, guest_facts
from tests.fakes.cluster import GUEST, Cluster

MESSAGES_MAX = 18
TRANSACTIONS_MAX = 14
NOT_SHARED = STORAGE_NOT_SHARED.finding(
    "compute2", disk="vda", path="/srv/images/web1.raw", reason="no such file", directory="/srv/images"
)


@pytest.fixture
def three_hosts(tmp_path):
    cluster = Cluster(tmp_path, hosts=3)
    yield cluster
    cluster.stop()


def host_of_guest(cluster):
    return cluster.api.show_instance(GUEST).host


def used_on(cluster):
    return {
        view.host: view.memory_total_mib - view.memory_free_mib
        for view in cluster.api.list_services()
        if view.memory_total_mib
    }


# ---- the way that nothing disturbs


def test_a_guest_moves_within_the_budget_of_messages_and_transactions(cluster):
    transactions_before = cluster.conductor.database.transactions

    accepted = cluster.migrate()
    ended = cluster.end_of(accepted)
    cluster.dest.wait_for(lambda agent: agent.acknowledged)
    cluster.source.wait_for(lambda agent: agent.acknowledged)

    assert ended.status is MigrationStatus.COMPLETED
    assert ended.downtime_ms == DOWNTIME_MS
    assert host_of_guest(cluster) == "compute2"
    assert cluster.dest.verbs() == [Verb.CHECK_DEST, Verb.PRE, Verb.POST_DEST]
    assert cluster.source.verbs() == [Verb.CHECK_SOURCE, Verb.LIVE, Verb.POST_SOURCE]
    sent = cluster.messages_sent() - cluster.sent_before
    counted = {
        method: count
        for method, count in sent.items()
        if method.partition(" ")[0] not in ("watch_migration", "show_instance", "list_services")
    }
    assert sum(counted.values()) <= MESSAGES_MAX, counted
    assert cluster.conductor.database.transactions - transactions_before <= TRANSACTIONS_MAX


def test_the_dest_is_told_what_the_database_knows_of_the_guest_and_its_source(cluster):
    cluster.end_of(cluster.migrate())

    told = cluster.dest.commands[0].arguments
    assert told.facts == cluster.source.guests[GUEST]
    assert (told.source_host, told.source) == ("compute1", cluster.source.facts)


def test_the_story_and_the_steps_are_told_in_order(cluster):
    ended = cluster.end_of(cluster.migrate())

    assert [step.step for step in ended.steps] == [
        Verb.CHECK_DEST, Verb.CHECK_SOURCE, Verb.PRE, Verb.LIVE, Verb.POST_DEST, Verb.POST_SOURCE,
    ]  # fmt: skip
    assert [step.host for step in ended.steps] == ["compute2", "compute1"] * 3
    assert all(step.seconds_on_host == 0.001 for step in ended.steps)
    assert sum(step.seconds for step in ended.steps) == pytest.approx(ended.seconds, abs=0.01)
    assert [line.sentence for line in cluster.api.migration_log(ended.id)] == [
        "accepted: web1 is to move from compute1 to compute2",
        "compute2 could take it",
        "compute1 could give it",
        "compute2 is prepared",
        "compute1 says that the guest has moved (downtime 42 ms, 700 ms in all)",
        "compute2 runs the guest",
        "compute1 is clean",
        "completed",
    ]


def test_there_and_back_again_needs_no_report_in_between(cluster):
    first = cluster.end_of(cluster.migrate("compute2"))
    back = cluster.end_of(cluster.migrate("compute1"))

    assert [first.status, back.status] == [MigrationStatus.COMPLETED] * 2
    assert host_of_guest(cluster) == "compute1"
    assert back.epoch > first.epoch


def test_both_hosts_hold_their_claim_until_the_last_answer(cluster):
    cluster.source.silence(Verb.POST_SOURCE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.POST_SOURCE)

    assert view.status is MigrationStatus.SOURCE_UNCONFIRMED
    assert used_on(cluster) == {"compute1": 96, "compute2": 96}

    cluster.source.forget_script()
    cluster.sweep(resend_s=0)
    cluster.end_of(view)
    assert used_on(cluster) == {"compute1": 0, "compute2": 96}


def test_an_instance_is_busy_while_it_is_moved(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.migrate()

    with pytest.raises(RefusedError) as refusal:
        cluster.migrate()

    assert [finding.code for finding in refusal.value.findings] == ["instance_busy"]
    assert cluster.api.show_instance("web1").migration == view.id


# ---- refusals and candidates


def test_a_refused_candidate_is_followed_by_the_next(three_hosts):
    for agent in (three_hosts.dest, three_hosts.agents["compute3"]):
        agent.script(
            Verb.CHECK_DEST,
            lambda command, agent=agent: replace(
                agent.outcome(command, Result.REFUSED), findings=(NOT_SHARED,)
            ),
        )
    three_hosts.agents["compute3"].forget_script()

    ended = three_hosts.end_of(three_hosts.migrate(dest=None))

    assert ended.status is MigrationStatus.COMPLETED
    assert ended.dest == "compute3"
    assert [finding.code for finding in ended.findings] == ["storage_not_shared"]
    three_hosts.dest.wait_for(lambda agent: agent.acknowledged)
    assert used_on(three_hosts) == {"compute1": 0, "compute2": 0, "compute3": 96}


def test_a_candidate_that_has_filled_up_is_passed_over(three_hosts):
    # given: compute2 is asked first, and while it thinks, compute3 fills up
    three_hosts.dest.silence(Verb.CHECK_DEST)
    view = three_hosts.migrate(dest=None)
    three_hosts.dest.wait_for(lambda agent: agent.commands)
    big = guest_facts("7b0d4c0e-0000-4000-8000-000000000003", name="big", memory_mib=4090)
    three_hosts.agents["compute3"].guests[big.uuid] = big
    three_hosts.agents["compute3"].report()
    three_hosts.until(lambda: len(three_hosts.api.list_instances()) == 2)

    # when: compute2 refuses
    three_hosts.dest.script(
        Verb.CHECK_DEST,
        lambda command: replace(three_hosts.dest.outcome(command, Result.REFUSED), findings=(NOT_SHARED,)),
    )
    three_hosts.sweep(resend_s=0)

    # then: compute3 is never asked
    ended = three_hosts.end_of(view)
    assert ended.status is MigrationStatus.FAILED
    assert [finding.code for finding in ended.findings] == ["storage_not_shared", "memory_short"]
    assert three_hosts.agents["compute3"].commands == []
    assert used_on(three_hosts) == {"compute1": 96, "compute2": 0, "compute3": 4090}


def test_the_only_candidate_refuses_and_nothing_has_changed(cluster):
    cluster.dest.script(
        Verb.CHECK_DEST,
        lambda command: replace(cluster.dest.outcome(command, Result.REFUSED), findings=(NOT_SHARED,)),
    )

    ended = cluster.end_of(cluster.migrate())

    assert ended.status is MigrationStatus.FAILED
    assert NOT_SHARED.sentence in ended.reason
    assert cluster.source.commands == []
    assert cluster.api.show_instance("web1").task_state is None


def test_a_preparation_that_fails_is_undone(cluster):
    cluster.dest.script(
        Verb.PRE,
        lambda command: replace(
            cluster.dest.outcome(command, Result.ERROR), detail="no space for the permit"
        ),
    )

    ended = cluster.end_of(cluster.migrate())

    assert ended.status is MigrationStatus.FAILED
    assert "no space for the permit" in ended.reason
    assert cluster.dest.verbs() == [Verb.CHECK_DEST, Verb.PRE, Verb.ROLLBACK]
    assert cluster.source.verbs() == [Verb.CHECK_SOURCE]
    assert host_of_guest(cluster) == "compute1"


# ---- abort


def test_an_abort_in_the_transfer_ends_in_cancelled(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    asked = cluster.api.abort_migration(view.id)
    ended = cluster.end_of(asked)

    assert asked.is_abort_requested
    assert ended.status is MigrationStatus.CANCELLED
    assert cluster.source.verbs() == [Verb.CHECK_SOURCE, Verb.LIVE, Verb.ABORT]
    assert cluster.dest.verbs()[-2:] == [Verb.OBSERVE, Verb.ROLLBACK]
    assert host_of_guest(cluster) == "compute1"


def test_an_abort_that_loses_the_race_ends_in_completed(cluster):
    cluster.source.silence(Verb.LIVE)
    cluster.source.script(
        Verb.ABORT,
        lambda command: replace(cluster.source.default(command), seen=SourceSeen.UNDEFINED),
    )
    cluster.dest.script(
        Verb.OBSERVE, lambda command: replace(cluster.dest.default(command), seen=DestSeen.RUNNING)
    )
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    ended = cluster.end_of(cluster.api.abort_migration(view.id))

    assert ended.status is MigrationStatus.COMPLETED
    assert host_of_guest(cluster) == "compute2"


def test_an_abort_after_the_hand_over_is_refused(cluster):
    cluster.source.silence(Verb.POST_SOURCE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.POST_SOURCE)

    with pytest.raises(AbortRefusedError, match="runs on compute2"):
        cluster.api.abort_migration(view.id)
    assert not cluster.api.show_migration(view.id).is_abort_requested


def test_an_abort_of_what_has_ended_is_refused(cluster):
    ended = cluster.end_of(cluster.migrate())

    with pytest.raises(AbortRefusedError, match="completed"):
        cluster.api.abort_migration(ended.id)


# ---- lost, late and repeated


@pytest.mark.parametrize("verb", [Verb.CHECK_DEST, Verb.PRE, Verb.POST_DEST])
def test_a_command_without_an_outcome_is_sent_again(cluster, verb):
    cluster.dest.silence(verb)
    view = cluster.migrate()
    cluster.dest.wait_for(lambda agent: verb in agent.verbs())
    cluster.dest.forget_script()

    cluster.sweep(resend_s=0)

    assert cluster.end_of(view).status is MigrationStatus.COMPLETED
    sent = [command for command in cluster.dest.commands if command.verb is verb]
    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_a_job_that_tells_of_its_progress_is_left_in_peace(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)
    cluster.source.conductor.progress(progress_of(view, sequence=1))
    seen = cluster.watch(view, lambda view: view.progress is not None)
    cluster.source.wait_for(lambda agent: Verb.LIVE in agent.verbs())

    cluster.sweep(resend_s=3600)
    cluster.sweep(resend_s=LONG_AGO_S, timeout_s=LONG_AGO_S)

    assert seen.progress.statistics.memory_remaining == 10
    assert cluster.source.verbs() == [Verb.CHECK_SOURCE, Verb.LIVE]


def test_what_remains_to_be_shown_of_a_job_are_its_own_last_figures(cluster):
    view = cluster.end_of(cluster.migrate())

    assert view.status is MigrationStatus.COMPLETED
    assert view.progress.statistics == JobStatistics(downtime_ms=DOWNTIME_MS, elapsed_ms=700)


def test_progress_of_another_command_is_not_shown(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    cluster.source.conductor.progress(replace(progress_of(view, sequence=9), epoch=view.epoch - 1))
    cluster.source.conductor.progress(progress_of(view, sequence=1))

    assert cluster.watch(view, lambda view: view.progress is not None).progress.sequence == 1


def test_late_and_repeated_outcomes_change_nothing_and_are_acknowledged(cluster):
    kept = []

    def remember(command):
        outcome = cluster.dest.default(command)
        kept.append(outcome)
        return outcome

    cluster.dest.script(Verb.CHECK_DEST, remember)
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    cluster.dest.conductor.outcome(kept[0])
    cluster.dest.conductor.outcome(replace(kept[0], result=Result.REFUSED))
    cluster.dest.wait_for(lambda agent: len(agent.acknowledged) == 2)

    assert cluster.api.show_migration(view.id).version == view.version
    assert {acknowledgement.epoch for acknowledgement in cluster.dest.acknowledged} == {kept[0].epoch}


def test_an_outcome_of_an_unknown_migration_is_acknowledged(cluster):
    cluster.source.silence(Verb.CHECK_SOURCE)
    cluster.migrate()
    cluster.source.wait_for(lambda agent: agent.commands)
    stray = cluster.source.outcome(cluster.source.commands[0], Result.OK)

    cluster.source.conductor.outcome(replace(stray, migration="7b0d4c0e-0000-4000-8000-000000000000"))

    cluster.source.wait_for(lambda agent: agent.acknowledged)


def test_the_source_is_asked_when_its_job_falls_silent(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)
    cluster.source.wait_for(lambda agent: Verb.LIVE in agent.verbs())  # else it may come behind the question

    cluster.sweep(timeout_s=0)

    ended = cluster.end_of(view)
    assert ended.status is MigrationStatus.FAILED
    assert cluster.source.verbs()[-1] is Verb.OBSERVE
    assert cluster.dest.verbs()[-2:] == [Verb.OBSERVE, Verb.ROLLBACK]


def test_a_dest_that_never_answers_a_check_fails_the_migration(cluster):
    cluster.dest.silence(Verb.CHECK_DEST)
    cluster.dest.silence(Verb.ROLLBACK)
    view = cluster.migrate()

    cluster.sweep(timeout_s=0)  # the check is overdue: roll back
    cluster.sweep(timeout_s=0)  # so is the rollback, which owes no more than a probe

    ended = cluster.end_of(view)
    assert ended.status is MigrationStatus.FAILED
    assert [finding.code for finding in ended.findings] == ["check_timed_out"]
    assert cluster.source.commands == []


def test_a_dest_that_falls_silent_after_the_hand_over_keeps_the_migration_open(cluster):
    # given: the guest was handed over, and the dest does not say whether it runs
    cluster.dest.silence(Verb.POST_DEST)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.POST_DEST)

    # when: time passes, again and again
    for _ in range(3):
        cluster.sweep(timeout_s=0)

    # then: that is said once, nothing is decided and nothing undone
    told = cluster.api.show_migration(view.id)
    assert "compute2 has not answered" in told.waiting_for
    assert told.version == view.version + 1
    assert host_of_guest(cluster) == "compute1"
    assert Verb.POST_SOURCE not in cluster.source.verbs()

    # and: it goes on when the dest is back
    cluster.dest.forget_script()
    cluster.sweep(resend_s=0)
    assert cluster.end_of(told).status is MigrationStatus.COMPLETED


def test_a_source_that_does_not_confirm_never_calls(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    assert cluster.source.conductor.confirm_live_migration(view.id, view.epoch)
    assert not cluster.source.conductor.confirm_live_migration(view.id, view.epoch - 1)
    cluster.api.abort_migration(view.id)
    assert not cluster.source.conductor.confirm_live_migration(view.id, view.epoch)


# ---- the conductor dies


@pytest.mark.parametrize(
    ("verb", "phase"),
    [
        (Verb.CHECK_DEST, Phase.CHECK_DEST),
        (Verb.PRE, Phase.PRE),
        (Verb.LIVE, Phase.LIVE),
        (Verb.POST_DEST, Phase.POST_DEST),
        (Verb.POST_SOURCE, Phase.POST_SOURCE),
    ],
)
def test_another_conductor_goes_on_where_the_last_one_stopped(cluster, verb, phase):
    for agent in cluster.agents.values():
        agent.silence(verb)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is phase)
    cluster.stop_conductor()
    for agent in cluster.agents.values():
        agent.forget_script()

    cluster.start_conductor()  # and resends at once, without being told

    ended = cluster.end_of(view)
    assert ended.status is MigrationStatus.COMPLETED
    assert host_of_guest(cluster) == "compute2"


# ---- what a client asks


def test_migrations_are_listed_by_what_is_asked(cluster):
    first = cluster.end_of(cluster.migrate("compute2"))
    cluster.dest.silence(Verb.LIVE)
    second = cluster.migrate("compute1")

    def listed(**which):
        return [view.id for view in cluster.api.list_migrations(MigrationFilter(**which))]

    assert listed() == [second.id, first.id]
    assert listed(is_open=True) == [second.id]
    assert listed(is_open=False, instance="web1") == [first.id]
    assert listed(host="compute3") == []
    assert listed(limit=1) == [second.id]


def test_an_unknown_migration_is_told_as_such(cluster):
    for ask in (cluster.api.show_migration, cluster.api.migration_log, cluster.api.abort_migration):
        with pytest.raises(MigrationNotFoundError):
            ask("nonsense")


def test_watching_returns_after_its_time_without_news(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    same = cluster.api.watch_migration(view.id, after_version=view.version, timeout_s=0.1)

    assert same.version == view.version


LONG_AGO_S = 3600.0


def progress_of(view, *, sequence):
    return Progress(
        instance=GUEST,
        migration=view.id,
        epoch=view.epoch,
        host="compute1",
        sequence=sequence,
        statistics=JobStatistics(memory_total=100, memory_processed=90, memory_remaining=10),
    )
