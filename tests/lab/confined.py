"""Run a program as a systemd unit of ours would confine it, without systemd: `python confined.py UNIT PROGRAM [WORD...]`.

What systemd does through the kernel's own means is done here by the same: the filter of system calls and of address families
(seccomp), the capabilities that may be had, no writable code, no new privileges. Mounts and users are not.
"""

import ctypes
import errno
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 22, 24, 38, 65
_FILTER, _REFUSE_EXEC_GAIN = 2, 1
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _FIRST_ARGUMENT_AT = 0, 16  # of struct seccomp_data
_HEADERS = {
    "call": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+)\s+(\d+)"),
    "capability": (Path("/usr/include/linux/capability.h"), r"#define (CAP_\w+)\s+(\d+)\s"),
}

Settings = Mapping[str, list[str]]


def settings(unit: Path) -> Settings:
    """Every value of each setting, in the unit's order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def allowed_calls(of_unit: Settings) -> set[int]:
    """Numbers of the system calls that SystemCallFilter leaves, as systemd.exec(5) reads its lines one after the other."""
    numbers = _numbers("call")
    first, *_ = of_unit["SystemCallFilter"]
    names = set() if not first.startswith("~") else set(numbers)
    for line in of_unit["SystemCallFilter"]:
        listed = {name for word in line.removeprefix("~").split() for name in _expanded(word)}
        names = names - listed if line.startswith("~") else names | listed
    return {numbers[name] for name in names if name in numbers}


def numbers_of_calls() -> dict[str, int]:
    return _numbers("call")


def confine(of_unit: Settings) -> None:
    """This process, and all that it starts."""
    kept = {word for line in of_unit["CapabilityBoundingSet"] for word in line.split()}
    for name, number in _numbers("capability").items():
        if name not in kept and not name.startswith("CAP_LAST"):
            _prctl(_PR_CAPBSET_DROP, number)
    if of_unit["MemoryDenyWriteExecute"] == ["yes"]:
        _prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    [words] = of_unit["RestrictAddressFamilies"]
    families = {int(getattr(socket, word)) for word in words.split()}
    calls = allowed_calls(of_unit)
    sockets = [
        *_load(_NUMBER_AT),
        (_EQUALS, 1, 0, _numbers("call")["socket"]),
        *_answer(_ALLOW),
        *_load(_FIRST_ARGUMENT_AT),
        *_unless(families),
        *_answer(_ERRNO | errno.EAFNOSUPPORT),
    ]
    _install(sockets)
    _install(
        [*_load(_NUMBER_AT), *_unless(calls | {_numbers("call")["execve"]}), *_answer(_ERRNO | errno.EPERM)]
    )


Instruction = tuple[int, int, int, int]


def _load(offset: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, offset)]


def _answer(action: int) -> list[Instruction]:
    return [(_RETURN, 0, 0, action)]


def _unless(values: Iterable[int]) -> list[Instruction]:
    """Let it pass if it is one of these."""
    return [step for value in sorted(values) for step in ((_EQUALS, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]


def _install(program: list[Instruction]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.addressof(header))


def _prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(word) for word in (*arguments, *[0] * (4 - len(arguments)))]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *words) != 0 and option != _PR_CAPBSET_DROP:  # this kernel may lack the newest
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _numbers(kind: str) -> dict[str, int]:
    path, pattern = _HEADERS[kind]
    return {name: int(number) for name, number in re.findall(pattern, path.read_text())}


def _expanded(word: str) -> set[str]:
    """The system calls of a group, groups in it included."""
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", word], capture_output=True, text=True, check=True
    ).stdout
    listed = [line.strip() for line in told.splitlines()[1:] if line.startswith("    ")]
    return {name for entry in listed if not entry.startswith("#") for name in _expanded(entry)}


if __name__ == "__main__":
    confine(settings(Path(sys.argv[1])))
    os.execv(sys.argv[2], sys.argv[2:])
