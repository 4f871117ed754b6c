"""The checks on what a hypervisor says, made on libvirt and on the fake: each refuses, and each lets pass."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from common.checks import Finding, refusing
from common.facts import GuestFacts
from common.migration import DestinationFacts
from compute_agent.checks import DestLook, SourceLook, run
from compute_agent.checks.cpu import check_cpu
from compute_agent.checks.jobs import check_jobs
from compute_agent.checks.machine import check_machine
from compute_agent.checks.memory import check_memory
from compute_agent.checks.movable import check_movable
from compute_agent.checks.names import check_names
from compute_agent.checks.obstacles import check_obstacles
from compute_agent.checks.resources import check_resources
from compute_agent.checks.secrets import check_secrets
from compute_agent.hypervisor.classify import classify_source
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.observation import SourceLook as Observed
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.contract.hypervisor_sites import DEST, SOURCE, Site, wait_until
from tests.contract.predicaments import Predicaments
from tests.fakes.domain import guest_xml
from tests.fakes.links import FakeLinks
from tests.fakes.network import FakeNetwork

SECRET = "aaaaaaaa-0000-4000-8000-000000000001"
NEEDY = f"""
    <interface type='network'>
      <mac address='52:54:00:12:34:56'/><source network='blue'/><filterref filter='clean'/>
    </interface>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/><auth username='me'><secret type='ceph' uuid='{SECRET}'/></auth>
      <source protocol='rbd' name='pool/image'><host name='192.0.2.1'/></source><target dev='vdb' bus='virtio'/>
    </disk>"""

AT_DEST = (check_names, check_memory, check_machine, check_cpu, check_secrets, check_resources)
AT_SOURCE = (check_movable, check_jobs, check_obstacles)


@pytest.fixture
def guest(site: Site) -> GuestFacts:
    """A running one, as the source reports it."""
    return site.source.guest_facts(site.add_guest(guest_xml("web")))


def settings(host: str) -> Settings:
    return Settings(host=host, state_path=Path("/nowhere"), live_migration=LiveMigrationSettings(flags=()))


def dest_look(site: Site, guest: GuestFacts) -> DestLook:
    return DestLook(
        hypervisor=site.dest,
        network=FakeNetwork(),
        links=FakeLinks(),
        settings=settings(DEST),
        instance=guest.uuid,
        guest=guest,
        dest=site.dest.host_facts(),
        source=site.source.host_facts(),
        source_host=SOURCE,
    )


def at_dest(site: Site, guest: GuestFacts) -> list[str]:
    found = run(AT_DEST, dest_look(site, guest))
    assert found.failures == ()
    return codes(found.findings)


def at_source(site: Site, uuid: str) -> list[Finding]:
    """What the checks find that ask about the guest alone; no dest is needed for them."""
    snapshot = site.source.observe(uuid)
    found = classify_source(snapshot, has_record=False)
    look = SourceLook(
        hypervisor=site.source,
        network=FakeNetwork(),
        links=FakeLinks(),
        settings=settings(SOURCE),
        instance=uuid,
        guest=site.source.guest_facts(uuid),
        definition=site.source.definition(uuid),
        observed=Observed(found=found, is_call_in_flight=False, snapshot=snapshot),
        source=site.source.host_facts(),
        reach=DestinationFacts(connect_address=DEST),
        dest=site.dest.host_facts(),
        dest_host=DEST,
    )
    result = run(AT_SOURCE, look)
    assert result.failures == ()
    return list(result.findings)


def codes(findings: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in findings]


# ---- on the dest


def test_guest_of_an_equal_host_passes(site: Site, guest: GuestFacts) -> None:
    assert at_dest(site, guest) == []


def test_guest_whose_uuid_or_name_is_there_is_refused(site: Site, guest: GuestFacts) -> None:
    site.dest.define(guest_xml("web", uuid=guest.uuid))
    try:
        assert at_dest(site, guest) == ["domain_exists"]
        assert at_dest(site, replace(guest, uuid=SECRET)) == ["domain_exists"]
    finally:
        site.dest.undefine(guest.uuid)


def test_machine_that_the_dest_does_not_know_is_refused(site: Site, guest: GuestFacts) -> None:
    assert at_dest(site, replace(guest, machine="pc-i440fx-99.0")) == ["machine_type_unknown"]
    assert at_dest(site, replace(guest, hypervisor="xen")) == ["domain_type_missing"]
    assert at_dest(site, replace(guest, emulator="/opt/qemu")) == ["emulator_missing"]


def test_cpu_that_the_dest_does_not_have_is_refused(site: Site, guest: GuestFacts) -> None:
    feature = "<feature policy='require' name='avx512f'/>"
    demanding = f"<cpu mode='custom' match='exact' check='full'><model>qemu64</model>{feature}</cpu>"
    look = dest_look(site, replace(guest, cpu_xml=demanding))
    [finding] = check_cpu(look)
    assert (finding.code, finding.sentence) == (
        "cpu_incompatible",
        f"{DEST} cannot offer web's CPU (qemu64): it lacks avx512f.",
    )


def test_cpu_of_the_host_itself_passes_to_an_equal_host_only(site: Site, guest: GuestFacts) -> None:
    look = dest_look(site, replace(guest, cpu_xml="<cpu mode='host-passthrough' check='none'/>"))
    assert list(check_cpu(look)) == []
    assert look.source is not None
    cpu_xml = look.source.host_cpu_xml
    other = replace(look.source, host_cpu_xml=cpu_xml.replace("</cpu>", "<feature name='unheard-of'/></cpu>"))
    [finding] = check_cpu(replace(look, source=other))
    assert finding.code == "cpu_host_differs"
    assert "it lacks unheard-of" in finding.sentence


def test_what_the_xml_names_must_be_there(site: Site, predicaments: Predicaments) -> None:
    uuid = site.add_guest(guest_xml("needy", devices=NEEDY), is_running=False)
    guest = site.source.guest_facts(uuid)
    assert at_dest(site, guest) == ["secret_missing", "network_missing", "nwfilter_missing"]
    predicaments.add_nwfilter("clean")
    predicaments.add_secret("the cluster", uuid=SECRET)
    predicaments.add_network("blue", is_active=False)
    assert at_dest(site, guest) == ["network_inactive"]
    predicaments.start_network("blue")
    assert at_dest(site, guest) == []


# ---- on the source


def test_guest_that_nobody_works_on_passes(site: Site, predicaments: Predicaments) -> None:
    assert at_source(site, predicaments.add_guest("web")) == []


def test_snapshot_is_refused_and_checkpoint_warned_of(site: Site, predicaments: Predicaments) -> None:
    snapped, checked = predicaments.add_guest("one"), predicaments.add_guest("two")
    predicaments.take_snapshot(snapped, "monday")
    predicaments.take_checkpoint(checked, "tuesday")
    assert codes(refusing(at_source(site, snapped))) == ["snapshots_exist"]
    [warning] = at_source(site, checked)
    assert (warning.code, refusing([warning])) == ("checkpoints_lost", ())


def test_managed_save_image_is_refused(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.keep_managed_save(uuid)

    def is_refused() -> bool:
        try:
            return codes(at_source(site, uuid)) == ["managed_save_exists"]
        except HypervisorUnreachableError:  # the connection from before libvirtd was restarted
            return False

    wait_until(is_refused, what="the refusal")


def test_copy_of_a_disk_is_refused(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.copy_disk(uuid)
    [finding] = at_source(site, uuid)
    assert (finding.code, finding.evidence["disk"], finding.evidence["kind"]) == (
        "block_job_runs",
        "vda",
        "copy",
    )


def test_backup_is_refused(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.begin_backup(uuid)
    assert codes(at_source(site, uuid)) == ["backup_runs"]


def test_dump_is_refused(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.begin_dump(uuid)
    assert codes(at_source(site, uuid)) == ["dump_runs"]


def test_save_is_refused(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.begin_save(uuid)
    assert codes(at_source(site, uuid)) == ["save_runs"]


def test_somebody_elses_migration_is_refused(site: Site, predicaments: Predicaments) -> None:
    uuid = site.add_slow_guest()
    predicaments.begin_migration(uuid)
    [finding] = at_source(site, uuid)
    assert (finding.code, finding.evidence["operation"]) == ("migrated_by_others", "outgoing migration")
