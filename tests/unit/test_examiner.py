"""Examining a host: what travels back, and what is left there."""

import pytest

from common.checks import CHECK_FAILED, MEMORY_SHORT, STORAGE_NOT_SHARED, refusing
from common.migration import CheckDestArguments, CheckSourceArguments, DestinationFacts
from common.states import DiskWay, Result, StorageMode, Verb
from common.transfer import Declarations
from common.volumes import VolumeConnection
from compute_agent import probes as probes_module


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "web1.raw"
    path.parent.mkdir()
    path.write_text("disk")
    return path


def arguments(hosts, *disks, **changes):
    facts = hosts.source.hypervisor.guest_facts(hosts.uuid)
    fields = {"name": "web1", "memory_mib": 16, "vcpus": 1, "machine": "pc", "disks": disks, "facts": facts}
    return CheckDestArguments(**{**fields, **changes})


def check_dest(hosts, told):
    return hosts.dest.do(hosts.command(Verb.CHECK_DEST, 1, told))


def check_source(hosts, facts):
    return hosts.source.do(hosts.command(Verb.CHECK_SOURCE, 2, CheckSourceArguments(dest_facts=facts)))


def left_in(image):
    return [path.name for path in image.parent.iterdir() if path != image]


def test_the_dest_says_what_it_is_and_which_disks_it_looked_at(hosts, image):
    disk = ("vda", "file", str(image), "disk")

    facts = check_dest(hosts, arguments(hosts, disk)).dest_facts

    assert (facts.host, facts.facts) == ("compute2", hosts.dest.hypervisor.host_facts())
    assert facts.examined == (disk,)


def test_a_dest_that_refuses_keeps_no_probe_and_says_so(hosts, image):
    missing = ("vda", "file", str(image.with_name("none")), "disk")
    outcome = check_dest(hosts, arguments(hosts, missing, declared=Declarations(storage=StorageMode.SHARED)))

    assert outcome.result is Result.REFUSED
    assert outcome.dest_facts.probes == ()
    assert left_in(image) == []


def test_a_disk_that_the_dest_has_refused_is_not_told_a_second_time_by_the_source(hosts, image):
    domain = hosts.source.hypervisor.domains[hosts.uuid]
    disk = f"<disk type='file'><source file='{image}.none'/><target dev='vda'/></disk>"
    domain.live_xml = domain.live_xml.replace("<memballoon", disk + "<memballoon")
    declared = Declarations(storage=StorageMode.SHARED)
    told = arguments(hosts, ("vda", "file", f"{image}.none", "disk"), declared=declared)
    refused = check_dest(hosts, told)
    assert [finding.code for finding in refusing(refused.findings)] == [STORAGE_NOT_SHARED.code]

    assert check_source(hosts, refused.dest_facts).findings == ()


@pytest.mark.parametrize("mode", StorageMode)
def test_a_device_that_the_dest_is_to_attach_is_not_missed_and_not_copied(hosts, mode):
    disk = "<disk type='block'><source dev='/dev/no-such-device'/><target dev='vdb'/></disk>"
    domain = hosts.source.hypervisor.domains[hosts.uuid]
    domain.live_xml = domain.live_xml.replace("<memballoon", disk + "<memballoon")
    volume = VolumeConnection(
        target="vdb", driver="fibre_channel", name="lun7", is_host_attached=True, properties={"wwn": "5"}
    )
    address = ("vdb", "block", "/dev/no-such-device", "disk")
    declared = Declarations(storage=mode, volumes=(volume,))
    checked = check_dest(hosts, arguments(hosts, address, declared=declared))
    assert refusing(checked.findings) == ()
    assert [(one.disk, checked.dest_facts.rooms) for one in checked.dest_facts.absent] == [("vdb", ())]

    told = CheckSourceArguments(dest_facts=checked.dest_facts, declared=declared)
    outcome = hosts.source.do(hosts.command(Verb.CHECK_SOURCE, 2, told))
    assert [(each.target, each.way) for each in outcome.plan.disks] == [("vdb", DiskWay.VOLUME)]
    assert outcome.plan.volumes == (volume,)


def test_storage_that_hangs_is_a_finding_beside_the_others(hosts, image, monkeypatch):
    monkeypatch.setattr(probes_module, "STORAGE_TIMEOUT_S", 0.0)
    full = arguments(hosts, ("vda", "file", str(image), "disk"))
    hosts.dest.hypervisor.memory_free_mib = lambda: 1

    outcome = check_dest(hosts, full)

    assert outcome.result is Result.ERROR
    [memory, storage] = outcome.findings
    assert [memory.code, storage.code] == [MEMORY_SHORT.code, CHECK_FAILED.code]
    assert "storage: Storage does not answer" in storage.sentence


