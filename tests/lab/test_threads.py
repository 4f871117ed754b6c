"""One smoke run with native threads in place of eventlet: the services must not need green ones."""

import os
import shutil
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from lab.paths import CHECKOUT, LabPaths
from tests.lab import observer

NAME = "threaded"


@pytest.fixture
def threaded_lab() -> Iterator[Lab]:
    """A lab of its own beside the session's."""
    paths = LabPaths(top=CHECKOUT / ".lab" / "threads")
    settings = {"DEFAULT.concurrency_backend": "threading"}
    lab = Lab.up(hosts=2, owner_pid=os.getpid(), settings=settings, paths=paths)
    try:
        yield lab
    finally:
        Lab.down(paths=paths)
        shutil.rmtree(paths.top, ignore_errors=True)


def test_a_guest_migrates_there_and_back_with_native_threads(threaded_lab: Lab) -> None:
    first = threaded_lab.guest_create(NAME, "compute1")
    observer.wait_until_found(threaded_lab, NAME)

    for dest in ("compute2", "compute1"):
        assert observer.migrate(threaded_lab, NAME, dest)["status"] == "completed"

    observer.assert_one_guest(threaded_lab, NAME, host="compute1", boot_id=first.boot_id)
