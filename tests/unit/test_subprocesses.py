"""Files touched as another user, by a process of that user; these tests run as root, as the agent does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compute_agent import subprocesses
from compute_agent.errors import CommandError, StorageSilentError
from compute_agent.subprocesses import FileAction, User, do_here, run_as, run_command, user_of
from tests.fakes.agent import host_facts

NOBODY = User(uid=65534, gid=65534)
ROOT = User(uid=0, gid=0)


@pytest.fixture
def image(tmp_path):
    """Root's alone, in a directory that everybody may enter."""
    path = tmp_path / "web1.raw"
    path.write_text("disk")
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def passable(tmp_path):
    for directory in (tmp_path, *list(tmp_path.parents)[:-1]):
        if not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)


def opening(path, *, is_writing=True):
    return FileAction(do="open", path=str(path), is_writing=is_writing)


def test_what_root_may_open_another_user_may_not(image):
    [mine] = do_here([opening(image)])
    [theirs] = run_as(NOBODY, [opening(image)])

    assert mine.error == ""
    assert (theirs.error, theirs.is_denied) == ("Permission denied", True)


def test_reading_asks_for_less_than_writing(image):
    image.chmod(0o644)

    reading, writing = run_as(NOBODY, [opening(image, is_writing=False), opening(image)])

    assert (reading.error, writing.error) == ("", "Permission denied")
    assert image.read_text() == "disk"


def test_a_file_is_written_read_and_removed_as_its_owner(tmp_path):
    tmp_path.chmod(0o777)
    path = str(tmp_path / "probe")

    [written] = run_as(NOBODY, [FileAction(do="write", path=path, text="token")])
    owner = os.stat(path).st_uid  # noqa: PTH116
    read, removed = run_as(NOBODY, [FileAction(do="read", path=path), FileAction(do="remove", path=path)])

    assert (written.error, owner, read.text, removed.error) == ("", NOBODY.uid, "token", "")
    assert not (tmp_path / "probe").exists()


def test_no_link_is_followed_when_writing(tmp_path, image):
    tmp_path.chmod(0o777)
    (tmp_path / "link").symlink_to(image)

    [done] = do_here([FileAction(do="write", path=str(tmp_path / "link"), text="token")])

    assert done.error
    assert image.read_text() == "disk"


def test_a_missing_file_is_told_apart_from_one_that_is_denied(tmp_path):
    [done] = run_as(NOBODY, [opening(tmp_path / "none")])

    assert (done.is_missing, done.is_denied) == (True, False)


def test_a_process_that_hangs_is_given_up(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o666)
    fifo.chmod(0o666)

    with pytest.raises(StorageSilentError, match="fifo"):
        run_as(NOBODY, [FileAction(do="read", path=str(fifo))], timeout_s=0.5)


def test_while_too_many_hang_no_further_one_is_started(image, monkeypatch):
    class Hanging:
        def poll(self):
            return None

    monkeypatch.setattr(subprocesses, "_hanging", [Hanging() for _ in range(subprocesses.HANGING_MAX)])

    with pytest.raises(StorageSilentError):
        run_as(NOBODY, [opening(image)])


def test_a_user_that_nobody_may_become_is_an_error_of_each_action(image, monkeypatch):
    def refused(*_arguments, **_options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(subprocesses.subprocess, "Popen", refused)

    first, second = run_as(NOBODY, [opening(image), opening(image)])

    assert first == second
    assert first.error == "no process of user 65534:65534 could look: Operation not permitted"


def test_this_process_is_told_apart_from_another_user():
    assert ROOT.is_this_process == (os.geteuid() == 0)
    assert not NOBODY.is_this_process
    assert user_of(host_facts()) is None


UNDER_EVENTLET = """
from common import concurrency
concurrency.setup("eventlet")
import sys, threading, time
from compute_agent.errors import NetworkError, StorageSilentError
from compute_agent.network import HostNetwork
from compute_agent.subprocesses import FileAction, User, run_as

ticks = []
threading.Thread(target=lambda: [(ticks.append(1), time.sleep(0.02)) for _ in range(1000)], daemon=True).start()
nobody = User(uid=65534, gid=65534)
[done] = run_as(nobody, [FileAction(do="open", path="/etc/shadow")])
assert done.is_denied, done
try:
    run_as(nobody, [FileAction(do="read", path=sys.argv[1])], timeout_s=0.5)
    raise AssertionError("it must be given up")
except StorageSilentError:
    assert len(ticks) > 10, "the others went on"
network = HostNetwork()
assert network.resolve("localhost") and network.has_address("127.0.0.1")
try:
    network.connect("127.0.0.1", 1)
    raise AssertionError("nobody listens there")
except NetworkError as error:
    assert "refused" in str(error)
"""


def test_under_eventlet_a_process_and_the_network_are_waited_for_without_stopping_the_others(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    root = Path(__file__).parents[2]

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNDER_EVENTLET, str(fifo)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_is_given_its_input_and_heard_to_its_end():
    finished = run_command(
        ["sh", "-c", "cat; echo why >&2; echo $LABEL; exit 3"], input_text="in ", environment={"LABEL": "set"}
    )
    assert (finished.code, finished.stdout, finished.last_line) == (3, "in set\n", "why")


def test_a_program_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(CommandError, match="/no/such/program: No such file or directory"):
        run_command(["/no/such/program"])


def test_a_program_that_does_not_end_is_killed_with_what_it_started(tmp_path):
    with pytest.raises(CommandError, match="did not end within"):
        run_command(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 1000; true"], timeout_s=0.5)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
