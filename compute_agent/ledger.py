"""The ledger: what this host has accepted and answered about each guest, one file for each, on disk before it is obeyed.

    STATE_PATH/ledger/lock             held by the one agent that may work here
    STATE_PATH/ledger/enrolled         the ledger is not new: what it does not know was never commanded here
    STATE_PATH/ledger/UUID.json        `acceptance.Entry`

Entries are never removed: one small file for each guest that was ever commanded here is the price of never obeying
an old command. The rules by which an entry changes are `compute_agent.acceptance`.
"""

import errno
import fcntl
import json
import os
import re
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

from common.errors import ConfigurationError, LimosaError, describe_os_error
from common.migration import Acknowledgement
from common.wire import WireError, from_primitive, to_primitive
from compute_agent import durable
from compute_agent.acceptance import Entry
from compute_agent.errors import InvalidCommandError, LedgerCorruptError, LedgerInUseError

DIRECTORY = "ledger"
FORMAT = 1
HOST_ADDRESS_MAX_BYTES = 107  # unix(7): sun_path, of which the kernel wants one for itself
_ENTRY_FILE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json")


class HostTakenError(LimosaError):
    message = "Another compute agent runs on {host} already."
    hint = "One agent runs on a host, whatever its state_path: stop the other one."
    exit_code = 2


def claim_host(host: str) -> socket.socket:
    """Be the host's only agent until it is closed, or the process ends; raises HostTakenError.

    The ledger's lock does not do: it keeps no agent with another state_path away, and with two ledgers neither one's
    fence stops the other's calls. This one is an address in Linux's abstract namespace, which leaves no file behind.
    That namespace is of the network namespace, so that each host of a lab has its own.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0limosa-compute-agent-{host}".encode()[:HOST_ADDRESS_MAX_BYTES])
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise HostTakenError(host=host) from error
    return claim


class Page:
    """One instance's entry, and the lock under which it is read, decided on and changed."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        self._path = path
        self._entry: Entry | None = None
        self._problem = ""
        self._is_written = True

    @property
    def entry(self) -> Entry | None:
        """None: nothing was ever accepted. Raises LedgerCorruptError."""
        if self._problem:
            raise LedgerCorruptError(path=self._path, reason=self._problem)
        return self._entry

    def load(self) -> None:
        """Read the file; one that cannot be read is remembered as corrupt."""
        try:
            self._entry = _decode(self._path.read_text(encoding="utf-8"))
            if self._entry.instance != self._path.stem:
                self._problem = f"it is of {self._entry.instance}"
        except (OSError, ValueError, KeyError, TypeError, WireError) as error:
            self._problem = str(error) or type(error).__name__

    def write(self, entry: Entry) -> None:
        """The entry survives everything from here on. On an error (a full disk) the old one holds."""
        durable.write(self._path, _encode(entry))
        self._entry, self._is_written = entry, True

    def keep(self, entry: Entry) -> None:
        """The entry holds for this process; `flush` writes it. For what a restart may forget without harm."""
        self._is_written = self._is_written and entry == self._entry
        self._entry, self._problem = entry, ""

    def flush(self) -> None:
        """Write what was only kept. Survives the agent; a loss of power may bring the entry before it back."""
        if not self._is_written and self._entry is not None:
            durable.write(self._path, _encode(self._entry), is_synced=False)
            self._is_written = True


class Ledger:
    """All pages of this host. Exists once: whoever has it holds the lock."""

    def __init__(self, directory: Path, lock_descriptor: int) -> None:
        self._directory = directory
        self._lock_descriptor = lock_descriptor
        self._pages: dict[str, Page] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, state_path: Path) -> "Ledger":
        """Read all of it. Raises LedgerInUseError while another agent lives on the same directory.

        Raises ConfigurationError where it cannot be kept: no such place, no permission, a disk that is full.
        """
        directory = state_path / DIRECTORY
        try:
            durable.make_state_directory(state_path)
            durable.make_directory(directory)
            descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, durable.PRIVATE_FILE)
        except FileNotFoundError as error:
            reason = f"the directory {state_path.parent} does not exist"
            raise ConfigurationError(group="DEFAULT", option="state_path", reason=reason) from error
        except OSError as error:
            raise unusable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LedgerInUseError(path=directory) from error
        ledger = cls(directory, descriptor)
        for path in directory.iterdir():
            if _ENTRY_FILE.fullmatch(path.name):
                ledger.page(path.stem).load()
        return ledger

    def close(self) -> None:
        """Let another agent work here."""
        os.close(self._lock_descriptor)

    def page(self, instance: str) -> Page:
        """The instance's page, empty if nothing was ever accepted. Raises InvalidCommandError for what is no uuid."""
        with self._lock:
            page = self._pages.get(instance)
            if page is None:
                name = f"{instance}.json"
                if not _ENTRY_FILE.fullmatch(name):
                    raise InvalidCommandError(verb="", instance=f"{instance:.80}", reason="not a uuid")
                page = self._pages[instance] = Page(self._directory / name)
            return page

    def entries(self) -> tuple[Entry, ...]:
        """Every entry that can be read."""
        with self._lock:
            pages = tuple(self._pages.values())
        return tuple(entry for entry in map(_readable, pages) if entry is not None)

    def problems(self) -> tuple[LedgerCorruptError, ...]:
        """The entries that cannot be read."""
        found = []
        for page in tuple(self._pages.values()):
            try:
                page.entry  # noqa: B018 (raises)
            except LedgerCorruptError as error:
                found.append(error)
        return tuple(found)

    # ---- a ledger that was lost, or never was (rule 7)

    @property
    def is_new(self) -> bool:
        """Whether it knows nothing yet: no command may be accepted before `enrol`."""
        return not self._marker.exists()

    def enrol(self, floors: Iterable[Acknowledgement]) -> None:
        """Take over from a conductor up to which epoch each instance's commands are old.

        What the lost ledger had called is not known: each floor counts as a call whose end nobody saw, so that its
        time of the drain is waited for (rule 10).
        """
        texts = {}
        for floor in floors:
            page = self.page(floor.instance)
            entry = _readable(page)
            if entry is None or entry.epoch < floor.epoch:
                entry = Entry(instance=floor.instance, epoch=floor.epoch, called=floor.epoch)
                page.keep(entry)
                texts[self._directory / f"{floor.instance}.json"] = _encode(entry)
        durable.write_many(texts)
        durable.write(self._marker, "")

    @property
    def _marker(self) -> Path:
        return self._directory / "enrolled"


def unusable(error: OSError) -> ConfigurationError:
    """What is wrong with state_path, of which at most the last directory is made."""
    return ConfigurationError(group="DEFAULT", option="state_path", reason=describe_os_error(error))


def _readable(page: Page) -> Entry | None:
    try:
        return page.entry
    except LedgerCorruptError:
        return None


def _encode(entry: Entry) -> str:
    return json.dumps({"format": FORMAT, "entry": to_primitive(entry)}) + "\n"


def _decode(text: str) -> Entry:
    data = json.loads(text)
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']} is not {FORMAT}")
    return from_primitive(Entry, data["entry"])
