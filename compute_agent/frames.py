"""Ethernet frames that the host itself sends and hears for a guest: RARP to announce it, ARP to ask it.

Raw sockets in native threads, one for each operation, bounded. What a frame says is pure, and stands below.
"""

import ipaddress
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from common import concurrency
from compute_agent.errors import LinkError

HEARD_FRAMES_MAX = 512  # in one operation: a guest's receiver is flooded, and its answers are among those
HEARD_ADDRESSES_MAX = 4
HEARD_MORE_S = 0.05  # after the first address, for further ones: whoever asks may have no time
_MARGIN_S = 2.0  # for the native thread to begin and to end
_READ_BYTES = 128

_BROADCAST = b"\xff" * 6
_NOBODY = b"\0" * 4
_MINIMUM_BYTES = 60
_ETHERTYPE_ALL = 0x0003
_ETHERTYPE_IPV4 = 0x0800
_ETHERTYPE_ARP = 0x0806
_ETHERTYPE_RARP = 0x8035
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_BYTES = 14
_REQUEST, _REPLY, _REVERSE_REQUEST = 1, 2, 3

T = TypeVar("T")


class Frames(Protocol):
    """See `HostFrames`; the tests' fake is the other. Every method raises LinkError."""

    def announce(self, mac: str, *, device: str) -> None:
        """Tell all switches behind this device that the MAC is here now (RARP, as QEMU sends it)."""

    def ask(self, mac: str, addresses: tuple[str, ...], *, device: str, timeout_s: float) -> bool:
        """Whether the guest answers an ARP request for one of its IPv4 addresses that is sent to its MAC alone."""

    def overhear(self, mac: str, *, device: str, timeout_s: float) -> tuple[str, ...]:
        """IPv4 addresses that the guest sends from, soon after the first one is heard; none, if it is silent."""


class HostFrames:
    """Those of the network namespace that the agent runs in."""

    def announce(self, mac: str, *, device: str) -> None:
        def send() -> None:
            with _raw_socket(device, _ETHERTYPE_RARP) as raw:
                raw.send(rarp(mac))

        _call(send, timeout_s=0.0)

    def ask(self, mac: str, addresses: tuple[str, ...], *, device: str, timeout_s: float) -> bool:
        def ask() -> bool:
            with _raw_socket(device, _ETHERTYPE_ARP) as raw:
                sender = raw.getsockname()[4]
                for address in addresses:
                    raw.send(arp_request(mac, address, sender=sender))
                heard = _heard(raw, lambda frame: is_arp_reply(frame, mac), timeout_s=timeout_s)
                return any(heard)

        return _call(ask, timeout_s=timeout_s)

    def overhear(self, mac: str, *, device: str, timeout_s: float) -> tuple[str, ...]:
        def overhear() -> tuple[str, ...]:
            with _raw_socket(device, _ETHERTYPE_ALL) as raw:
                first = next(_heard(raw, lambda frame: address_of(frame, mac), timeout_s=timeout_s), "")
                return (first, *_further_addresses(raw, mac, first)) if first else ()

        return _call(overhear, timeout_s=timeout_s)


# ---- in the native thread


def _call(function: Callable[[], T], *, timeout_s: float) -> T:
    try:
        return concurrency.call_blocking(function, timeout_s=timeout_s + _MARGIN_S)
    except OSError as error:
        raise LinkError(reason=error.strerror or str(error)) from error
    except concurrency.BlockingCallTimeout as error:
        raise LinkError(reason=str(error)) from error


def _further_addresses(raw: Any, mac: str, first: str) -> tuple[str, ...]:
    found: list[str] = []
    with suppress(OSError):  # the device has gone meanwhile: the first one counts all the same
        for address in _heard(raw, lambda frame: address_of(frame, mac), timeout_s=HEARD_MORE_S):
            if address not in (first, *found):
                found.append(address)
            if len(found) + 1 == HEARD_ADDRESSES_MAX:
                break
    return tuple(found)


def _raw_socket(device: str, ethertype: int) -> Any:
    socket = concurrency.native_socket()
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: it hears nothing before it is bound
    try:
        raw.bind((device, ethertype))
    except BaseException:
        raw.close()
        raise
    return raw


def _heard(raw: Any, read: Callable[[bytes], T], *, timeout_s: float) -> Iterator[T]:
    """What `read` finds in the frames that come, where it finds something."""
    deadline = time.monotonic() + timeout_s
    for _ in range(HEARD_FRAMES_MAX):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        raw.settimeout(left_s)
        try:
            found = read(raw.recv(_READ_BYTES))
        except TimeoutError:
            return
        if found:
            yield found


# ---- what frames say


def rarp(mac: str) -> bytes:
    """As qemu_announce_self makes it: "reverse request" of the guest for itself."""
    own = _bytes_of(mac)
    packet = _ARP.pack(1, _ETHERTYPE_IPV4, 6, 4, _REVERSE_REQUEST, own, _NOBODY, own, _NOBODY)
    return _frame(_BROADCAST, own, _ETHERTYPE_RARP, packet)


def arp_request(mac: str, address: str, *, sender: bytes) -> bytes:
    """From nobody's address, as RFC 5227 has it: a bridge often has none, and the guest keeps nothing of it."""
    asked = ipaddress.IPv4Address(address).packed
    packet = _ARP.pack(1, _ETHERTYPE_IPV4, 6, 4, _REQUEST, sender, _NOBODY, b"\0" * 6, asked)
    return _frame(_bytes_of(mac), sender, _ETHERTYPE_ARP, packet)


def is_arp_reply(frame: bytes, mac: str) -> bool:
    """Whether the guest says here that it has an address."""
    packet = _arp_packet(frame)
    return packet is not None and packet[4] == _REPLY and packet[5] == _bytes_of(mac)


def address_of(frame: bytes, mac: str) -> str:
    """The IPv4 address that this MAC sends from; empty: the frame is another's, or of something else."""
    if frame[6:12] != _bytes_of(mac):
        return ""
    packet = _arp_packet(frame)
    if packet is not None:
        return _unicast(packet[6])
    if frame[12:14] == _ETHERTYPE_IPV4.to_bytes(2, "big") and len(frame) >= _ETHERNET_BYTES + 20:
        return _unicast(frame[26:30])
    return ""


def _frame(receiver: bytes, sender: bytes, ethertype: int, packet: bytes) -> bytes:
    return (receiver + sender + ethertype.to_bytes(2, "big") + packet).ljust(_MINIMUM_BYTES, b"\0")


def _arp_packet(frame: bytes) -> tuple[Any, ...] | None:
    if frame[12:14] != _ETHERTYPE_ARP.to_bytes(2, "big") or len(frame) < _ETHERNET_BYTES + _ARP.size:
        return None
    return _ARP.unpack_from(frame, _ETHERNET_BYTES)


def _unicast(packed: bytes) -> str:
    address = ipaddress.IPv4Address(packed)
    is_usable = not (address.is_unspecified or address.is_multicast or address.is_loopback)
    return str(address) if is_usable else ""


def _bytes_of(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