def test_a_state_directory_that_is_full_is_a_finding_beside_the_others(hosts, image, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(probes_module.durable, "write", full)
    examined = hosts.dest.core.examiner.examine_dest(
        hosts.uuid, arguments(hosts, ("vda", "file", str(image), "disk")), owner="check"
    )

    [finding] = examined.found.findings
    assert finding.code == CHECK_FAILED.code
    assert "storage: " in finding.sentence
    assert "No space left on device" in finding.sentence
    assert left_in(image) == []


def test_a_conductor_of_the_first_version_is_understood(hosts):
    told = arguments(hosts, facts=None, memory_mib=1_000_000)

    [finding] = check_dest(hosts, told).findings

    assert finding.evidence["needed_mib"] == "1000000"


# ---- images below a disk


@pytest.fixture
def base(hosts, image):
    """The guest's disk is an overlay of this one, which lies in a directory of its own."""
    path = image.parent.parent / "bases" / "base.raw"
    path.parent.mkdir()
    path.write_text("base")
    below = (
        f"<backingStore type='file'><format type='raw'/><source file='{path}'/><backingStore/></backingStore>"
    )
    disk = f"<disk type='file'><source file='{image}'/>{below}<target dev='vda'/></disk>"
    domain = hosts.source.hypervisor.domains[hosts.uuid]
    domain.live_xml = domain.live_xml.replace("<memballoon", disk + "<memballoon")
    return path


def overlay(image):
    return ("vda", "file", str(image), "disk")


def test_an_overlay_and_its_base_on_shared_storage_are_both_shown(hosts, image, base):
    facts = check_dest(hosts, arguments(hosts, overlay(image))).dest_facts

    assert [probe.path for probe in facts.probes] == [str(image), str(base)]
    assert facts.examined == (overlay(image), ("vda", "file", str(base), "layer"))
    assert check_source(hosts, facts).findings == ()


def test_images_below_a_disk_in_its_own_directory_have_probes_of_their_own(hosts, image, base):
    beside = base.rename(image.with_name("base.raw"))
    domain = hosts.source.hypervisor.domains[hosts.uuid]
    domain.live_xml = domain.live_xml.replace(str(base), str(beside))

    facts = check_dest(hosts, arguments(hosts, overlay(image))).dest_facts

    assert len({probe.probe_path for probe in facts.probes}) == 2
    assert check_source(hosts, facts).findings == ()


def test_a_base_of_the_same_name_on_the_dests_own_disk_refuses(hosts, image, base):
    facts = check_dest(hosts, arguments(hosts, overlay(image))).dest_facts
    base.parent.rename(base.parent.with_name("of-the-dest"))
    base.parent.mkdir()
    base.write_text("other data")

    [finding] = check_source(hosts, facts).findings

    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, str(base))


def test_a_base_of_a_shared_disk_that_the_dest_does_not_have_refuses(hosts, image, base):
    base.unlink()

    facts = check_dest(hosts, arguments(hosts, overlay(image))).dest_facts
    [finding] = check_source(hosts, facts).findings

    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, str(base))
    assert "compute2 has no such file" in finding.sentence


def test_a_dest_that_looked_at_no_image_below_the_disk_does_not_vouch_for_it(hosts, image, base):
    """An older one, or a newer one that an older conductor has asked."""
    told = arguments(hosts, overlay(image), facts=None)

    [finding] = check_source(hosts, check_dest(hosts, told).dest_facts).findings

    assert (finding.code, finding.evidence["path"]) == (STORAGE_NOT_SHARED.code, str(base))
    assert "compute2 has not looked at this image below the disk" in finding.sentence


def test_a_dest_that_could_not_be_asked_is_not_held_to_have_missed_images(hosts, image, base):
    stand_in = DestinationFacts(connect_address="compute2", host="compute2", examined=(overlay(image),))

    assert check_source(hosts, stand_in).findings == ()


# ---- what is only read


def add_disk(hosts, xml):
    domain = hosts.source.hypervisor.domains[hosts.uuid]
    domain.live_xml = domain.live_xml.replace("<memballoon", xml + "<memballoon")


@pytest.mark.parametrize(
    ("device", "readonly"),
    [("cdrom", "<readonly/>"), ("floppy", "<readonly/>"), ("disk", "<readonly/>")],
)
def test_a_copy_of_what_is_only_read_needs_not_be_shared(hosts, image, device, readonly):
    add_disk(
        hosts,
        f"<disk type='file' device='{device}'><source file='{image}'/><target dev='sda'/>{readonly}</disk>",
    )

    outcome = check_dest(hosts, arguments(hosts, ("sda", "file", str(image), device)))

    assert (outcome.findings, outcome.dest_facts.probes, left_in(image)) == ((), (), [])
    assert check_source(hosts, outcome.dest_facts).findings == ()


def test_a_medium_that_the_dest_does_not_have_refuses_nobody(hosts, image):
    add_disk(
        hosts, f"<disk type='file' device='cdrom'><source file='{image}.iso'/><target dev='sda'/></disk>"
    )

    outcome = check_dest(hosts, arguments(hosts, ("sda", "file", f"{image}.iso", "cdrom")))

    assert outcome.findings == ()


def test_a_read_only_disk_that_the_guest_was_given_meanwhile_needs_no_probe(hosts, image):
    facts = check_dest(hosts, arguments(hosts)).dest_facts
    add_disk(hosts, f"<disk type='file'><source file='{image}'/><target dev='vdb'/><readonly/></disk>")

    assert check_source(hosts, facts).findings == ()
