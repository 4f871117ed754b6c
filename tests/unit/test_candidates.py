"""Where a guest may go when nobody names a host."""

from common.checks import refusing
from conductor.capacity import HostStatus, Limits
from conductor.prechecks import GuestStatus
from conductor.scheduler.candidates import choose
from tests.fakes.agent import host_facts

LIMITS = Limits(service_down_time_s=20.0, ram_allocation_ratio=1.0, reserved_memory_mib=0)
GUEST = GuestStatus(uuid="u", name="web1", host="compute1", power_state="running", memory_mib=1024)


def host(name, *, used_mib=0, heard_s=1.0):
    return HostStatus(
        name=name,
        heard_s=heard_s,
        hypervisor_age_s=0.0,
        facts=host_facts(memory_total_mib=4096),
        used_mib=used_mib,
    )


def test_most_free_memory_comes_first_and_names_break_ties():
    hosts = [host("c", used_mib=100), host("d"), host("b"), host("compute1")]

    assert choose(GUEST, hosts, limits=LIMITS, retries=3).candidates == ("b", "d", "c")


def test_retries_bound_the_candidates():
    hosts = [host(name) for name in "abcdef"]

    assert choose(GUEST, hosts, limits=LIMITS, retries=2).candidates == ("a", "b", "c")
    assert choose(GUEST, hosts, limits=LIMITS, retries=0).candidates == ("a",)


def test_hosts_that_are_down_or_full_are_left_out():
    hosts = [host("down", heard_s=60.0), host("full", used_mib=4000), host("fit", used_mib=3000)]

    choice = choose(GUEST, hosts, limits=LIMITS, retries=3)

    assert choice.candidates == ("fit",)
    assert choice.findings == ()


def test_without_a_candidate_each_host_says_why():
    hosts = [host("full", used_mib=4000), host("down", heard_s=60.0), host("compute1")]

    choice = choose(GUEST, hosts, limits=LIMITS, retries=3)

    assert choice.candidates == ()
    assert [(finding.host, finding.code) for finding in choice.findings] == [
        ("", "no_candidate"),
        ("down", "service_down"),
        ("full", "memory_short"),
    ]
    assert refusing(choice.findings)


def test_a_lone_host_has_nowhere_to_send_its_guests():
    assert choose(GUEST, [host("compute1")], limits=LIMITS, retries=3).findings[0].code == "no_candidate"
