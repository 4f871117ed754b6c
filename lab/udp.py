"""Talk to a guest over UDP from within the prober's namespace. A script on its own: it imports nothing of ours.

    udp.py ask ADDRESS PORT TIMEOUT_S REQUEST...     print the answer; ask again every 0.2 s until TIMEOUT_S
    udp.py watch ADDRESS PORT INTERVAL_MS            probe until standard input ends, then print one JSON object

The requests are those of lab/guest/guestd.c.
"""

import contextlib
import itertools
import json
import select
import socket
import sys
import time
from collections.abc import Sequence

REPEAT_S = 0.2
LINGER_S = 1.0  # how long the last probes may take before they count as lost
MAX_WATCH_S = 3600.0
MAX_DATAGRAM = 512


def main(arguments: Sequence[str]) -> int:
    verb, address, port, number, *words = arguments
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect((address, int(port)))
        if verb == "ask":
            return ask(connection, " ".join(words), timeout_s=float(number))
        return watch(connection, interval_s=float(number) / 1000)


def ask(connection: socket.socket, request: str, *, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        reply = exchange(connection, request)
        if reply is not None:
            print(reply)
            return 0
    return 1


def exchange(connection: socket.socket, request: str) -> str | None:
    try:
        connection.send(request.encode())
        if select.select([connection], [], [], REPEAT_S)[0]:
            return connection.recv(MAX_DATAGRAM).decode()
    except OSError:  # the guest's host says "unreachable" while there is no such guest
        time.sleep(REPEAT_S)
    return None


def watch(connection: socket.socket, *, interval_s: float) -> int:
    """Probe at a fixed rate and report losses, the longest silence and every boot id seen."""
    connection.setblocking(False)
    answers: list[tuple[float, str, str]] = []  # (time, boot id, token)
    start = time.monotonic()
    sent = 0
    stop_at = start + MAX_WATCH_S
    print("watching", flush=True)
    while time.monotonic() < stop_at:
        due = start + sent * interval_s
        if stop_at == start + MAX_WATCH_S and select.select([sys.stdin], [], [], 0)[0]:
            stop_at = time.monotonic() + LINGER_S
        if stop_at == start + MAX_WATCH_S and time.monotonic() >= due:
            send(connection, sent)
            sent += 1
        wait_s = min(max(due - time.monotonic(), 0.001), interval_s)
        if select.select([connection], [], [], wait_s)[0]:
            receive(connection, answers)
    print(json.dumps(summary(sent, answers)))
    return 0


def send(connection: socket.socket, token: int) -> None:
    with contextlib.suppress(OSError):  # it counts as lost
        connection.send(f"probe {token}".encode())


def receive(connection: socket.socket, answers: list[tuple[float, str, str]]) -> None:
    try:
        words = connection.recv(MAX_DATAGRAM).decode().split()
    except OSError:
        return
    answers.append((time.monotonic(), words[0], words[3]))


def summary(sent: int, answers: list[tuple[float, str, str]]) -> dict[str, object]:
    times = [moment for moment, _, _ in answers]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    tokens = {token for _, _, token in answers}
    return {
        "sent": sent,
        "lost": sent - len(tokens),
        # Two answers to one probe: two guests with the same address.
        "duplicates": len(answers) - len(tokens),
        "longest_gap_ms": round(max(gaps, default=0.0) * 1000),
        "boot_ids": list(dict.fromkeys(boot_id for _, boot_id, _ in answers)),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
