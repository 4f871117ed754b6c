"""What the command line of a guest's QEMU tells."""

import pytest

from compute_agent.qemu_process import was_begun_for_incoming

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
