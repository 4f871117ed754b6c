"""What speaks against a migration before any agent is asked: all of it, at once."""

import pytest

from common.states import PowerState
from conductor.capacity import HostStatus, Limits, free_mib
from conductor.prechecks import GuestStatus, check_dest, check_guest, check_named_dest
from tests.fakes.agent import host_facts

LIMITS = Limits(service_down_time_s=20.0, ram_allocation_ratio=1.0, reserved_memory_mib=512)


def host(name="compute2", **changes):
    values = {
        "name": name,
        "heard_s": 1.0,
        "hypervisor_age_s": 0.1,
        "facts": host_facts(memory_total_mib=2048),
        "used_mib": 0,
    }
    return HostStatus(**{**values, **changes})


def guest(**changes):
    values = {
        "uuid": "u",
        "name": "web1",
        "host": "compute1",
        "power_state": PowerState.RUNNING,
        "memory_mib": 1024,
    }
    return GuestStatus(**{**values, **changes})


def codes(findings):
    return [finding.code for finding in findings]


def test_a_healthy_guest_and_hosts_give_no_finding():
    assert check_guest(guest(), host("compute1"), limits=LIMITS) == ()
    assert check_dest(guest(), host(), limits=LIMITS) == ()


def test_all_that_speaks_against_a_guest_is_told_at_once():
    broken = guest(power_state=PowerState.SHUTOFF, migration="m", conflict=("compute1", "compute3"))

    found = check_guest(broken, host("compute1", heard_s=99.4), limits=LIMITS)

    assert codes(found) == ["instance_busy", "instance_in_conflict", "instance_not_running", "service_down"]
    assert found[-1].evidence["age_s"] == "99"


@pytest.mark.parametrize("power_state", [PowerState.RUNNING, PowerState.PAUSED])
def test_running_and_paused_guests_migrate_live(power_state):
    assert check_guest(guest(power_state=power_state), host("compute1"), limits=LIMITS) == ()


def test_a_hung_libvirt_counts_like_a_silent_agent():
    assert codes(check_dest(guest(), host(hypervisor_age_s=21.0), limits=LIMITS)) == ["hypervisor_silent"]


def test_the_source_is_no_dest_and_nothing_else_is_said_of_it():
    full = host("compute1", used_mib=2048)

    assert codes(check_dest(guest(), full, limits=LIMITS)) == ["dest_is_source"]


def test_an_unknown_host_is_told_together_with_the_known_ones():
    (finding,) = check_named_dest(guest(), "compute9", {"compute1": host("compute1")}, limits=LIMITS)

    assert finding.code == "dest_unknown"
    assert "compute1" in finding.hint


def test_memory_must_suffice_after_what_is_reserved_and_used():
    assert free_mib(host(used_mib=512), LIMITS) == 1024
    assert check_dest(guest(memory_mib=1024), host(used_mib=512), limits=LIMITS) == ()

    (finding,) = check_dest(guest(memory_mib=1025), host(used_mib=512), limits=LIMITS)

    assert finding.code == "memory_short"
    assert (finding.evidence["needed_mib"], finding.evidence["free_mib"]) == ("1025", "1024")


def test_the_allocation_ratio_stretches_memory():
    stretched = Limits(service_down_time_s=20.0, ram_allocation_ratio=1.5, reserved_memory_mib=0)

    assert free_mib(host(), stretched) == 3072


def test_a_host_that_has_not_reported_takes_nothing():
    assert codes(check_dest(guest(), host(facts=None), limits=LIMITS)) == ["check_failed"]


def test_a_silent_and_full_dest_is_told_both():
    found = check_dest(guest(), host(heard_s=30.0, used_mib=2048), limits=LIMITS)

    assert codes(found) == ["service_down", "memory_short"]
