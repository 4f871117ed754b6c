"""What a guest only reads: found equal on the dest, copied, or its drive emptied, as [media] says; and undone."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.facts import DiskFacts, GuestFacts
from common.migration import DomainChanges
from common.states import MissingMedium
from common.transfer import BootFileChange, Declarations, DiskChange, MediumTransfer, TransferPlan
from compute_agent import checks
from compute_agent.checks import media as media_checks
from compute_agent.checksums import Checksums
from compute_agent.copying import Copying
from compute_agent.hypervisor.driver import Definition
from compute_agent.hypervisor.moved_devices import change_devices
from compute_agent.hypervisor.xml_text import XmlText
from compute_agent.image_places import is_for_images
from compute_agent.media import Medium, media_of
from compute_agent.media_contents import MediaContents, seen_here
from compute_agent.preparing import Arrival, Arrivals, Prepared, Undoing
from compute_agent.preparing.media import Media
from compute_agent.settings import LiveMigrationSettings, MediaSettings, Settings
from tests.fakes.agent import guest_facts
from tests.fakes.domain import HOST_FACTS, guest_xml
from tests.fakes.host import FLAGS
from tests.fakes.hypervisor import FakeWorld
from tests.fakes.links import FakeLinks
from tests.fakes.network import FakeNetwork

ISO = b"iso" * 3000
SHA = hashlib.sha256(ISO).hexdigest()


class Dest:
    """A host that a guest with media is to come to; the source's files are in memory."""

    def __init__(self, tmp_path: Path, policy: MissingMedium = MissingMedium.COPY) -> None:
        world = FakeWorld("compute1", "compute2")
        self.source, self.hypervisor = world.hosts["compute1"], world.hosts["compute2"]
        self.state = tmp_path / "state"
        self.isos = tmp_path / "isos"
        self.state.mkdir()
        self.isos.mkdir()
        self.settings = Settings(
            host="compute2",
            state_path=self.state,
            live_migration=LiveMigrationSettings(flags=FLAGS),
            media=MediaSettings(missing_medium=policy),
        )
        self.arrivals = Arrivals(self.state)
        copying = Copying(self.hypervisor, arrivals=self.arrivals, checksums=Checksums())
        self.media = Media(copying, self.hypervisor, self.settings)

    def medium(self, path: Path | str = "", *, content: bytes = ISO, **fields: object) -> MediumTransfer:
        """As the source has found it. It has the file."""
        path = str(path or self.isos / "debian.iso")
        self.source.files[path] = content
        transfer = MediumTransfer(
            what="sda",
            path=path,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            is_removable=True,
        )
        return replace(transfer, **fields)  # type: ignore[arg-type]

    def prepare(self, *media: MediumTransfer) -> Prepared:
        return self.media.prepare(
            Arrival(
                instance="i1",
                name="web1",
                migration="m1",
                plan=TransferPlan(media=media),
                declared=Declarations(),
                record=self.arrivals.open("m1", instance="i1"),
                source_address="compute1",
            )
        )

    def undo(self, *, keep_disks: bool = False) -> tuple[str, ...]:
        record = self.arrivals.open("m1", instance="i1")
        return self.media.undo(Undoing(instance="i1", migration="m1", record=record, keep_disks=keep_disks))

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.state.parent)) for path in self.state.parent.rglob("*.iso"))


@pytest.fixture
def dest(tmp_path: Path) -> Dest:
    return Dest(tmp_path)


@pytest.fixture
def dest_with(tmp_path: Path) -> Callable[[MissingMedium], Dest]:
    return lambda policy: Dest(tmp_path, policy)


def codes(prepared: Prepared) -> list[str]:
    return [f"{finding.code} {finding.severity}" for finding in prepared.findings]


# ---- copied


def test_a_medium_is_copied_to_its_own_path_and_the_xml_stays(dest: Dest) -> None:
    assert dest.prepare(dest.medium()) == Prepared()

    assert (dest.isos / "debian.iso").read_bytes() == ISO


def test_an_equal_medium_is_left_where_it_is(dest: Dest) -> None:
    (dest.isos / "debian.iso").write_bytes(ISO)
    medium = dest.medium()
    dest.source.files.clear()

    assert dest.prepare(medium) == Prepared()


