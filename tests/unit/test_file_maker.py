"""Images that are files, made for a guest that comes: never over another one, and removed only where they are still ours."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from common.facts import DiskFacts
from common.transfer import DiskImage
from compute_agent.storage import file_maker
from compute_agent.storage.file_maker import FileMaker
from compute_agent.storage.making import (
    Identity,
    ImageExistsError,
    ImageInUseError,
    ImageMakingError,
    ImageNotCopyableError,
    MadeImage,
    WantedImage,
)

MIB = 2**20
CRYPT_METHOD_AT = 32  # of qcow2's header


@pytest.fixture
def maker() -> FileMaker:
    return FileMaker([Path("/")])


def raw(path: Path, *, size: int = MIB) -> DiskImage:
    return DiskImage(
        type="file", path=str(path), format="raw", virtual_bytes=size, allocated_bytes=0, mode=0o640
    )


def wanted(image: DiskImage) -> WantedImage:
    return WantedImage(target="vda", migration="migration-1", image=image)


def made(maker: FileMaker, image: DiskImage) -> MadeImage:
    notes: list[Identity] = []
    maker.make(wanted(image), note=notes.append)
    return MadeImage(name=image.path, identity=notes[-1])


def qemu_img(*arguments: object) -> str:
    return subprocess.run(
        ["qemu-img", *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def create(path: Path, *arguments: object) -> DiskFacts:
    qemu_img("create", "-q", "-f", "qcow2", *arguments)
    return DiskFacts(target="vda", type="file", source=str(path), format="qcow2")


def test_a_raw_image_has_the_size_and_the_permissions_of_the_one_it_is_like(
    maker: FileMaker, tmp_path: Path
) -> None:
    path = tmp_path / "disk.img"
    made(maker, raw(path, size=5 * MIB))
    assert (path.stat().st_size, path.stat().st_blocks, path.stat().st_mode & 0o7777) == (5 * MIB, 0, 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_refused_and_stays_as_it_is(maker: FileMaker, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_text("the guest's only disk")
    with pytest.raises(ImageExistsError):
        made(maker, raw(path))
    assert path.read_text() == "the guest's only disk"


def test_a_link_that_leads_nowhere_is_refused_too(maker: FileMaker, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.symlink_to(tmp_path / "elsewhere.img")
    with pytest.raises(ImageExistsError):
        made(maker, raw(path))
    assert not (tmp_path / "elsewhere.img").exists()


def test_whatever_was_noted_when_it_broke_off_all_of_it_can_be_removed(
    maker: FileMaker, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "disk.img"
    for breaks_at in (1, 2):
        notes: list[Identity] = []

        def note(identity: Identity, *, notes: list[Identity] = notes, breaks_at: int = breaks_at) -> None:
            notes.append(identity)
            if len(notes) == breaks_at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            maker.make(wanted(raw(path)), note=note)
        maker.remove(MadeImage(name=str(path), identity=notes[-1]))
        assert list(tmp_path.iterdir()) == []


def test_what_was_made_is_removed_once_with_the_directory_that_was_made_for_it(
    maker: FileMaker, tmp_path: Path
) -> None:
    image = made(maker, raw(tmp_path / "uuid" / "disk.img"))
    assert maker.remove(image)
    assert list(tmp_path.iterdir()) == []
    assert not maker.remove(image)


def test_another_file_of_its_name_is_left_alone(maker: FileMaker, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    image = made(maker, raw(path))
    kept = tmp_path / "kept.img"
    path.rename(kept)
    path.write_text("somebody else's")
    assert not maker.remove(image)
    assert path.read_text() == "somebody else's"


def test_nothing_is_removed_by_an_intention_alone(maker: FileMaker, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_text("somebody else's")
    temporary = str(tmp_path / f"{file_maker.PREFIX}migration-1-vda")
    assert not maker.remove(MadeImage(name=str(path), identity={"temporary": temporary}))
    assert not maker.remove(MadeImage(name=str(path), identity={}))
    assert path.exists()


def test_an_image_that_a_qemu_has_open_is_not_removed(maker: FileMaker, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    image = made(maker, raw(path))
    holder = subprocess.Popen(
        ["qemu-io", "-f", "raw", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    with holder:
        holder.stdin.write("read 0 512\n")
        holder.stdin.flush()
        while "ops" not in holder.stdout.readline():
            pass
        with pytest.raises(ImageInUseError):
            maker.remove(image)
        holder.stdin.close()
    assert maker.remove(image)


def test_the_disk_of_a_link_goes_with_the_link(maker: FileMaker, tmp_path: Path) -> None:
    real, link = tmp_path / "real.img", tmp_path / "link.img"
    real.write_bytes(b"\0" * 512)
    link.symlink_to(real)
    described = maker.describe(DiskFacts(target="vda", type="file", source=str(link)))
    assert maker.remove(MadeImage(name=str(link), identity=described.identity))
    assert list(tmp_path.iterdir()) == []


def test_a_qcow2_image_is_made_like_the_one_that_was_described(maker: FileMaker, tmp_path: Path) -> None:
    source, dest = tmp_path / "source", tmp_path / "dest"
    source.mkdir()
    dest.mkdir()
    for directory in (source, dest):
        (directory / "base.img").write_bytes(b"\0" * MIB)
    facts = create(
        source / "top.qcow2",
        *("-o", "cluster_size=131072,lazy_refcounts=on,extended_l2=on", "-b", "base.img", "-F", "raw"),
        *(source / "top.qcow2", "3M"),
    )
    described = maker.describe(facts)
    assert (described.virtual_bytes, described.backing, described.backing_format) == (
        3 * MIB,
        "base.img",
        "raw",
    )

    copy = DiskImage(
        type="file",
        path=str(dest / "top.qcow2"),
        format="qcow2",
        virtual_bytes=described.virtual_bytes,
        allocated_bytes=described.allocated_bytes,
        backing=described.backing,
        backing_format=described.backing_format,
        options=described.options,
        mode=described.mode,
    )
    made(maker, copy)

    keys = ("format", "virtual-size", "cluster-size", "backing-filename", "backing-filename-format")
    here, there = (
        json.loads(qemu_img("info", "--output=json", directory / "top.qcow2")) for directory in (source, dest)
    )
    assert [here.get(key) for key in keys] == [there.get(key) for key in keys]
    assert here["format-specific"] == there["format-specific"]


@pytest.mark.parametrize("options", [("-o", "compat=0.10"), ("-o", "refcount_bits=8"), ()])
def test_every_option_that_is_read_can_be_made_again(
    maker: FileMaker, tmp_path: Path, options: tuple[str, ...]
) -> None:
    described = maker.describe(create(tmp_path / "a", *options, tmp_path / "a", "1M"))
    argv = file_maker.qemu_img_create(described, tmp_path / "b")
    subprocess.run(argv, check=True)
    assert maker.describe(
        DiskFacts(target="vda", type="file", source=str(tmp_path / "b"), format="qcow2")
    ).options == (described.options)


def test_data_in_a_file_of_their_own_cannot_be_made_anew(maker: FileMaker, tmp_path: Path) -> None:
    facts = create(tmp_path / "a", "-o", f"data_file={tmp_path / 'data'}", tmp_path / "a", "1M")
    with pytest.raises(ImageNotCopyableError, match="its data are in a file of their own"):
        maker.describe(facts)


def test_an_encrypted_image_cannot_be_made_anew(maker: FileMaker, tmp_path: Path) -> None:
    facts = create(tmp_path / "a", tmp_path / "a", "1M")
    with (tmp_path / "a").open("r+b") as file:  # qemu-img would measure the processor to make a real one
        file.seek(CRYPT_METHOD_AT)
        file.write((2).to_bytes(4, "big"))
    with pytest.raises(ImageNotCopyableError, match="it is encrypted"):
        maker.describe(facts)


def test_internal_snapshots_would_be_lost(maker: FileMaker, tmp_path: Path) -> None:
    facts = create(tmp_path / "a", tmp_path / "a", "1M")
    qemu_img("snapshot", "-c", "before", tmp_path / "a")
    with pytest.raises(ImageNotCopyableError, match="1 internal snapshot"):
        maker.describe(facts)


def test_other_formats_are_told(maker: FileMaker, tmp_path: Path) -> None:
    with pytest.raises(ImageNotCopyableError, match="its format is vmdk"):
        maker.describe(DiskFacts(target="vda", type="file", source=str(tmp_path / "a"), format="vmdk"))


def test_a_directory_whose_parent_is_missing_is_not_made(maker: FileMaker, tmp_path: Path) -> None:
    with pytest.raises(ImageMakingError):
        made(maker, raw(tmp_path / "not" / "mounted" / "disk.img"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("directory", ["/etc/cron.d", "/usr/local/bin", "/root", "/var/spool/cron"])
def test_nothing_is_made_where_the_system_keeps_its_own(directory: str) -> None:
    """The path is the source's word: a host that was taken over must not have the next one's root write there."""
    maker = FileMaker()
    path = f"{directory}/limosa-test.img"
    assert "the system's own" in maker.obstacle(path) or "no directory" in maker.obstacle(path)
    image = DiskImage(type="file", path=path, format="raw", virtual_bytes=512, allocated_bytes=0)
    with pytest.raises(ImageMakingError):
        maker.make(WantedImage(target="vda", migration="m", image=image), note=lambda _identity: None)
    assert not Path(path).exists()


def test_what_is_made_can_be_run_by_nobody(maker: FileMaker, tmp_path: Path) -> None:
    path = tmp_path / "a.img"
    image = DiskImage(
        type="file", path=str(path), format="raw", virtual_bytes=512, allocated_bytes=0, mode=0o4755
    )
    maker.make(WantedImage(target="vda", migration="m", image=image), note=lambda _identity: None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
