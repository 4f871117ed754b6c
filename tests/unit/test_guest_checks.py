"""What a dest's libvirt cannot give to a guest: each check refuses where it must, and lets others pass."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.checks import Finding, Severity
from common.facts import GuestFacts
from compute_agent.checks import DestLook
from compute_agent.checks.cpu import check_cpu
from compute_agent.checks.machine import check_machine, newest
from compute_agent.checks.resources import check_resources
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.fakes.domain import HOST_FACTS, guest_xml
from tests.fakes.hypervisor import FakeHypervisor, FakeWorld
from tests.fakes.links import FakeLinks
from tests.fakes.network import FakeNetwork
from tests.fakes.suitability import EMULATOR, MACHINES

OTHER_CPU = "<cpu><arch>x86_64</arch><model>EPYC-Rome</model><vendor>AMD</vendor></cpu>"
PASSTHROUGH = "<cpu mode='host-passthrough' check='none' migratable='on'/>"
CUSTOM = "<cpu mode='custom' match='exact' check='full'><model>{}</model>{}</cpu>"


@pytest.fixture
def dest() -> FakeHypervisor:
    return FakeWorld("compute1", "compute2").hosts["compute2"]


@pytest.fixture
def guest(dest: FakeHypervisor) -> GuestFacts:
    elsewhere = dest.world.hosts["compute1"]
    return elsewhere.guest_facts(elsewhere.add_guest(guest_xml("web1")).uuid)


def look(dest: FakeHypervisor, guest: GuestFacts, **changes: object) -> DestLook:
    settings = Settings(
        host="compute2", state_path=Path("/nowhere"), live_migration=LiveMigrationSettings(flags=())
    )
    made = DestLook(
        hypervisor=dest,
        network=FakeNetwork(),
        links=FakeLinks(),
        settings=settings,
        instance=guest.uuid,
        guest=guest,
        dest=HOST_FACTS,
        source=HOST_FACTS,
        source_host="compute1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


# ---- machine


def test_a_guest_whose_machine_is_known_passes(dest: FakeHypervisor, guest: GuestFacts) -> None:
    assert list(check_machine(look(dest, guest))) == []


def test_an_unknown_machine_type_is_named_with_the_newest_of_its_family(
    dest: FakeHypervisor, guest: GuestFacts
) -> None:
    [finding] = check_machine(look(dest, replace(guest, machine="pc-i440fx-10.0")))
    assert finding.code == "machine_type_unknown"
    assert finding.host == "compute2"
    assert finding.evidence["machine"] == "pc-i440fx-10.0"
    assert finding.evidence["newest"] == "pc-i440fx-7.2, pc-i440fx-7.1, pc-i440fx-6.2"


def test_a_domain_type_that_is_not_offered_is_refused_once(dest: FakeHypervisor, guest: GuestFacts) -> None:
    kvm = replace(guest, hypervisor="kvm", machine="unknown-1.0")
    [finding] = check_machine(look(dest, kvm))
    assert finding.code == "domain_type_missing"
    assert finding.evidence["offered"] == "qemu of x86_64"
    assert list(check_cpu(look(dest, kvm))) == [], "nothing can be compared there"


def test_an_emulator_that_is_not_installed_is_refused(dest: FakeHypervisor, guest: GuestFacts) -> None:
    assert list(check_machine(look(dest, replace(guest, emulator=EMULATOR)))) == []
    assert codes(list(check_machine(look(dest, replace(guest, emulator="/opt/qemu"))))) == [
        "emulator_missing"
    ]


def test_an_older_conductor_that_tells_nothing_of_the_guest_is_no_reason(
    dest: FakeHypervisor, guest: GuestFacts
) -> None:
    untold = replace(guest, arch="", hypervisor="", machine="pc", cpu_xml="")
    for check in (check_machine, check_cpu, check_resources):
        assert list(check(look(dest, untold, source=None, source_host=""))) == []


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ("pc-q35-9.0", ("pc-q35-7.2",)),
        ("pc-i440fx-10.0", ("pc-i440fx-7.2", "pc-i440fx-7.1", "pc-i440fx-6.2")),
        ("microvm", ("pc-i440fx-7.2", "pc-q35-7.2")),
        ("pc-q35-rhel9.2.0", ("pc-i440fx-7.2", "pc-q35-7.2")),
    ],
)
def test_newest_machines(like: str, expected: tuple[str, ...]) -> None:
    assert newest(MACHINES, like=like) == expected


def test_versions_are_compared_as_numbers() -> None:
    assert newest(("pc-q35-9.2", "pc-q35-10.0", "pc-q35-2.12"), like="pc-q35-11.0")[0] == "pc-q35-10.0"
    assert newest(("pc-q35-rhel8.6.0", "pc-q35-rhel9.0.0"), like="pc-q35-rhel9.4.0")[0] == "pc-q35-rhel9.0.0"


# ---- CPU


def test_a_cpu_that_the_host_can_offer_passes(dest: FakeHypervisor, guest: GuestFacts) -> None:
    fits = replace(guest, cpu_xml=CUSTOM.format("qemu64", "<feature policy='require' name='aes'/>"))
    assert list(check_cpu(look(dest, fits))) == []


def test_missing_features_are_named(dest: FakeHypervisor, guest: GuestFacts) -> None:
    xml = CUSTOM.format("qemu64", "<feature policy='require' name='avx512f'/>")
    [finding] = check_cpu(look(dest, replace(guest, cpu_xml=xml)))
    assert finding.code == "cpu_incompatible"
    assert finding.evidence["model"] == "qemu64"
    assert finding.sentence == "compute2 cannot offer web1's CPU (qemu64): it lacks avx512f."


def test_a_model_that_libvirt_does_not_know_is_named(dest: FakeHypervisor, guest: GuestFacts) -> None:
    [finding] = check_cpu(look(dest, replace(guest, cpu_xml=CUSTOM.format("EPYC-Next", ""))))
    assert finding.code == "cpu_incompatible"
    assert finding.sentence == (
        "compute2 cannot offer web1's CPU (EPYC-Next): its libvirt says: Unknown CPU model EPYC-Next."
    )


def test_a_cpu_that_libvirt_was_told_not_to_check_is_a_warning(
    dest: FakeHypervisor, guest: GuestFacts
) -> None:
    xml = CUSTOM.format("EPYC-Next", "").replace("check='full'", "check='none'")
    [finding] = check_cpu(look(dest, replace(guest, cpu_xml=xml)))
    assert (finding.code, finding.severity) == ("cpu_incompatible", Severity.WARNS)


def test_passthrough_needs_an_equal_host(dest: FakeHypervisor, guest: GuestFacts) -> None:
    passed = replace(guest, cpu_xml=PASSTHROUGH, hypervisor="kvm")
    assert list(check_cpu(look(dest, passed))) == []
    [finding] = check_cpu(look(dest, passed, source=replace(HOST_FACTS, host_cpu_xml=OTHER_CPU)))
    assert finding.code == "cpu_host_differs"
    assert finding.evidence["differences"] == "model EPYC-Rome and qemu64"


@pytest.mark.parametrize("source", [None, replace(HOST_FACTS, host_cpu_xml="")])
def test_passthrough_from_a_host_that_has_not_told_its_cpu_is_refused(
    dest: FakeHypervisor, guest: GuestFacts, source: object
) -> None:
    passed = replace(guest, cpu_xml=PASSTHROUGH, hypervisor="kvm")
    [finding] = check_cpu(look(dest, passed, source=source))
    assert finding.code == "cpu_host_unknown"
    assert "compute1 has not told its CPU" in finding.sentence


def test_maximum_is_the_hosts_cpu_with_kvm_and_qemus_without(dest: FakeHypervisor, guest: GuestFacts) -> None:
    other = replace(HOST_FACTS, host_cpu_xml=OTHER_CPU)
    newer = replace(HOST_FACTS, hypervisor_version=10_000_003)
    emulated = replace(guest, cpu_xml="<cpu mode='maximum'/>")
    with_kvm = replace(emulated, hypervisor="kvm")
    assert codes(list(check_cpu(look(dest, with_kvm, source=other)))) == ["cpu_host_differs"]
    assert list(check_cpu(look(dest, with_kvm, source=newer))) == []
    assert list(check_cpu(look(dest, emulated, source=other))) == []
    [finding] = check_cpu(look(dest, emulated, source=newer))
    assert finding.code == "cpu_maximum_differs"
    assert "QEMU is 10.0.3 there and 7.2.0 on compute2" in finding.sentence


# ---- what the XML names


def test_everything_that_is_named_and_there_passes(dest: FakeHypervisor, guest: GuestFacts) -> None:
    needy = replace(guest, networks=("blue",), nwfilters=("clean",))
    dest.networks["blue"] = True
    dest.nwfilters.append("clean")
    assert list(check_resources(look(dest, needy))) == []


def test_everything_that_is_missing_is_told(dest: FakeHypervisor, guest: GuestFacts) -> None:
    dest.networks["grey"] = False
    needy = replace(guest, networks=("blue", "grey"), nwfilters=("clean",))
    findings = list(check_resources(look(dest, needy)))
    assert codes(findings) == ["network_missing", "network_inactive", "nwfilter_missing"]
    assert findings[0].evidence["known"] == "grey"


def test_a_guest_that_names_nothing_costs_no_question(dest: FakeHypervisor, guest: GuestFacts) -> None:
    dest.go_down()
    assert list(check_resources(look(dest, guest))) == []