def test_a_medium_whose_name_another_file_has_lies_beside_it_and_the_xml_is_changed(dest: Dest) -> None:
    (dest.isos / "debian.iso").write_bytes(b"another")

    prepared = dest.prepare(dest.medium())

    path = str(dest.state / "media" / f"{SHA[:16]}-debian.iso")
    change = DiskChange(target="sda", source={"file": path}, instead_of=str(dest.isos / "debian.iso"))
    assert prepared == Prepared(changes=DomainChanges(disks=(change,)))
    assert Path(path).read_bytes() == ISO
    assert (dest.isos / "debian.iso").read_bytes() == b"another"


def test_a_kernel_of_boot_is_not_put_where_it_could_be_started_from(dest: Dest) -> None:
    kernel = dest.medium("/boot/vmlinuz-of-a-guest.iso", what="kernel", is_removable=False)

    prepared = dest.prepare(kernel)

    path = str(dest.state / "media" / f"{SHA[:16]}-vmlinuz-of-a-guest.iso")
    change = BootFileChange(what="kernel", path=path, instead_of=kernel.path)
    assert prepared == Prepared(changes=DomainChanges(boot_files=(change,)))


@pytest.mark.parametrize(
    "directory", ["/", "/boot", "/usr/share", "/root", "/var/spool", "/nowhere", "relative"]
)
def test_a_directory_of_the_system_is_not_for_images(directory: str) -> None:
    assert not is_for_images(Path(directory))


