"""`limosa check` and refusals over the bus: the real conductor, agents that find what a test says."""

import threading

import pytest

from common.checks import CHECK_FAILED, CHECK_TIMED_OUT, DOMAIN_EXISTS, INSTANCE_BUSY, INSTANCE_GONE
from common.concurrency import TaskTimeout
from common.errors import InstanceNotFoundError, InvalidRequestError, RefusedError
from common.states import CheckResult, PowerState, Verb
from common.views import CheckRequest
from conductor import checking
from conductor.checking import Checking
from conductor.db.models import Host
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import GUEST, WAIT_S, Cluster

EXISTS = DOMAIN_EXISTS.finding("compute2", what="name", value="web1")
GONE = INSTANCE_GONE.finding("compute1", instance="web1")


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, hosts=3)
    yield cluster
    cluster.stop()


def check(cluster, *hosts):
    return cluster.api.check_instance(CheckRequest(instance="web1", hosts=hosts))


def codes(view):
    return [finding.code for finding in view.findings]


def probes_left(cluster):
    return [agent.host for agent in cluster.agents.values() if agent.probes_of]


def test_every_host_but_its_own_is_looked_at_and_nothing_is_begun(cluster):
    cluster.dest.findings = (EXISTS,)

    refused, fits = check(cluster)

    assert (refused.host, refused.result, codes(refused)) == (
        "compute2",
        CheckResult.REFUSES,
        ["domain_exists"],
    )
    assert (fits.host, fits.result, fits.findings) == ("compute3", CheckResult.FITS, ())
    assert cluster.source.asked == ["source", "source"]
    assert {facts.connect_address for facts in cluster.source.told_by_dest} == {"compute2", "compute3"}
    assert all(agent.commands == [] for agent in cluster.agents.values())
    assert cluster.api.show_instance(GUEST).task_state is None
    assert probes_left(cluster) == []


def test_what_the_source_finds_is_told_beside_what_the_dest_finds(cluster):
    cluster.dest.findings, cluster.source.findings = (EXISTS,), (GONE,)

    [view] = check(cluster, "compute2")

    assert codes(view) == ["domain_exists", "instance_gone"]


def test_hosts_are_asked_at_the_same_time(cluster):
    together = threading.Barrier(2)
    for host in ("compute2", "compute3"):
        cluster.agents[host].on_examined = lambda: together.wait(WAIT_S)

    assert [view.result for view in check(cluster)] == [CheckResult.FITS, CheckResult.FITS]


def test_an_unknown_host_and_the_guests_own_are_findings(cluster):
    own, unknown = check(cluster, "compute1", "compute9")

    assert (codes(own), codes(unknown)) == (["dest_is_source"], ["dest_unknown"])
    assert cluster.source.asked == []


def test_an_unknown_instance_is_not_found(cluster):
    with pytest.raises(InstanceNotFoundError):
        cluster.api.check_instance(CheckRequest(instance="nobody"))
    with pytest.raises(InvalidRequestError):
        cluster.api.check_instance(CheckRequest(instance="web1", hosts=("x" * 1000,)))


def test_a_host_without_any_other_says_that_nobody_can_take_it(tmp_path):
    alone = Cluster(tmp_path, hosts=1)
    try:
        with pytest.raises(RefusedError) as refused:
            check(alone)
        assert [finding.code for finding in refused.value.findings] == ["no_candidate"]
    finally:
        alone.stop()


def test_an_agent_that_hangs_costs_a_bounded_time_and_the_others_go_on(cluster):
    release = threading.Event()
    was_released = []
    cluster.dest.on_examined = lambda: was_released.append(release.wait(WAIT_S))

    hanging, fits = check(cluster)

    assert was_released == []  # it hangs still
    release.set()
    assert codes(hanging) == [CHECK_TIMED_OUT.code]
    assert fits.result is CheckResult.FITS
    cluster.until(lambda: probes_left(cluster) == [])


def test_an_agent_with_a_bug_is_a_finding(cluster):
    def broken():
        raise KeyError("graphics")

    cluster.dest.on_examined = broken

    [view] = check(cluster, "compute2")

    assert codes(view) == [CHECK_FAILED.code]
    assert probes_left(cluster) == []


def test_a_bug_in_asking_one_host_hides_no_other(cluster, monkeypatch):
    examine = Checking._examine

    def broken(self, case, dest):
        if dest == "compute2":
            raise TaskTimeout("the bus hangs")
        return examine(self, case, dest)

    monkeypatch.setattr(Checking, "_examine", broken)

    failed, fits = check(cluster)

    assert (failed.host, codes(failed)) == ("compute2", [CHECK_FAILED.code])
    assert "the bus hangs" in failed.findings[0].sentence
    assert fits.result is CheckResult.FITS


