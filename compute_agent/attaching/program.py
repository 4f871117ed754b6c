"""os-brick's only door: attach or detach one volume, as a program of its own.

A question as JSON on the input, an answer as JSON on the output. os-brick blocks, keeps locks, reads configuration of its
own and may hang on storage; in a process it can be killed, and is not needed by an agent whose guests have no such disks.
It is root's as the agent is: the detour by which os-brick becomes root is closed.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

NOT_INSTALLED: Final = 3
FAILED: Final = 1
_LOCKS: Final = "/run/lock/limosa-os-brick"


def main() -> int:
    question = json.load(sys.stdin)
    try:
        connectors = _connectors()
    except ImportError as error:
        sys.stderr.write(f"os-brick is not installed: {error}\n")
        return NOT_INSTALLED
    try:
        answer = act(question, connectors)
    except Exception as error:  # noqa: BLE001 (whatever os-brick raises, the agent is told)
        sys.stderr.write((" ".join(str(error).split()) or type(error).__name__) + "\n")
        return FAILED
    json.dump(answer, sys.stdout)
    return 0


def act(question: Mapping[str, Any], connectors: Any) -> dict[str, str]:
    """`connectors`: os_brick.initiator.connector."""
    connector = connectors.InitiatorConnector.factory(
        question["protocol"], None, use_multipath=question["is_multipath"]
    )
    properties = dict(question["properties"])
    if question["action"] == "attach":
        found = connector.connect_volume(properties) or {}
        return {"path": str(found.get("path", ""))}
    device = {"type": "block", "path": question["path"]} if question["path"] else None
    connector.disconnect_volume(properties, device)
    return {}


def _connectors() -> Any:
    import os_brick
    from os_brick import privileged
    from os_brick.initiator import connector
    from oslo_config import cfg

    cfg.CONF([], project="limosa-os-brick", default_config_files=[], default_config_dirs=[])
    _prepare_locks(cfg.CONF)
    os_brick.setup(cfg.CONF)
    for name in ("default", "brick_privsep_hide_output"):
        context = getattr(privileged, name, None)
        if context is not None:
            context.set_client_mode(False)
    return connector


def _prepare_locks(conf: Any) -> None:
    from oslo_concurrency import lockutils

    lockutils.set_defaults(lock_path=_LOCKS)
    conf.register_opts(lockutils._opts, group="oslo_concurrency")


if __name__ == "__main__":
    sys.exit(main())