def test_a_link_to_a_directory_of_the_system_is_not_for_images(tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to("/etc")

    assert is_for_images(tmp_path, also=[tmp_path])
    assert not is_for_images(tmp_path / "images")


def test_a_firmware_of_equal_length_will_do(dest: Dest) -> None:
    (dest.isos / "code.fd").write_bytes(b"x" * len(ISO))
    medium = dest.medium(dest.isos / "code.fd", what="loader", is_removable=False)

    assert dest.prepare(medium) == Prepared()


def test_a_template_of_variables_is_changed_where_the_xml_names_it() -> None:
    nvram = "<os><nvram template='/here/VARS.fd'>/a.fd</nvram></os>"
    document = XmlText.parse(f"<domain>{nvram}</domain>")
    changes = (
        BootFileChange(what="template", path="/media/other", instead_of="/elsewhere/VARS.fd"),
        BootFileChange(what="template", path="/media/VARS.fd", instead_of="/here/VARS.fd"),
    )

    change_devices(document, DomainChanges(boot_files=changes))

    assert document.edited() == '<domain><os><nvram template="/media/VARS.fd">/a.fd</nvram></os></domain>'


def test_what_is_prepared_twice_is_prepared_once(dest: Dest) -> None:
    (dest.isos / "debian.iso").write_bytes(b"another")

    assert dest.prepare(dest.medium()) == dest.prepare(dest.medium())


# ---- not copied


@pytest.mark.parametrize("is_there", [True, False])
def test_a_drive_is_emptied_where_the_policy_says_so(
    dest_with: Callable[[MissingMedium], Dest], is_there: bool
) -> None:
    dest = dest_with(MissingMedium.EJECT)
    if is_there:
        (dest.isos / "debian.iso").write_bytes(b"another")

    prepared = dest.prepare(dest.medium())

    [change] = prepared.changes.disks
    assert (change.target, change.is_emptied) == ("sda", True)
    assert codes(prepared) == ["medium_ejected warns"]


def test_what_lies_in_no_drive_is_copied_though_the_policy_says_eject(
    dest_with: Callable[[MissingMedium], Dest],
) -> None:
    dest = dest_with(MissingMedium.EJECT)

    assert dest.prepare(dest.medium(what="kernel", is_removable=False)) == Prepared()
    assert dest.files == ["isos/debian.iso"]


def test_a_medium_is_refused_where_the_policy_says_so(dest_with: Callable[[MissingMedium], Dest]) -> None:
    dest = dest_with(MissingMedium.REFUSE)

    assert codes(dest.prepare(dest.medium())) == ["medium_missing refuses"]
    assert dest.files == []


def test_a_medium_that_vanished_since_the_check_refuses(dest: Dest) -> None:
    medium = dest.medium()
    dest.source.files.clear()

    [finding] = dest.prepare(medium).findings

    assert finding.code == "medium_not_copied"
    assert "The source has no" in finding.sentence


def test_a_medium_that_may_be_missing_and_vanished_is_taken_out(dest: Dest) -> None:
    medium = dest.medium(is_dispensable=True)
    dest.source.files.clear()

    prepared = dest.prepare(medium)

    assert codes(prepared) == ["medium_ejected warns"]
    assert prepared.changes.disks[0].is_emptied


def test_a_drive_of_the_host_itself_is_emptied_where_the_dest_has_none(dest: Dest) -> None:
    prepared = dest.prepare(dest.medium("/dev/sr9", sha256="", type="block"))

    assert codes(prepared) == ["medium_ejected warns"]


# ---- undone


def test_the_undo_removes_copies_and_the_directory_made_for_them(dest: Dest) -> None:
    dest.prepare(dest.medium(), dest.medium("/nowhere/b.iso", what="sdb", content=b"b"))
    assert dest.files == [
        "isos/debian.iso",
        f"state/media/{hashlib.sha256(b'b').hexdigest()[:16]}-b.iso",
    ]

    dest.undo()

    assert dest.files == []
    assert not (dest.state / "media").exists()


def test_what_may_be_needed_as_evidence_stays(dest: Dest) -> None:
    dest.prepare(dest.medium())

    dest.undo(keep_disks=True)

    assert dest.files == ["isos/debian.iso"]


# ---- found by the source


def definition(live: str, inactive: str | None = None) -> Definition:
    return Definition(
        live_xml=live,
        inactive_xml=inactive,
        is_active=True,
        is_persistent=inactive is not None,
        has_autostart=False,
        is_paused=False,
    )


def cdrom(path: Path | str, target: str = "sda") -> str:
    return (
        f"<disk type='file' device='cdrom'><source file='{path}'/><target dev='{target}'/><readonly/></disk>"
    )


def found(definition: Definition) -> tuple[MediumTransfer, ...]:
    return MediaContents(Checksums()).transfers(definition, host=HOST_FACTS, is_stopped=lambda: False)


def test_the_source_tells_what_is_in_live_and_in_inactive_media(tmp_path: Path) -> None:
    now, later, gone = tmp_path / "now.iso", tmp_path / "later.iso", tmp_path / "gone.iso"
    now.write_bytes(ISO)
    later.write_bytes(b"later")
    now.chmod(0o640)
    live = guest_xml("web1", devices=cdrom(now))
    inactive = guest_xml("web1", devices=cdrom(later) + cdrom(gone, "sdb"))

    transfers = found(definition(live, inactive))

    assert [(each.path, each.size_bytes) for each in transfers] == [(str(now), len(ISO)), (str(later), 5)]
    assert (transfers[0].sha256, transfers[0].mode, transfers[0].is_removable) == (SHA, 0o640, True)


def test_a_medium_that_both_hosts_see_is_not_read(tmp_path: Path, dest: Dest) -> None:
    iso = tmp_path / "shared.iso"
    iso.write_bytes(ISO)
    there = seen_here(guest_with(iso))
    shared = definition(guest_xml("web1", devices=cdrom(iso)))

    [transfer] = MediaContents(Checksums()).transfers(shared, host=HOST_FACTS, there=there)

    assert (transfer.is_shared, transfer.sha256) == (True, "")
    assert dest.prepare(transfer) == Prepared()


@pytest.mark.parametrize("field", ["size_bytes", "inode", "modified_ns", "changed_ns"])
def test_a_medium_that_differs_in_anything_is_read(tmp_path: Path, field: str) -> None:
    iso = tmp_path / "own.iso"
    iso.write_bytes(ISO)
    [seen] = seen_here(guest_with(iso))
    there = (replace(seen, **{field: getattr(seen, field) + 1}),)  # type: ignore[arg-type]

    [transfer] = MediaContents(Checksums()).transfers(
        definition(guest_xml("web1", devices=cdrom(iso))), host=HOST_FACTS, there=there
    )

    assert (transfer.is_shared, transfer.sha256) == (False, SHA)


def test_the_dest_tells_nothing_of_a_medium_that_it_has_not(tmp_path: Path) -> None:
    assert seen_here(guest_with(tmp_path / "nowhere.iso")) == ()


def test_a_medium_that_vanished_has_no_checksum(tmp_path: Path) -> None:
    [transfer] = found(definition(guest_xml("web1", devices=cdrom(tmp_path / "gone.iso"))))

    assert transfer.sha256 == ""


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (DiskFacts(target="sda", type="file", source="/a.iso", device="cdrom"), True),
        (DiskFacts(target="sda", type="file", source="", device="cdrom"), False),
        (DiskFacts(target="fda", type="file", source="/a.img", device="floppy"), False),  # it moves as a disk
        (DiskFacts(target="fda", type="file", source="/a.img", device="floppy", is_readonly=True), True),
        (DiskFacts(target="vdb", type="file", source="/a.raw", is_readonly=True), True),
        (
            DiskFacts(target="vdb", type="file", source="/a", is_readonly=True, layers=(("file", "/b"),)),
            False,
        ),
        (DiskFacts(target="sda", type="network", source="iso", device="cdrom"), False),
    ],
)
def test_what_is_a_medium(disk: DiskFacts, expected: bool) -> None:
    assert bool(media_of(guest_facts("u1", disks=(disk,)))) is expected


