"""The contract of compute_agent.hypervisor.driver, for libvirt and for the fake that other tests rely on."""

import pytest

from common.states import PowerState, SourceSeen
from compute_agent.hypervisor.driver import ABSENT, EventKind
from compute_agent.hypervisor.libvirt_errors import (
    DomainExistsError,
    DomainNotFoundError,
    HypervisorUnreachableError,
    JobAbsentError,
)
from tests.contract.hypervisor_sites import NOBODY, Site, is_running, seen_at_source, uuids, wait_until
from tests.fakes.domain import guest_xml

# ---- facts


def test_host_tells_what_it_has(site: Site) -> None:
    facts = site.source.host_facts()
    assert (facts.hypervisor_type, facts.cpu_arch) == ("QEMU", "x86_64")
    assert facts.hypervisor_version >= 7_000_000
    assert facts.libvirt_version >= 9_000_000
    assert facts.vcpus_total >= 1
    assert 0 < site.source.memory_free_mib() <= facts.memory_total_mib


def test_host_tells_what_a_guest_from_elsewhere_must_fit(site: Site) -> None:
    facts = site.source.host_facts()
    assert facts.host_cpu_xml.startswith("<cpu>") and "<vendor>" in facts.host_cpu_xml
    assert (facts.qemu_uid, facts.qemu_gid) == (0, 0)
    assert (facts.service_uid, facts.service_gid) == (0, 0)
    assert "dac" in facts.security_models
    assert facts.lock_manager == ""
    assert 0 < facts.disk_free_gib <= facts.disk_total_gib


def test_a_peer_is_reached_and_says_whose_it_is(site: Site) -> None:
    found = site.source.reach(site.dest_uri, timeout_s=5.0)

    assert found == site.dest.identity()
    assert found != site.source.identity()
    assert len(found.uuid) == 36


def test_a_peer_that_is_not_there_is_unreachable(site: Site) -> None:
    with pytest.raises(HypervisorUnreachableError):
        site.source.reach("qemu+tcp://nobody.invalid/system", timeout_s=5.0)


