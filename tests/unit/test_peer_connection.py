"""How another host's libvirtd is spoken to: with what auth.conf says, as our own libvirtd does."""

from types import SimpleNamespace

import libvirt
import pytest

from compute_agent.hypervisor.connection import Connection

TIMEOUT_S = 10.0


@pytest.fixture
def opened(monkeypatch):
    """What libvirt was asked to open, and with which credentials."""
    opened = []
    handle = SimpleNamespace(
        setKeepAlive=lambda interval_s, count: None, close=lambda: None, unregisterCloseCallback=lambda: None
    )
    monkeypatch.setattr(libvirt, "open", lambda uri: opened.append((uri, None)) or handle)
    monkeypatch.setattr(libvirt, "openAuth", lambda uri, auth, flags: opened.append((uri, auth)) or handle)
    return opened


def test_a_peer_is_opened_with_credentials_and_nobody_to_ask(opened):
    Connection.open("qemu+tcp://compute2/system", timeout_s=TIMEOUT_S, is_peer=True).close()

    [(uri, (credentials, callback, _))] = opened
    assert uri == "qemu+tcp://compute2/system"
    assert {libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE} <= set(credentials)
    assert callback is None


def test_our_own_is_opened_without(opened):
    Connection.open("qemu:///system", timeout_s=TIMEOUT_S).close()

    assert opened == [("qemu:///system", None)]


def test_libvirt_takes_the_credentials_without_anybody_to_ask():
    with pytest.raises(Exception, match="refused"):
        Connection.open("qemu+tcp://127.0.0.1:1/system", timeout_s=TIMEOUT_S, is_peer=True)
