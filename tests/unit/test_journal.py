"""The journal's own protocol, against a socket of the test's own."""

import logging
import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from common import journal, log


@pytest.fixture(autouse=True)
def _restored_root():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    log.setup("INFO")  # with the last one's socket closed
    for ours in root.handlers:
        ours.close()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the journal would listen; stderr is joined to it."""
    monkeypatch.setattr(journal.Journal.__init__, "__defaults__", (tmp_path / "journal",))
    here = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{here.st_dev}:{here.st_ino}")
    return tmp_path / "journal"


@pytest.fixture
def journald(path):
    with listening(path) as listener:
        yield listener


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(path))
    listener.settimeout(15)
    return listener


def received(listener: socket.socket) -> dict[str, str]:
    """One entry, read as systemd reads it."""
    data, entry = listener.recv(1_000_000), {}
    while data:
        line, _, data = data.partition(b"\n")
        name, is_short, value = line.partition(b"=")
        if not is_short:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[9 + length :]
        entry[name.decode()] = value.decode()
    return entry


def test_a_line_carries_its_fields_beside_it(journald, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/opt/limosa/bin/limosa-compute-agent"])
    log.setup("INFO", host="compute1")
    with log.fields(migration="m-1", instance="4a1c", step="pre"):
        logging.getLogger("compute_agent.desk").warning("begins")
    assert received(journald) == {
        "SYSLOG_IDENTIFIER": "limosa-compute-agent",
        "HOST": "compute1",
        "MIGRATION": "m-1",
        "INSTANCE": "4a1c",
        "STEP": "pre",
        "MESSAGE": "compute_agent.desk: begins [migration=m-1 instance=4a1c step=pre]",
        "PRIORITY": "4",
        "LOGGER": "compute_agent.desk",
    }


def test_a_line_about_another_host_says_so(journald):
    log.setup("INFO", host="controller")
    with log.fields(host="compute2"):
        logging.getLogger("conductor.driver").info("a late answer")
    assert received(journald)["HOST"] == "compute2"


def test_a_traceback_is_one_entry_and_masked(journald):
    log.setup("INFO")
    try:
        raise ValueError("rabbit://limosa:s3cret@controller/")
    except ValueError:
        logging.getLogger("conductor").exception("broken")
    entry = received(journald)
    assert entry["PRIORITY"] == "3"
    assert entry["MESSAGE"].startswith("conductor: broken\nTraceback")
    assert "s3cret" not in entry["MESSAGE"]


def test_a_line_of_most_characters_fits_a_datagram(journald):
    log.setup("INFO")
    logging.getLogger("conductor").info("\N{SNOWMAN}" * 2 * log.LINE_MAX_CHARS)
    assert len(received(journald)["MESSAGE"]) == log.LINE_MAX_CHARS


def test_a_field_cannot_add_another(journald):
    log.setup("INFO")
    with log.fields(instance="x\nPRIORITY=0", **{"no such name": "x"}):
        logging.getLogger("conductor").info("x")
    entry = received(journald)
    assert entry["INSTANCE"] == "x\nPRIORITY=0"
    assert entry["PRIORITY"] == "6"
    assert not [name for name in entry if " " in name]


def test_while_the_journal_is_away_lines_go_to_stderr_and_then_to_it_again(path, capfd, monkeypatch):
    here = os.fstat(2)  # capfd's
    monkeypatch.setenv("JOURNAL_STREAM", f"{here.st_dev}:{here.st_ino}")
    with listening(path) as first:
        log.setup("INFO")
        logging.getLogger("conductor").info("one")
        assert "one" in received(first)["MESSAGE"]
    path.unlink()
    logging.getLogger("conductor").info("two")
    assert "INFO conductor: two" in capfd.readouterr().err
    with listening(path) as second:
        logging.getLogger("conductor").info("three")
        assert "three" in received(second)["MESSAGE"]


def test_stderr_that_somebody_turned_elsewhere_is_not_the_journal():
    here = os.fstat(2)
    assert journal.is_stderr_the_journal({"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"})
    assert not journal.is_stderr_the_journal({"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino + 1}"})
    assert not journal.is_stderr_the_journal({})