def test_variables_of_the_firmware_are_no_medium() -> None:
    guest = guest_facts("u1", disks=(), boot_files=(("loader", "/code.fd"), ("nvram", "/vars.fd")))

    assert media_of(guest) == (Medium(what="loader", path="/code.fd"),)


# ---- in the XML


def test_a_change_is_made_only_where_the_xml_names_that_medium() -> None:
    document = XmlText.parse(guest_xml("web1", devices=cdrom("/isos/other.iso")))
    changes = (
        DiskChange(target="sda", source={"file": "/media/x.iso"}, instead_of="/isos/debian.iso"),
        DiskChange(target="sda", is_emptied=True, instead_of="/isos/debian.iso"),
    )

    for change in changes:
        change_devices(document, DomainChanges(disks=(change,)))

    assert "/isos/other.iso" in document.edited()


# ---- checks


def dest_look(dest: Dest, guest: GuestFacts) -> checks.DestLook:
    return checks.DestLook(
        hypervisor=dest.hypervisor,
        network=FakeNetwork(),
        links=FakeLinks(),
        settings=dest.settings,
        instance="i1",
        guest=guest,
        dest=HOST_FACTS,
        source=HOST_FACTS,
        source_host="compute1",
    )


def guest_with(path: Path | str, **fields: object) -> GuestFacts:
    disk = DiskFacts(target="sda", type="file", source=str(path), device="cdrom")
    return guest_facts("u1", disks=(replace(disk, **fields),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (MissingMedium.COPY, []),
        (MissingMedium.EJECT, ["medium_ejected warns"]),
        (MissingMedium.REFUSE, ["medium_missing refuses"]),
    ],
)
def test_a_medium_that_is_not_here_is_told_as_the_policy_has_it(
    dest_with: Callable[[MissingMedium], Dest], policy: MissingMedium, expected: list[str]
) -> None:
    look = dest_look(dest_with(policy), guest_with("/nowhere/debian.iso"))

    assert [f"{finding.code} {finding.severity}" for finding in media_checks.check_media(look)] == expected


def test_a_source_that_cannot_be_copied_from_refuses(dest: Dest) -> None:
    dest.source.is_down = True

    [finding] = media_checks.check_media(dest_look(dest, guest_with("/nowhere/debian.iso")))

    assert finding.code == "media_source_unreachable"
    assert "qemu+tcp://compute1/system" in finding.sentence


def test_a_source_that_is_away_does_not_matter_to_a_dest_that_has_the_medium(dest: Dest) -> None:
    (dest.isos / "debian.iso").write_bytes(ISO)
    dest.source.is_down = True

    assert list(media_checks.check_media(dest_look(dest, guest_with(dest.isos / "debian.iso")))) == []


def test_a_directory_for_the_firmwares_variables_must_be_there(dest: Dest) -> None:
    guest = guest_facts("u1", disks=(), boot_files=(("nvram", "/nowhere/web1_VARS.fd"),))

    [finding] = media_checks.check_media(dest_look(dest, guest))

    assert finding.code == "nvram_directory_missing"
