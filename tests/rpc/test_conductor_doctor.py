"""`limosa doctor` and `limosa cpu-baseline` over the bus: the real conductor, agents that say what a test says."""

import pytest

from common.diagnosis import DoctorRequest, Health
from common.errors import HostNotFoundError, InvalidRequestError, NoBaselineError
from conductor import doctor
from conductor.db.models import Host
from tests.fakes.cluster import Cluster


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, hosts=3)
    yield cluster
    cluster.stop()


def diagnose(cluster, *hosts):
    return cluster.api.diagnose(DoctorRequest(hosts=hosts))


def told(lines, question):
    return [(line.host, line.peer, line.code) for line in lines if line.question == question]


def be_silent(cluster, name):
    cluster.conductor.database.transact(
        lambda session: setattr(session.get_one(Host, name), "heard_at_ms", 0)
    )


def test_every_host_and_every_pair_both_ways_is_looked_at(cluster):
    lines = diagnose(cluster)

    hosts = ("compute1", "compute2", "compute3")
    assert told(lines, "heard") == told(lines, "hook") == told(lines, "clock") == [(h, "", "") for h in hosts]
    assert told(lines, "peer") == [(h, p, "") for h in hosts for p in hosts if h != p]
    assert all(line.result is Health.PASS for line in lines)


def test_nothing_is_left_of_it(cluster):
    diagnose(cluster)
    for agent in cluster.agents.values():
        agent.wait_for(lambda agent: not agent.probes_of)
        assert agent.commands == []


def test_only_hosts_that_are_named_are_looked_at(cluster):
    lines = diagnose(cluster, "compute3", "compute1")
    assert {line.host for line in lines} == {"compute1", "compute3"}
    assert told(lines, "peer") == [("compute3", "compute1", ""), ("compute1", "compute3", "")]


def test_a_host_that_is_down_is_one_line_and_nobodys_peer(cluster):
    be_silent(cluster, "compute2")

    lines = diagnose(cluster)

    [line] = [line for line in lines if line.host == "compute2"]
    assert (line.code, line.result) == ("service_down", Health.FIX)
    assert {peer for _, peer, _ in told(lines, "peer")} == {"compute1", "compute3"}


def test_a_host_whose_libvirt_is_silent_is_nobodys_peer(cluster):
    cluster.agents["compute2"].looks = False
    lines = diagnose(cluster)
    assert told(lines, "peer") == [("compute1", "compute3", ""), ("compute3", "compute1", "")]
    assert ("compute2", "", "") in told(lines, "hook")


def test_a_host_that_does_not_answer_in_time_hides_none_of_the_others(cluster, monkeypatch):
    monkeypatch.setattr(doctor, "PEERS_TIMEOUT_S", 0.3)
    with cluster.agents["compute2"].hanging():
        lines = diagnose(cluster)
    assert ("compute2", "", "check_timed_out") in told(lines, "heard")
    assert ("compute1", "compute2", "") in told(lines, "peer")


@pytest.mark.parametrize(
    ("ahead_s", "result", "word"),
    [(0.0, Health.PASS, ""), (20, Health.WARN, "ahead of"), (-20, Health.WARN, "behind")],
)
def test_a_clock_that_differs_is_told(cluster, ahead_s, result, word):
    cluster.dest.clock_ahead_s = ahead_s
    [line] = [line for line in diagnose(cluster, "compute2") if line.question == "clock"]
    assert line.result is result
    assert word in line.sentence


def test_a_clock_that_makes_messages_seem_too_old_stops_migrations(cluster):
    cluster.dest.clock_ahead_s = -200
    [line] = [line for line in diagnose(cluster, "compute2") if line.question == "clock"]
    assert (line.code, line.result) == ("clock_apart", Health.FIX)


def test_a_disabled_host_is_a_warning(cluster):
    cluster.api.disable_service("compute3", "memory is replaced")
    [line] = [line for line in diagnose(cluster, "compute3") if line.question == "heard"]
    assert (line.code, line.result) == ("service_disabled", Health.WARN)


def test_a_host_that_nobody_knows_is_an_error(cluster):
    with pytest.raises(HostNotFoundError):
        diagnose(cluster, "compute9")


def test_too_many_hosts_are_refused(cluster, monkeypatch):
    monkeypatch.setattr(doctor, "HOSTS_MAX", 2)
    with pytest.raises(InvalidRequestError, match="3 hosts; name at most 2"):
        diagnose(cluster)


def test_the_baseline_is_of_all_that_are_named(cluster):
    found = cluster.api.cpu_baseline(("compute2", "compute1"))
    assert (found.model, found.hosts) == ("EPYC", ("compute2", "compute1"))


def test_hosts_without_a_common_cpu_are_told_in_a_sentence(cluster):
    cluster.dest.cpu = "<cpu><model>Westmere</model></cpu>"
    with pytest.raises(NoBaselineError, match="CPU vendors do not match"):
        cluster.api.cpu_baseline(("compute1", "compute2"))


def test_a_host_that_tells_no_cpu_is_named(cluster):
    cluster.dest.cpu = ""
    with pytest.raises(NoBaselineError, match="compute2"):
        cluster.api.cpu_baseline(("compute1", "compute2"))
