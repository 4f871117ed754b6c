"""Log lines: their fields, and what never gets into them."""

import logging
import sys
import threading

import pytest

from common import concurrency, log


@pytest.fixture(autouse=True)
def _restored_root():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def record(message: str, *args: object, name: str = "conductor.saga") -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "f", 1, message, args, None)


def test_a_line_has_time_level_logger_message_and_fields():
    with log.fields(migration="m-1", instance="4a1c"):
        line = log.Formatter().format(record("phase is %s", "live"))
    time, rest = line.split(" ", 1)
    assert time.endswith("Z")
    assert rest == "INFO conductor.saga: phase is live [migration=m-1 instance=4a1c]"


def test_fields_add_up_inside_and_end_outside():
    with log.fields(host="compute1"):
        with log.fields(step="pre"):
            assert log.Formatter().format(record("x")).endswith("x [host=compute1 step=pre]")
        assert log.Formatter().format(record("x")).endswith("x [host=compute1]")
    assert log.Formatter().format(record("x")).endswith(": x")


def test_fields_go_along_into_spawned_work():
    def line() -> str:
        return log.Formatter().format(record("x"))

    with log.fields(migration="m-1"):
        task = concurrency.spawn(line)
    assert task.wait(5).endswith("[migration=m-1]")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rabbit://limosa:s3cret@10.0.0.1:5672/", "rabbit://limosa:***@10.0.0.1:5672/"),
        ("mysql+pymysql://u:a:b@db/limosa", "mysql+pymysql://u:***@db/limosa"),
        ("rabbit://a:one@h1,b:two@h2/", None),
        ("<graphics type='vnc' passwd='hunter2'/>", "<graphics type='vnc' passwd='***'/>"),
        ('{"password": "hunter2", "x": 1}', '{"password": "***", "x": 1}'),
        ("PASSWORD=hunter2 done", "PASSWORD=*** done"),
    ],
)
def test_secrets_are_masked(text, masked):
    seen = log.mask(text)
    assert not any(secret in seen for secret in ("s3cret", "hunter2", ":one@", ":two@"))
    assert masked is None or seen == masked


@pytest.mark.parametrize("text", ["qemu+tcp://compute2/system", "http://[::1]:80/a@b", "12:30 and a@b"])
def test_what_is_no_secret_stays(text):
    assert log.mask(text) == text


def test_tracebacks_are_masked_too():
    try:
        raise ValueError("cannot reach rabbit://u:s3cret@h/")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    text = log.Formatter().format(failed)
    assert "ValueError" in text
    assert "s3cret" not in text


def test_a_runaway_message_is_cut():
    assert len(log.Formatter().format(record("x" * 10 * log.LINE_MAX_CHARS))) == log.LINE_MAX_CHARS


def test_a_library_that_repeats_itself_is_heard_once_and_we_are_always(capsys):
    log.setup("INFO")
    for _ in range(5):
        logging.getLogger("oslo.messaging._drivers.impl_rabbit").error("Connection failed: %s", "refused")
        logging.getLogger("conductor.sweeper").info("resent")
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "Connection failed" in line]) == 1
    assert len([line for line in lines if "resent" in line]) == 5


def test_the_level_holds_and_libraries_are_quieter_than_we_are(capsys):
    log.setup("debug")
    logging.getLogger("conductor.saga").debug("ours")
    logging.getLogger("kombu").debug("theirs")
    lines = capsys.readouterr().err
    assert "ours" in lines
    assert "theirs" not in lines


def test_native_threads_may_log(capsys):
    log.setup("INFO")
    ended = threading.Event()

    def work() -> None:
        logging.getLogger("compute_agent.source").info("from a native thread")
        ended.set()

    concurrency.start_native_thread(work, "test")
    assert ended.wait(5)
    assert "from a native thread" in capsys.readouterr().err
