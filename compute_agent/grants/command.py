"""Grants by the operator's own command: JSON on its input, and its exit code is the answer."""

import json
from typing import Final

from common import wire
from compute_agent.errors import CommandError
from compute_agent.grants.driver import Access, GrantError
from compute_agent.subprocesses import run_command

DONE: Final = 0
WAS_SO: Final = 10


class CommandGrants:
    """See `driver.GrantDriver`."""

    def __init__(self, command: str, *, timeout_s: float) -> None:
        self._command = command
        self._timeout_s = timeout_s

    def concerns(self, access: Access) -> bool:  # noqa: ARG002
        return True

    def grant(self, access: Access) -> bool:
        return self._run("grant", access) != WAS_SO

    def withdraw(self, access: Access) -> None:
        self._run("withdraw", access)

    def _run(self, action: str, access: Access) -> int:
        question = {
            "action": action,
            "host": access.host,
            "instance": access.instance,
            "initiator": access.initiator,
            "volume": wire.to_primitive(access.volume),
        }
        try:
            finished = run_command(
                [self._command], input_text=json.dumps(question), timeout_s=self._timeout_s
            )
        except CommandError as error:
            raise GrantError(volume=access.name, action=action, reason=str(error)) from error
        if finished.code not in (DONE, WAS_SO):
            raise GrantError(volume=access.name, action=action, reason=finished.last_line)
        return finished.code
