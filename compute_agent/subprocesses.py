"""The one door to subprocesses: files touched as another user, and programs run to their end.

Another user's files are touched in a short-lived process of that user. A thread cannot do it: setfsuid is the thread's
on Linux, but eventlet's hub, the pool's threads and their reuse are not ours to give away to a user, and the file system's
idea of supplementary groups would stay root's. The process runs Python without our code and without its site, since that
user may not be able to read either.
"""

import contextlib
import errno
import grp
import inspect
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from common import concurrency
from common.facts import HostFacts
from compute_agent import file_actions
from compute_agent.errors import CommandError, StorageSilentError

CHILD_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 1.0
KILL_POLL_S = 0.01
COMMAND_TIMEOUT_S = 30.0
OUTPUT_MAX_CHARS = 1_000_000  # of a program; what is beyond is not looked at
HANGING_MAX = 8  # processes that could not even be killed: storage has been hanging for long

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

_hanging: list[Any] = []  # Popen


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Numbers, as files carry them."""

    uid: int
    gid: int

    @property
    def is_this_process(self) -> bool:
        return (self.uid, self.gid) == (os.geteuid(), os.getegid())

    @property
    def groups(self) -> list[int]:
        """As libvirt gives them to QEMU: those of the user's entry, if it has one."""
        try:
            name = pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return [self.gid]
        return os.getgrouplist(name, self.gid)

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def user_of(host: HostFacts, *, label: str = "") -> User | None:
    """Whom QEMU runs as on that host, where it is known; `label`: the guest's own, whose names are this host's."""
    if label:
        user, _, group = label.partition(":")
        uid, gid = _number(user, _uid_of), _number(group, _gid_of)
        return None if uid is None or gid is None else User(uid=uid, gid=gid)
    if host.qemu_uid is None or host.qemu_gid is None:
        return None
    return User(uid=host.qemu_uid, gid=host.qemu_gid)


def _number(text: str, number_of_name: Callable[[str], int]) -> int | None:
    """As libvirt reads it: `+` makes it a number, otherwise it is a name if there is one (formatdomain, seclabel)."""
    if not text.startswith("+"):
        try:
            return number_of_name(text)
        except KeyError:
            pass
    digits = text.removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdecimal() else None


def _uid_of(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid_of(name: str) -> int:
    return grp.getgrnam(name).gr_gid


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAction:
    """`open`: for reading, with `is_writing` for writing, and change nothing. `write` and `read` a small text; `remove`."""

    do: str  # open, write, read, remove
    path: str
    text: str = ""
    is_writing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    text: str = ""
    error: str = ""  # empty: it succeeded
    code: int = 0  # errno

    @property
    def is_missing(self) -> bool:
        return self.code == errno.ENOENT

    @property
    def is_denied(self) -> bool:
        return self.code in (errno.EACCES, errno.EPERM)


def do_here(actions: Sequence[FileAction]) -> tuple[Done, ...]:
    """As this process itself; blocks, so for a native thread."""
    return tuple(_done(file_actions.attempt(asdict(action))) for action in actions)


def run_as(
    user: User, actions: Sequence[FileAction], *, timeout_s: float = CHILD_TIMEOUT_S
) -> tuple[Done, ...]:
    """Do them one after the other as that user; from our side, never from a native thread.

    Raises StorageSilentError when they do not end in time: the process may hang in the kernel, and is left to it. An agent
    that may not become that user gets its own refusal as the error of each.
    """
    _reap()
    what = ", ".join(action.path for action in actions)
    if len(_hanging) >= HANGING_MAX:
        raise StorageSilentError(timeout_s=timeout_s, what=what)
    try:
        process = _start(user)
        question = json.dumps([asdict(action) for action in actions]).encode()
        # Not Popen's own timeout: under eventlet it raises another class than the module shows.
        answer, _ = concurrency.spawn(process.communicate, question).wait(timeout_s)
        return tuple(_done(done) for done in json.loads(answer))
    except concurrency.TaskTimeout as error:
        _give_up(process)
        raise StorageSilentError(timeout_s=timeout_s, what=what) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it gave no answer"
        return tuple(Done(error=f"no process of user {user} could look: {reason}") for _ in actions)


# ---- programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program has ended; what it says may be cut."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """What it said last, which most often is why it failed."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit code {self.code}"


def run_command(
    argv: Sequence[str],
    *,
    input_text: str = "",
    environment: Mapping[str, str] | None = None,
    timeout_s: float = COMMAND_TIMEOUT_S,
    output_max_chars: int = OUTPUT_MAX_CHARS,
) -> Finished:
    """Run a program as this process's user and wait for its end, without a shell; from our side, never a native thread.

    Whatever its exit code: that is for who asked. `environment`: beside a path and the C locale. Raises CommandError
    where it cannot be started, or does not end in time; then it is killed, with all that it has started.
    """
    _reap()
    try:
        process = _start_program(argv, environment or {})
    except OSError as error:
        raise CommandError(program=argv[0], reason=str(error.strerror or error)) from error
    try:
        out, err = concurrency.spawn(process.communicate, input_text.encode()).wait(timeout_s)
    except concurrency.TaskTimeout as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _give_up(process)
        raise CommandError(program=argv[0], reason=f"it did not end within {timeout_s:g} s") from error
    return Finished(
        code=process.returncode, stdout=_text(out)[:output_max_chars], stderr=_text(err)[:OUTPUT_MAX_CHARS]
    )


def _start_program(argv: Sequence[str], environment: Mapping[str, str]) -> Any:
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**_ENVIRONMENT, **environment},
        start_new_session=True,
    )


def _text(output: bytes) -> str:
    return output.decode("utf-8", errors="replace")


# ---- within


def _start(user: User) -> Any:
    return subprocess.Popen(
        [os.path.realpath(sys.executable), "-I", "-S", "-c", _program()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        **_identity(user),
    )


def _done(fields: Mapping[str, Any]) -> Done:
    return Done(text=str(fields["text"]), error=str(fields["error"]), code=int(fields["code"]))


@cache
def _program() -> str:
    return inspect.getsource(file_actions)


def _identity(user: User) -> dict[str, Any]:
    if user.is_this_process:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": user.groups}


def _give_up(process: Any) -> None:
    """End it. One that hangs in the kernel ends when its file system answers, and is reaped with a later one."""
    process.kill()
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            _hanging.append(process)
            return
        concurrency.sleep(KILL_POLL_S)


def _reap() -> None:
    _hanging[:] = [process for process in _hanging if process.poll() is None]
