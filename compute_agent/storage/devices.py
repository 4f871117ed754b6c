"""What all makers of block devices need: the node that udev makes, and what was written to stable storage."""

import os
import time
from pathlib import Path

from common import concurrency
from compute_agent.storage.gate import Gate

NODE_TIMEOUT_S = 10.0  # udev makes it within some ms, if it runs
NODE_POLL_S = 0.05
SYNC_TIMEOUT_S = 600.0  # of what a guest has written and its host has not: some GiB to a slow disk
_SYNCS_MAX = 2

_SYNC_GATE = Gate(_SYNCS_MAX)


def wait_until_there(path: str) -> bool:
    """Whether a device of this name has appeared in time."""
    deadline = time.monotonic() + NODE_TIMEOUT_S
    while not Path(path).is_block_device():
        if time.monotonic() > deadline:
            return False
        concurrency.sleep(NODE_POLL_S)
    return True


def sync_device(path: str) -> None:
    """What was written to it, by whomever, survives the loss of this host's power. Raises StorageSilentError, OSError."""
    _SYNC_GATE.look(_sync, path, timeout_s=SYNC_TIMEOUT_S, what=path)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
