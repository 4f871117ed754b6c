"""The looks that checks are built on: the contract of compute_agent.hypervisor.driver, for libvirt and for the fake."""

from dataclasses import replace

import pytest

from common.facts import GuestFacts
from compute_agent.hypervisor.driver import JobKind, JobOperation
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError, HypervisorUnreachableError
from compute_agent.hypervisor.looks import NO_OBSTACLES, BlockJob, BlockJobKind, MachineFit
from tests.contract.hypervisor_sites import NOBODY, Site, wait_until
from tests.contract.predicaments import Predicaments
from tests.fakes.domain import guest_xml


@pytest.fixture
def guest(site: Site) -> GuestFacts:
    """A running one, as the source reports it."""
    return site.source.guest_facts(site.add_guest(guest_xml("web")))


def cpu(model: str, *features: str) -> str:
    required = "".join(f"<feature policy='require' name='{name}'/>" for name in features)
    return f"<cpu mode='custom' match='exact' check='full'><model>{model}</model>{required}</cpu>"


# ---- what a guest from elsewhere would meet


def test_host_offers_the_machine_types_of_its_qemu(site: Site) -> None:
    [offer] = [way for way in site.dest.offers() if (way.arch, way.domain_type) == ("x86_64", "qemu")]
    assert offer.emulator == "/usr/bin/qemu-system-x86_64"
    assert {"pc-i440fx-7.2", "pc", "pc-q35-7.2", "q35"} <= set(offer.machines)


def test_guest_fits_where_its_machine_is_known(site: Site, guest: GuestFacts) -> None:
    assert site.dest.machine_fit(guest) is MachineFit.FITS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"machine": "pc-i440fx-99.0"}, MachineFit.NO_MACHINE),
        ({"machine": "pc-i440fx-99.0", "emulator": "/usr/bin/qemu-system-x86_64"}, MachineFit.NO_MACHINE),
        ({"emulator": "/opt/qemu/bin/qemu-system-x86_64"}, MachineFit.NO_EMULATOR),
        ({"hypervisor": "xen"}, MachineFit.NO_DOMAIN_TYPE),
        ({"arch": "s390x"}, MachineFit.NO_DOMAIN_TYPE),
    ],
)
def test_machine_that_is_not_there_is_told_by_its_first_missing_part(
    site: Site, guest: GuestFacts, change: dict[str, str], expected: MachineFit
) -> None:
    assert site.dest.machine_fit(replace(guest, **change)) is expected  # type: ignore[arg-type]


def test_cpu_that_a_running_guest_has_is_offered_by_an_equal_host(site: Site, guest: GuestFacts) -> None:
    comparison = site.dest.compare_cpu(guest)
    assert comparison.is_compatible
    assert comparison.missing == ()


def test_cpu_with_features_that_the_host_lacks_is_refused_and_they_are_named(
    site: Site, guest: GuestFacts
) -> None:
    demanding = replace(guest, cpu_xml=cpu("qemu64", "avx512f", "avx512bw"))
    comparison = site.dest.compare_cpu(demanding)
    assert not comparison.is_compatible
    assert set(comparison.missing) == {"avx512f", "avx512bw"}
    assert "avx512f" in comparison.reason


def test_cpu_model_that_the_host_never_heard_of_is_refused(site: Site, guest: GuestFacts) -> None:
    comparison = site.dest.compare_cpu(replace(guest, cpu_xml=cpu("EPYC-Next")))
    assert not comparison.is_compatible
    assert "EPYC-Next" in comparison.reason
    assert comparison.missing == ()


def test_guest_without_a_cpu_of_its_own_asks_for_nothing(site: Site, guest: GuestFacts) -> None:
    assert site.dest.compare_cpu(replace(guest, cpu_xml="")).is_compatible


def test_host_without_resources_has_none(site: Site) -> None:
    found = site.dest.resources()
    assert (found.networks_active, found.networks_inactive) == ((), ())
    assert (found.nwfilters, found.secrets) == ((), ())


def test_resources_are_told_by_name(site: Site, predicaments: Predicaments) -> None:
    predicaments.add_network("blue", is_active=True)
    predicaments.add_network("grey", is_active=False)
    predicaments.add_nwfilter("clean")
    uuid = predicaments.add_secret("the cluster")
    found = site.dest.resources()
    assert (found.networks_active, found.networks_inactive) == (("blue",), ("grey",))
    assert found.network_bridges == (("blue", "br0"),)
    assert found.nwfilters == ("clean",)
    assert set(found.secrets) == {uuid, "the cluster"}


# ---- what stands in a guest's way


def test_guest_that_nobody_works_on_has_no_obstacles(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    assert site.source.obstacles(uuid) == NO_OBSTACLES
    seen = site.source.observe(uuid)
    assert (seen.job, seen.operation) == (JobKind.NONE, JobOperation.UNKNOWN)


def test_obstacles_of_nobody_are_not_found(site: Site) -> None:
    with pytest.raises(DomainNotFoundError):
        site.source.obstacles(NOBODY)


def test_guest_that_is_off_has_obstacles_too(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.take_snapshot(uuid, "monday")
    site.source.destroy(uuid)
    assert site.source.obstacles(uuid).snapshots == ("monday",)


def test_snapshots_and_checkpoints_are_named(site: Site, predicaments: Predicaments) -> None:
    first, second = predicaments.add_guest("one"), predicaments.add_guest("two")
    predicaments.take_snapshot(first, "monday")
    predicaments.take_checkpoint(second, "tuesday")
    assert site.source.obstacles(first) == replace(NO_OBSTACLES, snapshots=("monday",))
    assert site.source.obstacles(second) == replace(NO_OBSTACLES, checkpoints=("tuesday",))


def test_managed_save_image_is_seen_beside_a_guest_that_runs(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.keep_managed_save(uuid)

    def has_managed_save() -> bool:
        try:
            return site.source.obstacles(uuid).has_managed_save
        except HypervisorUnreachableError:  # the connection from before libvirtd was restarted
            return False

    wait_until(has_managed_save, what="libvirtd with the image")


def test_copy_of_a_disk_is_a_block_job_and_no_job_of_the_domain(
    site: Site, predicaments: Predicaments
) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.copy_disk(uuid)
    assert site.source.obstacles(uuid).block_jobs == (BlockJob(disk="vda", kind=BlockJobKind.COPY),)
    assert site.source.observe(uuid).job is JobKind.NONE


def test_backup_is_both(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.begin_backup(uuid)
    seen = site.source.observe(uuid)
    assert (seen.job, seen.operation) == (JobKind.OTHER, JobOperation.BACKUP)
    assert site.source.obstacles(uuid).block_jobs == (BlockJob(disk="vda", kind=BlockJobKind.BACKUP),)


def test_dump_is_told_from_other_jobs_and_bars_no_look(site: Site, predicaments: Predicaments) -> None:
    uuid = predicaments.add_guest("web")
    predicaments.begin_dump(uuid)
    seen = site.source.observe(uuid)
    assert (seen.job, seen.operation) == (JobKind.OTHER, JobOperation.DUMP)
    assert site.source.obstacles(uuid) == NO_OBSTACLES
