"""Hold a TCP connection to a guest from within the prober's namespace. A script on its own: it imports nothing of ours.

    tcp.py ADDRESS PORT INTERVAL_MS     send until standard input ends, then print one JSON object

The guest sends back what it gets (lab/guest/guestd.c), so that data goes both ways. It never speaks first: a switch that
was not told where the guest is now does not learn it from this.
"""

import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

CONNECT_TIMEOUT_S = 10.0
PATIENCE_S = (
    15.0  # after the last word, for the echoes that are missing: the kernel's retries double each time
)
MAX_HOLD_S = 3600.0
WORD = struct.Struct("!Q")
MAX_READ_BYTES = 65_536


def main(arguments: Sequence[str]) -> int:
    address, port, interval_ms = arguments
    with socket.create_connection((address, int(port)), timeout=CONNECT_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        held = Held(connection, interval_s=float(interval_ms) / 1000)
        print("connected", flush=True)
        error = ""
        try:
            held.hold()
        except OSError as problem:
            error = str(problem)
        print(json.dumps(held.summary(error)))
    return 0


class Held:
    """One connection: numbers go out at a fixed rate, and must come back in their order."""

    def __init__(self, connection: socket.socket, *, interval_s: float) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._interval_s = interval_s
        self._unread = b""
        self._sent = self._echoed = 0
        self._heard_at = time.monotonic()
        self._longest_stall_s = 0.0

    def hold(self) -> None:
        """Until standard input ends and all has come back, or patience is at its end. Raises OSError."""
        start = time.monotonic()
        stop_at, is_ending = start + MAX_HOLD_S, False
        while time.monotonic() < stop_at and not (is_ending and self._echoed == self._sent):
            if not is_ending and select.select([sys.stdin], [], [], 0)[0]:
                stop_at, is_ending = time.monotonic() + PATIENCE_S, True
            if not is_ending and time.monotonic() >= start + self._sent * self._interval_s:
                self._send()
            due = start + self._sent * self._interval_s
            wait_s = min(max(due - time.monotonic(), 0.001), self._interval_s)
            if select.select([self._connection], [], [], wait_s)[0]:
                self._receive()

    def summary(self, error: str) -> dict[str, object]:
        return {
            "sent": self._sent,
            "echoed": self._echoed,
            "longest_stall_ms": round(self._longest_stall_s * 1000),
            "error": error,
        }

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):  # its buffer holds some hours of words
            self._connection.send(WORD.pack(self._sent))
            self._sent += 1

    def _receive(self) -> None:
        data = self._connection.recv(MAX_READ_BYTES)
        if not data:
            raise ConnectionResetError("the guest closed the connection")
        now = time.monotonic()
        self._longest_stall_s = max(self._longest_stall_s, now - self._heard_at)
        self._heard_at = now
        self._unread += data
        while len(self._unread) >= WORD.size:
            (number,) = WORD.unpack(self._unread[: WORD.size])
            if number != self._echoed:
                raise ConnectionAbortedError(f"{number} came back in place of {self._echoed}")
            self._unread = self._unread[WORD.size :]
            self._echoed += 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
