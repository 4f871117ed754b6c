"""The way to RabbitMQ beside oslo.messaging: every host of transport_url, TLS, and refusals in a sentence."""

import contextlib
import ssl
import subprocess
import threading
from socket import create_server

import pytest

from common import broker, config
from common.broker import Broker, BrokerHost, BrokerUnreachableError, Tls
from common.rpc import BusRefusedError
from tests.fakes.refusing_broker import refusing_broker

AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
CLOSED_PORT = 1
WAIT_S = 5.0


@pytest.fixture
def configured(tmp_path):
    """The broker of a file with these lines."""

    def configured(text):
        path = tmp_path / "limosa.conf"
        path.write_text(text)
        conf = config.load(["--config-file", str(path)], "client")
        return broker.configured(conf)

    yield configured
    config.CONF.reset()


def host(name="127.0.0.1", port=CLOSED_PORT, user="limosa", password="s3cret"):
    return BrokerHost(name=name, port=port, user=user, password=password)


# ---- from the configuration


def test_every_host_of_the_transport_url_is_known(configured):
    found = configured(
        "transport_url = rabbit://a:p%40ss@rabbit1:5671,b:x@[::1]/lab%2F1".join(("[DEFAULT]\n", "\n"))
    )

    assert found.hosts == (
        BrokerHost(name="rabbit1", port=5671, user="a", password="p@ss"),
        BrokerHost(name="::1", port=5672, user="b", password="x"),
    )
    assert found.virtual_host == "lab/1"
    assert found.tls is None
    assert found.heartbeat_s == 15
    assert not found.is_in_memory
    assert "p%40ss" not in f"{found.name}{found!r}" and "p@ss" not in repr(found)


def test_without_a_virtual_host_it_is_the_default_one(configured):
    assert configured("[DEFAULT]\ntransport_url = rabbit://a:b@rabbit1/\n").virtual_host == "/"


def test_the_tls_options_of_the_bus_are_honoured(configured):
    found = configured(
        "[DEFAULT]\ntransport_url = rabbit://a:b@rabbit1/\n[oslo_messaging_rabbit]\nssl = true\n"
        "ssl_ca_file = /etc/ssl/ca.pem\nssl_cert_file = /etc/ssl/cert.pem\nssl_key_file = /etc/ssl/key.pem\n"
        "rabbit_login_method = EXTERNAL\n"
    )

    assert found.login_method == "EXTERNAL"
    assert found.tls.parameters("rabbit1") == {
        "ca_certs": "/etc/ssl/ca.pem",
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": "rabbit1",
        "certfile": "/etc/ssl/cert.pem",
        "keyfile": "/etc/ssl/key.pem",
    }


# ---- who answers


def test_when_no_host_answers_each_is_named_with_its_reason():
    unreachable = Broker(name="rabbit://***", hosts=(host(), host(name="no-such-host.invalid")))

    with pytest.raises(BrokerUnreachableError) as caught:
        unreachable.open()

    assert f"127.0.0.1:{CLOSED_PORT}: [Errno 111] Connection refused; no-such-host.invalid" in str(
        caught.value
    )
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_broker_that_is_away_is_told_at_once_and_one_that_is_there_is_none_to_speak_of():
    away = Broker(name="rabbit://***", hosts=(host(), host(name="no-such-host.invalid")))
    with pytest.raises(
        BrokerUnreachableError, match=r"127\.0\.0\.1:1: Connection refused; no-such-host.invalid:1: "
    ):
        away.refuse_if_away()
    with create_server(("127.0.0.1", 0)) as server:
        one_of_two = Broker(name="rabbit://***", hosts=(host(), host(port=server.getsockname()[1])))
        assert one_of_two.refuse_if_away() is None


def test_a_refusal_is_told_as_such():
    with refusing_broker() as port, pytest.raises(BusRefusedError, match="refuses us: ACCESS_REFUSED"):
        Broker(name="rabbit://***", hosts=(host(port=CLOSED_PORT), host(port=port))).open()


# ---- TLS, with a broker that hangs up once it has been greeted


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of `localhost` that proves itself, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    paths = directory / "cert.pem", directory / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    argv += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*argv, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


@pytest.fixture
def tls_broker(certificate):
    """A port, and what its first client has said."""
    said = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    listener = create_server(("127.0.0.1", 0))
    listener.settimeout(WAIT_S)

    def greet():
        connection, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            said.append(secured.recv(8))

    thread = threading.Thread(target=greet)
    thread.start()
    yield listener.getsockname()[1], said
    thread.join()
    listener.close()


def open_with(tls_broker, tls, name):
    port, said = tls_broker
    with pytest.raises(BrokerUnreachableError) as caught:
        Broker(name="rabbit://***", hosts=(host(name=name, port=port),), tls=tls).open()
    return said, str(caught.value)


def test_a_broker_that_proves_its_name_is_greeted(tls_broker, certificate):
    said, _ = open_with(tls_broker, Tls(ca_file=str(certificate[0])), "localhost")

    assert said == [AMQP_HEADER]


def test_without_a_ca_file_the_machines_own_authorities_must_vouch_for_it(tls_broker):
    said, reason = open_with(tls_broker, Tls(), "localhost")

    assert said == []
    assert "certificate verify failed" in reason


def test_a_broker_of_another_name_is_not_greeted(tls_broker, certificate):
    said, reason = open_with(tls_broker, Tls(ca_file=str(certificate[0])), "127.0.0.1")

    assert said == []
    assert "certificate verify failed" in reason
