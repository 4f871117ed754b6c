"""Grants for iSCSI targets of tgtd, by tgtadm: the target's access list, and its live sessions.

tgtd goes by its list when a session begins only: one that is open survives the unbinding, and must be ended by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compute_agent.errors import CommandError
from compute_agent.grants.driver import Access, GrantError
from compute_agent.subprocesses import Finished, run_command

_EVERYBODY: Final = "ALL"
# tgtadm's own numbers are all 22 (EINVAL): only its text tells which it is (tgt 1.0.85, usr/tgtadm_error.h).
_BOUND_ALREADY: Final = "access control rule already exists"
_NOT_BOUND: Final = "access control rule does not exist"
_GONE: Final = "can't find"  # the target, the session: nothing is left to be ended

_TARGET = re.compile(r"^Target (?P<tid>\d+): (?P<name>\S+)$")
_SESSION = re.compile(r"^\s+I_T nexus: (?P<sid>\d+)$")
_INITIATOR = re.compile(r"^\s+Initiator: (?P<name>\S+)")
_CONNECTION = re.compile(r"^\s+Connection: (?P<cid>\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    initiator: str
    sid: str
    cid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    tid: str
    name: str
    admitted: tuple[str, ...]  # names and addresses
    connections: tuple[Connection, ...]


class TgtdGrants:
    """See `driver.GrantDriver`."""

    def __init__(self, command: Sequence[str], *, timeout_s: float) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s

    def concerns(self, access: Access) -> bool:
        """Only what comes by a name: a guest without an initiator of its host's is known to the target by its own."""
        return access.volume.driver == "iscsi" and bool(access.initiator)

    def grant(self, access: Access) -> bool:
        target = self._target(access, action="grant")
        if target is None:
            raise GrantError(volume=access.name, action="grant", reason="tgtd has no such target")
        if access.initiator in target.admitted or _EVERYBODY in target.admitted:
            return False
        bound = self._run(access, "grant", "bind", "target", "--tid", target.tid, *_named(access))
        if bound.code != 0 and _BOUND_ALREADY not in bound.stderr:
            raise GrantError(volume=access.name, action="grant", reason=bound.last_line)
        return bound.code == 0

    def withdraw(self, access: Access) -> None:
        target = self._target(access, action="withdraw")
        if target is None:
            return
        if access.initiator in target.admitted:
            unbound = self._run(access, "withdraw", "unbind", "target", "--tid", target.tid, *_named(access))
            if unbound.code != 0 and _NOT_BOUND not in unbound.stderr:
                raise GrantError(volume=access.name, action="withdraw", reason=unbound.last_line)
            target = self._target(access, action="withdraw") or target  # who came in before the door was shut
        for one in target.connections:
            if one.initiator == access.initiator:
                where = ("--tid", target.tid, "--sid", one.sid, "--cid", one.cid)
                ended = self._run(access, "withdraw", "delete", "conn", *where)
                if ended.code != 0 and _GONE not in ended.stderr:
                    raise GrantError(volume=access.name, action="withdraw", reason=ended.last_line)

    def _target(self, access: Access, *, action: str) -> Target | None:
        shown = self._run(access, action, "show", "target")
        if shown.code != 0:
            raise GrantError(volume=access.name, action=action, reason=shown.last_line)
        return next((each for each in targets_in(shown.stdout) if each.name == access.volume.export), None)

    def _run(self, access: Access, action: str, operation: str, mode: str, *words: str) -> Finished:
        server = next(iter(access.volume.servers), "").rpartition(":")[0].strip("[]")
        command = [word.replace("%s", server) for word in self._command]
        argv = [*command, "--lld", "iscsi", "--op", operation, "--mode", mode, *words]
        try:
            return run_command(argv, timeout_s=self._timeout_s)
        except CommandError as error:
            raise GrantError(volume=access.name, action=action, reason=str(error)) from error


def targets_in(shown: str) -> tuple[Target, ...]:
    """What `tgtadm --op show --mode target` says, as far as it concerns access. Pure."""
    targets: list[Target] = []
    for block in _blocks(shown):
        head = _TARGET.match(block[0])
        assert head is not None
        targets.append(
            Target(
                tid=head["tid"],
                name=head["name"],
                admitted=_admitted(block),
                connections=tuple(_connections(block)),
            )
        )
    return tuple(targets)


def _blocks(shown: str) -> list[list[str]]:
    blocks: list[list[str]] = []
    for line in shown.splitlines():
        if _TARGET.match(line):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
    return blocks


def _admitted(block: Sequence[str]) -> tuple[str, ...]:
    """All that stands below the last heading."""
    headings = [number for number, line in enumerate(block) if line.strip() == "ACL information:"]
    return tuple(line.strip() for line in block[headings[-1] + 1 :] if line.strip()) if headings else ()


def _connections(block: Sequence[str]) -> list[Connection]:
    sid = initiator = ""
    found = []
    for line in block:
        if session := _SESSION.match(line):
            sid, initiator = session["sid"], ""
        elif named := _INITIATOR.match(line):
            initiator = named["name"]
        elif (connection := _CONNECTION.match(line)) and sid:
            found.append(Connection(initiator=initiator, sid=sid, cid=connection["cid"]))
    return found


def _named(access: Access) -> tuple[str, str]:
    return "--initiator-name", access.initiator
