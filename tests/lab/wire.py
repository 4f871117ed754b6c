"""All that hosts send each other on the management network, searched for a text while it passes.

Run in the switch by Debian's Python: prints how often the text was seen when its stdin is closed.
"""

import subprocess
from pathlib import Path
from typing import Self

from lab import Lab
from lab.paths import PYTHON

_CLOSE_TIMEOUT_S = 30.0
_PROGRAM = """
import select, socket, sys
device, text = sys.argv[1], sys.argv[2].encode()
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 29)  # SO_RCVBUFFORCE: a guest's whole memory passes in a second
s.bind((device, 0))
s.setblocking(False)
print("ready", flush=True)
seen = total = 0
while True:
    ready, _, _ = select.select([s, sys.stdin], [], [])
    if s in ready:
        data = s.recv(1 << 18)
        total += len(data)
        seen += text in data
    elif sys.stdin in ready:
        break
drops = int.from_bytes(s.getsockopt(263, 6, 8)[4:], sys.byteorder)  # SOL_PACKET, PACKET_STATISTICS
print(seen, total, drops, flush=True)
"""


class Wire:
    """`with Wire(lab, "compute1", text) as wire: ...`, then `wire.seen`."""

    def __init__(self, lab: Lab, host: str, text: str) -> None:
        command = [PYTHON, "-I", "-c", _PROGRAM, f"{host}-m", text]
        self._command = lab.host("switch").command(command)
        self.seen = self.total_bytes = self.drops = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path("/")
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_exception: object) -> None:
        out, _ = self._process.communicate(timeout=_CLOSE_TIMEOUT_S)
        self.seen, self.total_bytes, self.drops = (int(word) for word in out.split())
