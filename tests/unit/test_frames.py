"""What Ethernet frames say, byte by byte."""

import socket

import pytest

from compute_agent import frames

GUEST = "52:54:00:4c:00:64"
GUEST_BYTES = bytes.fromhex("5254004c0064")
HOST_BYTES = bytes.fromhex("020000000001")


def arp(operation, sender_mac, sender, *, asked="10.78.0.1"):
    def packed(address):
        return bytes(int(part) for part in address.split("."))

    return (
        b"\xff" * 6
        + sender_mac
        + bytes.fromhex("0806000108000604")
        + operation.to_bytes(2, "big")
        + sender_mac
        + packed(sender)
        + b"\0" * 6
        + packed(asked)
    )


def ipv4(sender_mac, sender):
    address = bytes(int(part) for part in sender.split("."))
    return b"\x02" * 6 + sender_mac + b"\x08\x00" + b"\x45" + b"\0" * 11 + address + b"\0" * 4


def test_an_announcement_is_what_qemu_sends():
    frame = frames.rarp(GUEST)

    assert len(frame) == 60
    assert frame[:14] == b"\xff" * 6 + GUEST_BYTES + b"\x80\x35"
    assert frame[14:22] == bytes.fromhex("0001080006040003")
    assert frame[22:42] == GUEST_BYTES + b"\0" * 4 + GUEST_BYTES + b"\0" * 4


def test_a_question_goes_to_the_guest_alone_and_comes_from_nobodys_address():
    frame = frames.arp_request(GUEST, "10.78.0.100", sender=HOST_BYTES)

    assert frame[:14] == GUEST_BYTES + HOST_BYTES + b"\x08\x06"
    assert frame[20:22] == b"\0\x01"
    assert frame[28:32] == b"\0" * 4
    assert frame[38:42] == bytes([10, 78, 0, 100])


def test_an_answer_is_a_reply_from_the_guests_mac():
    assert frames.is_arp_reply(arp(2, GUEST_BYTES, "10.78.0.100"), GUEST)
    assert not frames.is_arp_reply(arp(1, GUEST_BYTES, "10.78.0.100"), GUEST)
    assert not frames.is_arp_reply(arp(2, HOST_BYTES, "10.78.0.100"), GUEST)
    assert not frames.is_arp_reply(ipv4(GUEST_BYTES, "10.78.0.100"), GUEST)
    assert not frames.is_arp_reply(b"", GUEST)


@pytest.mark.parametrize(
    ("frame", "address"),
    [
        (arp(1, GUEST_BYTES, "10.78.0.100"), "10.78.0.100"),
        (arp(1, GUEST_BYTES, "0.0.0.0"), ""),  # it looks whether somebody has its address
        (ipv4(GUEST_BYTES, "10.78.0.100"), "10.78.0.100"),
        (ipv4(GUEST_BYTES, "0.0.0.0"), ""),  # DHCP
        (ipv4(GUEST_BYTES, "10.78.0.100")[:30], ""),
        (ipv4(HOST_BYTES, "10.78.0.1"), ""),
        (b"\xff" * 6 + GUEST_BYTES + b"\x86\xdd" + b"\x60" + b"\0" * 60, ""),
        (b"", ""),
    ],
)
def test_an_address_is_heard_from_what_the_guest_sends(frame, address):
    assert frames.address_of(frame, GUEST) == address


@pytest.fixture
def tap(monkeypatch):
    """The end at which the guest sends; the other is what the agent hears."""
    guest, host = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    monkeypatch.setattr(frames, "_raw_socket", lambda _device, _ethertype: host)
    with guest, host:
        yield guest


def test_a_guest_that_sends_is_heard_at_once_however_long_one_would_listen(tap):
    tap.send(ipv4(HOST_BYTES, "10.78.0.1"))
    tap.send(ipv4(GUEST_BYTES, "10.78.0.100"))
    tap.send(ipv4(GUEST_BYTES, "10.78.0.101"))

    heard = frames.HostFrames().overhear(GUEST, device="vnet0", timeout_s=86_400.0)

    assert heard == ("10.78.0.100", "10.78.0.101")


def test_a_guest_that_is_silent_has_no_address(tap):
    assert frames.HostFrames().overhear(GUEST, device="vnet0", timeout_s=0.01) == ()