def test_guest_is_found_with_its_facts(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    [guest] = site.source.list_guests()
    assert guest == site.source.guest_facts(uuid)
    assert (guest.uuid, guest.name, guest.power_state) == (uuid, "web", PowerState.RUNNING)
    assert (guest.memory_mib, guest.vcpus, guest.hypervisor) == (16, 1, "qemu")
    assert guest.is_persistent and not guest.has_autostart
    assert guest.cpu_xml.startswith("<cpu") and "qemu64" in guest.cpu_xml
    assert (guest.disk_gib, guest.networks, guest.nwfilters, guest.secrets) == (0, (), (), ())
    assert site.source.find_by_name("web") == uuid


def test_what_is_not_there_is_said_to_be_absent(site: Site) -> None:
    assert site.source.list_guests() == ()
    assert site.source.find_by_name("web") is None
    assert site.source.observe(NOBODY) == ABSENT
    assert site.source.job_statistics(NOBODY) is None
    assert site.source.completed_statistics(NOBODY) is None
    assert site.source.migration_mark(NOBODY) is None
    for question in (site.source.guest_facts, site.source.definition):
        with pytest.raises(DomainNotFoundError):
            question(NOBODY)


def test_definition_carries_secrets_and_pending_changes(site: Site) -> None:
    xml = guest_xml("web").replace(
        "</devices>", "<graphics type='vnc' port='-1' passwd='top' listen='127.0.0.1'/></devices>"
    )
    uuid = site.add_guest(xml)
    site.source.define(xml.replace("<vcpu>1</vcpu>", "<vcpu>2</vcpu>").replace(xml_uuid(xml), uuid))
    site.source.set_autostart(uuid, has_autostart=True)
    definition = site.source.definition(uuid)
    assert definition.is_active and definition.is_persistent and definition.has_autostart
    assert not definition.is_paused
    assert definition.inactive_xml is not None
    assert "top" in definition.live_xml and "top" in definition.inactive_xml
    assert "top" not in repr(definition)
    assert ">1</vcpu>" in definition.live_xml and ">2</vcpu>" in definition.inactive_xml
    assert 'team="a"' in definition.live_xml and 'team="a"' in definition.inactive_xml


def xml_uuid(xml: str) -> str:
    return xml.partition("<uuid>")[2].partition("</uuid>")[0]


# ---- looking and changing


def test_each_state_has_its_word(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    site.suspend(uuid)
    assert seen_at_source(site, uuid) is SourceSeen.PAUSED_OTHER
    assert site.source.definition(uuid).is_paused
    site.source.resume(uuid)
    site.source.resume(uuid)
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    site.source.destroy(uuid)
    site.source.destroy(uuid)
    assert seen_at_source(site, uuid) is SourceSeen.SHUTOFF
    site.source.undefine(uuid)
    site.source.undefine(uuid)
    assert seen_at_source(site, uuid) is SourceSeen.ABSENT


def test_transient_guest_is_gone_with_its_qemu(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"), is_persistent=False)
    assert not site.source.guest_facts(uuid).is_persistent
    assert site.source.definition(uuid).inactive_xml is None
    site.source.destroy(uuid)
    assert seen_at_source(site, uuid) is SourceSeen.ABSENT


def test_undefining_a_running_guest_makes_it_transient(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    site.source.undefine(uuid)
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    assert not site.source.guest_facts(uuid).is_persistent


def test_define_refuses_a_name_or_uuid_that_another_domain_has(site: Site) -> None:
    xml = guest_xml("web")
    uuid = site.add_guest(xml, is_running=False)
    site.source.define(xml)
    with pytest.raises(DomainExistsError):
        site.source.define(guest_xml("web"))
    with pytest.raises(DomainExistsError):
        site.source.define(guest_xml("other", uuid=uuid))
    assert [guest.name for guest in site.source.list_guests()] == ["web"]


def test_a_guest_without_a_job_has_nothing_to_abort_or_tune(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    assert site.source.job_statistics(uuid) is None
    with pytest.raises(JobAbsentError):
        site.source.abort_job(uuid)
    with pytest.raises(JobAbsentError):
        site.source.abort_job(NOBODY)
    with pytest.raises(JobAbsentError):
        site.source.set_max_downtime(uuid, 500)


# ---- when things die


def test_dead_libvirtd_is_unreachable_and_then_lists_anew(site: Site) -> None:
    heard: list[EventKind] = []
    site.source.subscribe(lambda event: heard.append(event.kind))
    site.source.start()
    uuid = site.add_guest(guest_xml("web"))
    wait_until(lambda: EventKind.RELIST in heard, what="the first list")

    site.kill_libvirtd()
    for question in (
        site.source.observe,
        site.source.guest_facts,
        site.source.definition,
        site.source.destroy,
    ):
        with pytest.raises(HypervisorUnreachableError):
            question(uuid)
    with pytest.raises(HypervisorUnreachableError):
        site.source.list_guests()
    wait_until(lambda: EventKind.DISCONNECTED in heard, what="the word that it is gone")

    heard.clear()
    site.start_libvirtd()
    wait_until(lambda: EventKind.RELIST in heard, what="the new list")
    assert seen_at_source(site, uuid) is SourceSeen.RUNNING
    assert site.source.age_s < 5


def test_hung_libvirtd_is_unreachable_however_often_it_is_asked(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    site.source.observe(uuid)
    site.hang_libvirtd()
    try:
        for _ in range(30):  # more often than there are native threads for calls
            with pytest.raises(HypervisorUnreachableError):
                site.source.observe(uuid)
    finally:
        site.wake_libvirtd()
    wait_until(lambda: is_running(site, uuid), what="an answer")
    assert uuids(site.source) == [uuid]


def test_silent_qemu_is_unreachable_and_never_absent(site: Site) -> None:
    uuid = site.add_guest(guest_xml("web"))
    site.hang_qemu(uuid)
    try:
        for _ in range(2):
            with pytest.raises(HypervisorUnreachableError):
                site.source.observe(uuid)
        assert uuids(site.source) == [uuid]
    finally:
        site.wake_qemu(uuid)
    wait_until(lambda: is_running(site, uuid), what="an answer")
