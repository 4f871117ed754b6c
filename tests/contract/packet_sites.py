"""A host with a bridge, two guests and a peer, all of them network namespaces: real packets meet real rules in milliseconds.

guest [eth0] ---- [lm5254...01] br0 [vnet7] ---- [eth0] bystander
                                br0 [uplink] --- [eth0] peer
"""

import contextlib
import ctypes
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
ETHERTYPE_ALL = 0x0003
TIMEOUT_S = 10.0
SILENCE_S = 0.15  # in which an answer would have come, mostly
WAIT_S = 5.0  # for one that must come
BRIDGE = "br0"

GUEST_MAC, BYSTANDER_MAC, PEER_MAC = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"
GUEST, BYSTANDER, PEER, HOST = "10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.254"
GUEST_TAP, BYSTANDER_TAP = "lm525400000001", "vnet7"

T = TypeVar("T")


class Namespace:
    """A network namespace that goes with its thread; what is run here happens in it."""

    def __init__(self) -> None:
        self._calls: queue.Queue[tuple[Callable[[], object], queue.Queue[object]] | None] = queue.Queue()
        self._tid: queue.Queue[int] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.tid = self._tid.get(timeout=TIMEOUT_S)

    def run(self, call: Callable[[], T]) -> T:
        answer: queue.Queue[object] = queue.Queue()
        self._calls.put((call, answer))
        result = answer.get(timeout=TIMEOUT_S)
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[return-value]

    def ip(self, *lines: str) -> None:
        self.run(lambda: subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True))

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join(TIMEOUT_S)

    def _work(self) -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._tid.put(threading.get_native_id())
        while (item := self._calls.get()) is not None:
            call, answer = item
            try:
                answer.put(call())
            except Exception as error:  # noqa: BLE001 (raised again where it was asked)
                answer.put(error)


class PacketSite:
    """All of it."""

    def __init__(self) -> None:
        self.host, self.guest, self.bystander, self.peer = (Namespace() for _ in range(4))
        self._sockets: list[socket.socket] = []
        self.host.ip(
            f"link add {BRIDGE} type bridge",
            f"link set {BRIDGE} up",
            f"address add {HOST}/24 dev {BRIDGE}",
        )
        self._join(self.guest, GUEST_TAP, GUEST_MAC, GUEST)
        self._join(self.bystander, BYSTANDER_TAP, BYSTANDER_MAC, BYSTANDER)
        self._join(self.peer, "uplink", PEER_MAC, PEER)

    def set_bridge_netfilter(self, *, is_on: bool) -> None:
        self._sysctl(self.host, "net/bridge/bridge-nf-call-iptables", "1" if is_on else "0")

    def rename_tap(self, name: str) -> None:
        """As after a restart of the guest."""
        self.host.ip(f"link set {GUEST_TAP} down", f"link set {GUEST_TAP} name {name}", f"link set {name} up")

    def socket(self, where: Namespace, kind: int, address: tuple[str, int] = ("0.0.0.0", 0)) -> socket.socket:
        """One that is bound there, and closed with the site."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET, kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            if kind == socket.SOCK_STREAM and address[1]:
                made.listen()
            return made

        made = where.run(make)
        self._sockets.append(made)
        return made

    def passes(
        self, sender: Namespace, receiver: Namespace, address: str, port: int, *, source: str = "0.0.0.0"
    ) -> bool:
        """Whether a datagram gets there; sent again, since the first ones may wait for an address."""
        return self._arrives(sender, receiver, (address, port), source, tries=round(WAIT_S / SILENCE_S))

    def drops(
        self, sender: Namespace, receiver: Namespace, address: str, port: int, *, source: str = "0.0.0.0"
    ) -> bool:
        """Whether it does not."""
        return not self._arrives(sender, receiver, (address, port), source, tries=2)

    def connects(self, sender: Namespace, receiver: Namespace, address: str, port: int) -> bool:
        """Whether a TCP connection comes about."""
        return self._connects(sender, receiver, (address, port), timeout_s=WAIT_S)

    def refuses(self, sender: Namespace, receiver: Namespace, address: str, port: int) -> bool:
        """Whether none does."""
        return not self._connects(sender, receiver, (address, port), timeout_s=2 * SILENCE_S)

    def hears(self, sender: Namespace, receiver: Namespace, frame: bytes, *, timeout_s: float) -> bool:
        """Whether a frame gets there as it was sent."""
        hears, sends = (each.run(_raw_socket) for each in (receiver, sender))
        self._sockets += [hears, sends]
        hears.settimeout(timeout_s)
        ends = time.monotonic() + timeout_s
        sends.send(frame)
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < ends:
                if hears.recv(len(frame)).endswith(frame[-40:]):
                    return True
        return False

    def close(self) -> None:
        for each in self._sockets:
            each.close()
        for namespace in (self.guest, self.bystander, self.peer, self.host):
            namespace.close()

    def _arrives(
        self, sender: Namespace, receiver: Namespace, to: tuple[str, int], source: str, *, tries: int
    ) -> bool:
        receives = self.socket(receiver, socket.SOCK_DGRAM, ("", to[1]))
        sends = self.socket(sender, socket.SOCK_DGRAM, (source, 0))
        receives.settimeout(SILENCE_S)
        try:
            for _ in range(tries):
                sends.sendto(b"hello", to)
                with contextlib.suppress(TimeoutError):
                    return receives.recv(100) == b"hello"
            return False
        finally:
            receives.close()
            sends.close()

    def _connects(
        self, sender: Namespace, receiver: Namespace, to: tuple[str, int], *, timeout_s: float
    ) -> bool:
        listens = self.socket(receiver, socket.SOCK_STREAM, ("", to[1]))
        connects = self.socket(sender, socket.SOCK_STREAM)
        connects.settimeout(timeout_s)
        try:
            connects.connect(to)
        except TimeoutError:
            return False
        finally:
            listens.close()
            connects.close()
        return True

    def _join(self, member: Namespace, port: str, mac: str, address: str) -> None:
        self.host.ip(
            f"link add {port} type veth peer name eth0 address {mac} netns {member.tid}",
            f"link set {port} master {BRIDGE}",
            f"link set {port} up",
        )
        member.ip(
            "link set lo up",
            f"address add {address}/24 dev eth0",
            "link set eth0 up",
        )
        # Checksums of virtual links are made by hardware that there is not: conntrack takes such packets for invalid.
        self._sysctl(self.host, "net/netfilter/nf_conntrack_checksum", "0")

    @staticmethod
    def _sysctl(where: Namespace, setting: str, value: str) -> None:
        def write() -> None:
            Path(f"/proc/sys/{setting}").write_text(value, encoding="ascii")

        where.run(write)


def _raw_socket() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ALL))
    made.bind(("eth0", ETHERTYPE_ALL))
    return made
