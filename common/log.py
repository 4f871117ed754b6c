"""Logging for services: one line for each event, with the fields of what it is about, and no secrets.

    with log.fields(migration=migration.id, instance=migration.instance):
        LOG.info("live_migration called")     ->  ... INFO conductor.saga: live_migration called [migration=... instance=...]

Fields hold for everything below in the same thread of work, and are handed on by `concurrency.spawn`. Under systemd each
is a field of the journal as well, in capitals: `journalctl MIGRATION=ID`, across restarts and both kinds of service.
"""

import contextvars
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from common import concurrency, journal

MASK = "***"
LINE_MAX_CHARS = 16_384  # a runaway message must not fill the journal

# user:password@ of a URL, which may name several hosts; and key=value or key: value, quoted or not, as in XML.
_URL_PASSWORD = re.compile(r"(?P<head>(?:://|,)[^\s:/@,]*:)[^\s/@]+(?=@)")
_NAMED_SECRET = re.compile(
    r"(?P<head>\b(?:passwd|password|secret)['\"]?\s*[=:]\s*['\"]?)[^\s'\",;}>]+", re.IGNORECASE
)

_NO_FIELDS: Mapping[str, str] = MappingProxyType({})
_fields: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("log_fields", default=_NO_FIELDS)

REPEAT_AFTER_S = 30.0  # a library's same line again; an outage of RabbitMQ is one each second and connection
REPEATS_REMEMBERED_MAX = 200

# Libraries that tell every byte at DEBUG, or every reconnect at INFO.
_NOISY = {
    "amqp": logging.INFO,
    "kombu": logging.INFO,
    "oslo_messaging": logging.INFO,
    "oslo.messaging": logging.INFO,
    "oslo_service": logging.WARNING,
    "stevedore": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "alembic": logging.INFO,
}


def setup(level: str, *, host: str = "") -> None:
    """Log to stderr, or to the journal if that is behind it; replaces what was set up before.

    `host`: whom the lines are about that name no other, as the journal's HOST.
    """
    handler: logging.Handler = _Handler(sys.stderr)
    handler.setFormatter(Formatter())
    if journal.is_stderr_the_journal():
        handler = _JournalHandler(journal.Journal(), otherwise=handler, host=host)
        handler.setFormatter(JournalFormatter())
    handler.addFilter(_RepeatFilter())
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, _JournalHandler):
            before.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, floor in _NOISY.items():
        logging.getLogger(name).setLevel(max(floor, root.level))
    logging.captureWarnings(True)


@contextmanager
def fields(**named: object) -> Iterator[None]:
    """Add these fields to everything logged inside."""
    merged = {**_fields.get(), **{name: str(value) for name, value in named.items()}}
    before = _fields.set(MappingProxyType(merged))
    try:
        yield
    finally:
        _fields.reset(before)


def mask(text: str) -> str:
    """The text without passwords."""
    return _NAMED_SECRET.sub(rf"\g<head>{MASK}", _URL_PASSWORD.sub(rf"\g<head>{MASK}", text))


def printable(text: str) -> str:
    """The text with what could move a cursor, or make a line of its own, escaped: strangers write some of it."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class Formatter(logging.Formatter):
    """Time in UTC, level, logger, message, fields; then the traceback, if there is one."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        about = " ".join(f"{name}={value}" for name, value in _fields.get().items())
        record.message = printable(record.message)  # a traceback comes behind it, and keeps its lines
        line = super().formatMessage(record)
        return f"{line} [{about}]" if about else line

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))[:LINE_MAX_CHARS]


class JournalFormatter(Formatter):
    """The same without time and level, which the journal has beside it."""

    def __init__(self) -> None:
        logging.Formatter.__init__(self, "%(name)s: %(message)s")


class _RepeatFilter(logging.Filter):
    """Let a line of the message bus's libraries through once in a while; ours always."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(("oslo.messaging", "oslo_messaging", "amqp", "kombu")):
            return True
        line = (record.name, str(record.msg))  # the template: its arguments differ by connection
        now_s = time.monotonic()
        if now_s - self._last.get(line, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return False
        if len(self._last) >= REPEATS_REMEMBERED_MAX:
            self._last.clear()
        self._last[line] = now_s
        return True


class _NativeLock(logging.Handler):
    """A handler's lock for native threads, which log too.

    Under eventlet a threading.RLock is green: contended by a native thread it would switch to a greenlet of another
    thread and die. Nothing yields while this lock is held.
    """

    def createLock(self) -> None:  # noqa: N802 (logging's name)
        self.lock = concurrency.native_rlock()


class _Handler(_NativeLock, logging.StreamHandler):  # type: ignore[type-arg]  # generic for typeshed only
    pass


class _JournalHandler(_NativeLock, logging.Handler):
    """To the journal, or to `otherwise` while it does not take anything."""

    def __init__(self, to: journal.Journal, *, otherwise: logging.Handler, host: str) -> None:
        super().__init__()
        self._journal = to
        self._otherwise = otherwise
        self._always = {"SYSLOG_IDENTIFIER": Path(sys.argv[0]).name, **({"HOST": host} if host else {})}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            about = {name.upper(): mask(value) for name, value in _fields.get().items()}
            line = {
                **self._always,
                **about,
                "MESSAGE": self.format(record),
                "PRIORITY": _priority(record.levelno),
                "LOGGER": record.name,
            }
            if not self._journal.send(line):
                self._otherwise.handle(record)
        except Exception:  # noqa: BLE001 (as every handler of logging: a line that cannot be told ends nothing)
            self.handleError(record)

    def close(self) -> None:
        self._journal.close()
        super().close()


def _priority(level: int) -> str:
    """As syslog counts."""
    for least, priority in (
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
    ):
        if level >= least:
            return str(priority)
    return "7"
