"""Each broker of a URL is proven by its own name, whichever was connected to before."""

import warnings
from types import SimpleNamespace

import kombu
import pytest

CA = "/etc/limosa/pki/ca.pem"


@pytest.fixture
def connection_of():
    """A connection as oslo.messaging's constructor leaves it, without a broker."""
    with warnings.catch_warnings():  # that import brings eventlet with it
        warnings.simplefilter("ignore")
        from common import rabbit

    def connection_of(**values):
        found = rabbit.Connection.__new__(rabbit.Connection)
        defaults = {
            "ssl": True,
            "ssl_version": "",
            "ssl_key_file": "",
            "ssl_cert_file": "",
            "ssl_ca_file": CA,
        }
        for name, value in (defaults | {"ssl_server_hostname": None} | values).items():
            setattr(found, name, value)
        return found

    return connection_of


class Recorder:
    """In place of a connection of py-amqp, which hands its ssl to the transport with `**`."""

    def __init__(self):
        self.asked = []

    def __call__(self, *, host, ssl, **_others):
        self.asked.append((host.partition(":")[0], dict(**ssl)))
        return SimpleNamespace(connect=lambda: None)


def test_at_a_change_of_the_broker_the_name_is_the_new_ones(connection_of, monkeypatch):
    ssl = connection_of()._fetch_ssl_params()
    recorder = Recorder()
    with kombu.Connection(
        "amqp://c1:5671//;amqp://c2:5671//", ssl=ssl, failover_strategy="round-robin"
    ) as known:
        for _ in range(4):
            transport = known.transport
            monkeypatch.setattr(transport, "Connection", recorder)
            transport.establish_connection()
            known.maybe_switch_next()

    names = [(host, options["server_hostname"]) for host, options in recorder.asked]
    assert names == [("c1", "c1"), ("c2", "c2"), ("c1", "c1"), ("c2", "c2")]
    assert {options["ca_certs"] for _, options in recorder.asked} == {CA}


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"ssl": False}, False), ({"ssl_ca_file": ""}, True)],
    ids=["plain", "without a CA"],
)
def test_without_a_name_to_look_at_all_is_as_ever(connection_of, values, expected):
    assert connection_of(**values)._fetch_ssl_params() is expected


def test_the_one_broker_of_a_url_keeps_its_name(connection_of):
    found = connection_of(ssl_server_hostname="c1")._fetch_ssl_params()
    assert found["server_hostname"] == "c1"