def test_all_hosts_are_answered_for_page_after_page(cluster, monkeypatch):
    monkeypatch.setattr(checking, "HOSTS_PER_CHECK_MAX", 1)

    pages = [
        cluster.api.check_instance(CheckRequest(instance="web1", after=after))
        for after in ("", "compute2", "compute3")
    ]

    assert [[view.host for view in page] for page in pages] == [["compute2"], ["compute3"], []]


def test_a_host_whose_turn_does_not_come_is_said_not_to_have_answered(cluster, monkeypatch):
    monkeypatch.setattr(checking, "CONCURRENT_HOSTS_MAX", 1)
    monkeypatch.setattr(checking, "ASK_TIMEOUT_S", 0.2)
    release = threading.Event()
    cluster.dest.on_examined = lambda: release.wait(WAIT_S)

    views = check(cluster)
    release.set()

    assert [codes(view) for view in views] == [[CHECK_TIMED_OUT.code]] * 2
    assert [view.findings[0].sentence for view in views] == [
        "compute2 did not answer as the dest within 0.2 s.",
        "compute3 did not answer as the dest, whose turn did not come, within 0.2 s.",
    ]
    cluster.until(lambda: probes_left(cluster) == [])


def test_every_check_that_a_host_could_not_make_is_told(cluster):
    failures = tuple(CHECK_FAILED.finding("compute2", reason=f"{name}: broken") for name in ("cpu", "disks"))
    cluster.dest.findings = failures

    [view] = check(cluster, "compute2")

    assert view.findings == failures


def test_of_two_hosts_checks_that_failed_the_database_hides_none():
    known, further = (
        CHECK_FAILED.finding("compute2", reason=reason) for reason in ("cpu: broken", "disks: broken")
    )

    assert checking._added((known,), (known, further)) == (further,)


def test_an_answer_without_a_look_is_not_that_it_fits(cluster):
    cluster.dest.looks = False

    [view] = check(cluster, "compute2")

    assert (view.result, codes(view)) == (CheckResult.REFUSES, [CHECK_FAILED.code])
    assert "it answered without having looked" in view.findings[0].sentence


def test_a_guest_that_is_being_moved_is_busy_and_no_agent_is_asked(cluster):
    cluster.dest.silence(Verb.CHECK_DEST)
    cluster.migrate()

    views = check(cluster)

    assert [codes(view) for view in views] == [[INSTANCE_BUSY.code]] * 2
    assert cluster.dest.asked == []


@pytest.mark.parametrize(
    ("silent", "asked"), [("compute2", {"compute1": ["source"]}), ("compute1", {"compute2": ["destination"]})]
)
def test_a_host_that_is_down_is_shown_so_and_the_other_side_is_asked_all_the_same(cluster, silent, asked):
    cluster.conductor.database.transact(
        lambda session: setattr(session.get_one(Host, silent), "heard_at_ms", 0)
    )
    cluster.source.findings = (GONE,)

    [view] = check(cluster, "compute2")

    assert codes(view) == ["service_down"] + ["instance_gone"] * ("compute1" in asked)
    assert {agent.host: agent.asked for agent in cluster.agents.values() if agent.asked} == asked


# ---- refusals of live-migration


def test_a_refusal_of_the_conductor_tells_what_the_agents_find_too(cluster):
    cluster.source.guests[GUEST] = guest_facts(GUEST, power_state=PowerState.SHUTOFF)
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_instance(GUEST).power_state is PowerState.SHUTOFF)
    cluster.dest.findings, cluster.source.findings = (EXISTS,), (GONE,)

    with pytest.raises(RefusedError) as refused:
        cluster.migrate()

    assert [finding.code for finding in refused.value.findings] == [
        "instance_not_running",
        "domain_exists",
        "instance_gone",
    ]
    assert "3 findings against it" in str(refused.value)
    assert probes_left(cluster) == []
    assert cluster.api.show_instance(GUEST).task_state is None


def test_what_database_and_agent_find_alike_is_told_once(cluster):
    cluster.source.guests[GUEST] = guest_facts(GUEST, power_state=PowerState.SHUTOFF)
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_instance(GUEST).power_state is PowerState.SHUTOFF)
    with pytest.raises(RefusedError) as first:
        cluster.migrate()
    cluster.source.findings = first.value.findings

    with pytest.raises(RefusedError) as second:
        cluster.migrate()

    assert second.value.findings == first.value.findings
