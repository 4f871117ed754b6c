"""What the command line of a guest's QEMU tells."""

import pytest

from compute_agent.qemu_process import open_files, was_begun_for_incoming

UUID = "c1b2a5a4-0f0e-4f4b-8a7e-1d2c3b4a5f60"
OTHER = "c1b2a5a4-0f0e-4f4b-8a7e-000000000000"


def begin(processes, number, *arguments):
    directory = processes / str(number)
    directory.mkdir()
    (directory / "cmdline").write_bytes("\0".join([*arguments, ""]).encode())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("qemu-system-x86_64", "-uuid", UUID, "-S"), False),
        (("qemu-system-x86_64", "-uuid", UUID, "-S", "-incoming", "defer"), True),
        (("qemu-system-x86_64", "-uuid", OTHER, "-incoming", "defer"), None),
        (("grep", UUID, "-incoming"), None),
    ],
)
def test_whether_it_was_begun_for_a_guest_that_comes(tmp_path, arguments, expected):
    begin(tmp_path, 1, "init", "-incoming")
    begin(tmp_path, 2)
    (tmp_path / "3").mkdir()  # has ended
    begin(tmp_path, 4, *arguments)

    assert was_begun_for_incoming(UUID, processes=tmp_path) is expected


def test_the_files_that_it_has_open_whatever_they_are_called_by_now(tmp_path):
    image = tmp_path / "web1.img"
    image.write_text("disk")
    begin(tmp_path, 4, "qemu-system-x86_64", "-uuid", UUID)
    assert open_files(UUID, processes=tmp_path) is None, "not for us to see"

    (tmp_path / "4" / "fd").mkdir()
    (tmp_path / "4" / "fd" / "9").symlink_to(image)
    (tmp_path / "4" / "fd" / "10").symlink_to(tmp_path / "closed meanwhile")

    found = image.stat()
    assert open_files(UUID, processes=tmp_path) == {(found.st_dev, found.st_ino)}
    assert open_files(OTHER, processes=tmp_path) is None
