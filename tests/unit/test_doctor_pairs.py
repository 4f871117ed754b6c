"""What `doctor` tells of two hosts: alike or not, one CPU or two, one storage or two."""

from dataclasses import replace

import pytest

from common.diagnosis import Health, HostSheet, Place
from common.migration import DestinationFacts
from compute_agent.doctor import pairs
from compute_agent.doctor.asked import Doctor
from tests.fakes.domain import HOST_FACTS

NFS = Place(path="/srv/images", file_system="nfs4", source="nas:/images")
LOCAL = replace(NFS, file_system="ext4", source="/dev/vda1")


def sheet(name, *, places=(), version="1", **facts):
    reach = DestinationFacts(connect_address=name, host=name, facts=replace(HOST_FACTS, **facts))
    return HostSheet(reach=reach, places=places, version=version)


def compare(own, peer, here=LOCAL):
    return pairs.compare(own, peer, place_at=lambda path: replace(here, path=path))


def codes(lines):
    return [line.code for line in lines]


def test_hosts_that_are_alike_pass_once_for_both_ways():
    one, other = sheet("compute1"), sheet("compute2")
    assert [line.question for line in compare(one, other)] == ["alike", "cpu"]
    assert all(line.result is Health.PASS for line in compare(one, other))
    assert compare(other, one) == ()


@pytest.mark.parametrize(
    ("facts", "code", "result"),
    [
        ({"qemu_uid": 64055}, "qemu_users_differ", Health.FIX),
        ({"service_uid": 1000}, "service_user_differs", Health.WARN),
        ({"security_models": ("apparmor", "dac")}, "security_model_differs", Health.FIX),
        ({"lock_manager": "lockd"}, "lock_manager_differs", Health.FIX),
        ({"hypervisor_version": 10_000_000}, "versions_differ", Health.WARN),
        ({"version": "2"}, "agent_versions_differ", Health.WARN),
    ],
)
def test_what_differs_is_told(facts, code, result):
    line, _cpu = compare(sheet("compute1"), sheet("compute2", **facts))
    assert (line.code, line.result) == (code, result)
    assert (line.host, line.peer) == ("compute1", "compute2")
    assert line.fix.endswith("`")


def test_cpus_that_differ_are_a_warning_with_the_command_for_a_common_one():
    other = HOST_FACTS.host_cpu_xml.replace("qemu64", "EPYC")
    _alike, line = compare(sheet("compute1"), sheet("compute2", host_cpu_xml=other))
    assert (line.code, line.result) == ("cpus_differ", Health.WARN)
    assert line.fix.endswith("`limosa cpu-baseline compute1 compute2`")


def test_a_directory_that_one_host_has_from_a_server_and_the_other_of_its_own_is_told():
    lines = compare(sheet("compute2"), sheet("compute1", places=(NFS,)))
    assert codes(lines) == ["place_differs"]
    assert lines[0].fix.endswith("`mount nas:/images /srv/images`")


def test_a_directory_on_one_server_is_shared_and_one_of_each_is_copied():
    peer = sheet("compute1", places=(NFS,))
    assert compare(sheet("compute2"), peer, here=NFS)[0].sentence == "/srv/images is nas:/images on both."
    alone = sheet("compute1", places=(LOCAL,))
    assert "copied" in compare(sheet("compute2"), alone)[0].sentence


def test_a_directory_that_both_have_told_of_is_told_once():
    one, other = sheet("compute1", places=(NFS,)), sheet("compute2", places=(NFS,))
    shared = [
        line for line in (*compare(one, other, NFS), *compare(other, one, NFS)) if line.question == "shared"
    ]
    assert len(shared) == 1


# ---- asked by a conductor


def doctor_of(host, world):
    doctor = Doctor(host.hypervisor, host.core.examiner, host.settings)
    doctor._look = replace(doctor._look, network=world.network)
    return doctor


def test_two_agents_tell_of_themselves_and_then_of_each_other(hosts):
    source, dest = (doctor_of(host, hosts.world) for host in (hosts.source, hosts.dest))

    told, of_dest = source.diagnose_host("check-1"), dest.diagnose_host("check-1")
    assert told.sheet.reach.ports and told.time_s > 0
    assert {"agent", "libvirt", "hook", "state"} <= {line.question for line in told.diagnoses}

    lines = source.diagnose_peers(told.sheet, (of_dest.sheet,))
    assert {(line.question, line.result) for line in lines} >= {
        ("peer", Health.PASS),
        ("peer-ports", Health.PASS),
        ("alike", Health.PASS),
        ("cpu", Health.PASS),
    }
    hosts.dest.core.examiner.forget("check-1")
    hosts.source.core.examiner.forget("check-1")
    assert not hosts.world.network.listening


def test_a_host_whose_libvirt_is_silent_tells_of_the_rest(hosts):
    hosts.source.hypervisor.is_down = True
    told = doctor_of(hosts.source, hosts.world).diagnose_host("check-1")
    assert told.sheet is None
    assert "libvirt_unusable" in codes(told.diagnoses)


def test_two_hosts_of_one_uuid_are_told(hosts):
    source, dest = (doctor_of(host, hosts.world) for host in (hosts.source, hosts.dest))
    own, peer = source.diagnose_host("c").sheet, dest.diagnose_host("c").sheet
    twin = replace(peer, reach=replace(peer.reach, host_uuid=own.reach.host_uuid))
    assert "host_uuid_shared" in codes(source.diagnose_peers(own, (twin,)))


def test_the_baseline_is_told_with_its_features(hosts):
    doctor = doctor_of(hosts.source, hosts.world)
    hosts.dest.hypervisor.offered = {"aes"}
    other = doctor_of(hosts.dest, hosts.world).offered_cpu()
    found = doctor.baseline_cpu((doctor.offered_cpu(), other))
    assert (found.model, found.features) == ("EPYC", ("require aes",))
