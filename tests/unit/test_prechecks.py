"""What speaks against a migration before any agent is asked: all of it, at once."""

from dataclasses import replace

import pytest

from common.states import DiskWay, PowerState, VersionRule
from common.transfer import DiskImage, DiskTransfer, TransferPlan
from conductor.capacity import HostStatus, Limits, copied_mib, free_disk_mib, free_mib, free_vcpus
from conductor.checking import dest_arguments
from conductor.prechecks import GuestStatus, check_dest, check_guest, check_named_dest
from tests.fakes.agent import guest_facts, host_facts

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


# ---- virtual CPUs and disks, by ratios


def test_virtual_cpus_fit_by_ratio_and_reserve():
    limits = replace(LIMITS, cpu_allocation_ratio=2.0, reserved_vcpus=1)  # of 8

    assert free_vcpus(host(used_vcpus=10), limits) == 4
    assert check_dest(guest(vcpus=4), host(used_vcpus=10), limits=limits) == ()
    (finding,) = check_dest(guest(vcpus=5), host(used_vcpus=10), limits=limits)

    assert finding.code == "vcpus_short"
    assert finding.evidence["free"] == "4"
    assert "ratio 2.0, reserved 1" in finding.hint


def test_disks_that_would_be_copied_must_fit():
    facts = replace(host_facts(memory_total_mib=2048), disk_total_gib=100, disk_free_gib=20)
    limits = replace(LIMITS, reserved_disk_mib=10 * 1024)
    room_mib = 10 * 1024

    assert free_disk_mib(host(facts=facts), limits) == room_mib
    assert free_disk_mib(host(facts=facts), replace(limits, disk_allocation_ratio=1.5)) == 60 * 1024
    assert check_dest(guest(copied_mib=room_mib), host(facts=facts), limits=limits) == ()
    assert codes(check_dest(guest(copied_mib=room_mib + 1), host(facts=facts), limits=limits)) == [
        "disk_short"
    ]


def test_what_others_copy_there_is_taken_already():
    facts = replace(host_facts(memory_total_mib=2048), disk_total_gib=100, disk_free_gib=20)
    dest = host(facts=facts, claimed_disk_mib=15 * 1024)

    assert check_dest(guest(copied_mib=5 * 1024), dest, limits=LIMITS) == ()
    (finding,) = check_dest(guest(copied_mib=5 * 1024 + 1), dest, limits=LIMITS)

    assert "claimed by other migrations 15360 MiB" in finding.hint


def test_only_files_below_the_dests_instances_path_take_of_what_it_tells():
    plan = TransferPlan(
        disks=(
            copied("/srv/images/web1.qcow2"),
            copied("/srv/images-of-others/web1.qcow2"),
            copied("/dev/vg0/web1", type="block"),
            replace(copied("/srv/images/shared.raw"), way=DiskWay.SHARED),
        )
    )
    facts = replace(host_facts(), instances_path="/srv/images")

    assert copied_mib(plan, host(facts=facts)) == 1025  # rounded up
    assert (
        copied_mib(plan, host(facts=replace(facts, instances_path=""))) == 2049
    )  # of an older agent: all files
    assert copied_mib(TransferPlan(), host(facts=facts)) == 0


def copied(path, *, type="file", size_bytes=2**30 + 1):
    image = DiskImage(type=type, path=path, format="raw", virtual_bytes=size_bytes, allocated_bytes=0)
    return DiskTransfer(target="vda", type=type, source=path, way=DiskWay.COPIED, images=(image,))


def test_disks_on_shared_storage_need_no_room():
    facts = replace(host_facts(memory_total_mib=2048), disk_total_gib=100, disk_free_gib=0)

    assert check_dest(guest(), host(facts=facts), limits=LIMITS) == ()


def test_a_host_that_does_not_tell_its_disk_space_is_not_judged_by_it():
    assert free_disk_mib(host(), LIMITS) is None
    assert check_dest(guest(copied_mib=10), host(), limits=LIMITS) == ()


# ---- the hypervisors


def host_with(name, **changes):
    return host(name, facts=replace(host_facts(memory_total_mib=2048), **changes))


@pytest.mark.parametrize(
    ("rule", "dest_version", "is_fit"),
    [
        (VersionRule.NOT_OLDER, 7_002_000, True),
        (VersionRule.NOT_OLDER, 10_000_000, True),
        (VersionRule.NOT_OLDER, 7_001_009, False),
        (VersionRule.EQUAL, 7_002_000, True),
        (VersionRule.EQUAL, 7_002_001, False),
        (VersionRule.NONE, 6_000_000, True),
    ],
)
def test_the_version_of_the_dest_must_fit(rule, dest_version, is_fit):
    limits = replace(LIMITS, version_rule=rule)
    dest = host_with("compute2", hypervisor_version=dest_version)

    found = check_dest(guest(), dest, source=host("compute1"), limits=limits)

    assert codes(found) == ([] if is_fit else ["hypervisor_version_unfit"])


def test_both_versions_are_told_as_a_person_writes_them():
    dest = host_with("compute2", hypervisor_version=6_000_001)

    (finding,) = check_dest(guest(), dest, source=host("compute1"), limits=LIMITS)

    assert "compute1 runs version 7.2.0 of the hypervisor and compute2 6.0.1" in finding.sentence
    assert "hypervisor_version_check = not_older" in finding.sentence


def test_another_kind_of_hypervisor_refuses():
    dest = host_with("compute2", hypervisor_type="Xen")

    (finding,) = check_dest(guest(), dest, source=host("compute1"), limits=LIMITS)

    assert finding.sentence == "compute1 runs QEMU and compute2 runs Xen."


# ---- a host that its administrator has disabled


def test_a_disabled_host_takes_no_guests_and_tells_why():
    (finding,) = check_dest(guest(), host(disabled_reason="new disks on Monday."), limits=LIMITS)

    assert finding.code == "service_disabled"
    assert finding.sentence == "compute2 takes no guests: new disks on Monday."


def test_a_guest_may_leave_a_disabled_host():
    assert check_guest(guest(), host("compute1", disabled_reason="old"), limits=LIMITS) == ()


def test_the_dest_is_told_how_far_it_may_be_overcommitted():
    stretched = replace(LIMITS, ram_allocation_ratio=1.5)

    told = dest_arguments(guest_facts("u"), "compute1", None, limits=stretched)

    assert told.ram_allocation_ratio == 1.5
