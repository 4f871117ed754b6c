"""All that goes through the broker, kept while somebody wants it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import broker
from lab.lab import Lab
from tests.lab import observer

LOGS = Path("/var/log/limosa")
CAPTURE = Path(__file__).parent / "capture.py"


@contextmanager
def captured_messages(lab: Lab) -> Iterator[Path]:
    """A file with all that goes through the broker meanwhile."""
    messages, output = LOGS / "captured.jsonl", LOGS / "capture.out"
    url = lab.transport_url.replace("rabbit://", "amqp://")
    broker.trace(lab.controller, is_on=True, paths=lab.paths)
    capture = lab.controller.spawn("capture", [sys.executable, str(CAPTURE), url, str(messages)], log=output)
    try:
        said = lab.controller.seen_from_outside(output)
        observer.wait_until(
            lambda: "listening" in said.read_text(), what="messages are captured", timeout_s=20
        )
        yield lab.controller.seen_from_outside(messages)
    finally:
        capture.send(signal.SIGKILL)
        broker.trace(lab.controller, is_on=False, paths=lab.paths)
