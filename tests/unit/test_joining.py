"""A host becomes a member, stops being one, and is as it was before whenever something is refused on the way."""

import os
import socket
import ssl
import stat
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from common import broker_passwords, certificates, config
from common.broker import BrokerUnreachableError
from common.broker_url import BrokerUrl, BrokerUrlError
from common.enrolment_api import CodeUsedError, JoinGrant
from common.errors import ServiceUnreachableError
from common.identity import PrivateKey, PublicKey
from common.join_code import JoinCode
from compute_agent import management
from compute_agent.joining import config_block, join_command, leave, places
from compute_agent.joining.door import BrokerAwayError, BrokerDoor, OtherAuthorityError
from compute_agent.joining.join import (
    AnswerMissingError,
    ConfiguredError,
    JoinedError,
    LoginFailedError,
    PlainBrokerError,
    Request,
    join,
)
from compute_agent.joining.places import FileRefusedError, ForeignFileError, Places, make_directories

HOST = "compute1"
USER = "limosa-host-compute1"
WAIT_S = 10.0


@pytest.fixture(scope="module")
def authority():
    return certificates.new_authority("Limosa CA", valid_days=100)


@dataclass
class FakeDoor:
    """A broker and a conductor; each `error` is raised where it would be found."""

    authority_pair: tuple[str, str]
    ask_error: Exception | None = None
    login_error: Exception | None = None
    asked: list[object] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def authority(self, url, *, fingerprint):
        pem = self.authority_pair[0]
        if certificates.fingerprint(pem) != fingerprint:
            raise OtherAuthorityError(url=url)
        return pem

    def ask(self, conf, code, request, *, url):
        self.asked.append(request)
        self.logins.append(conf.transport_url)
        if self.ask_error is not None:
            raise self.ask_error
        pem, key = self.authority_pair
        certificate = certificates.issue(
            request.certificate_request,
            authority_pem=pem,
            authority_key_pem=key,
            names=[code.host],
            valid_days=9,
        )
        return JoinGrant(broker_user=USER, certificate=certificate, authority=pem)

    def try_login(self, conf):
        self.logins.append(conf.transport_url)
        if self.login_error is not None:
            raise self.login_error


class Host:
    """A directory for /etc/limosa, empty."""

    def __init__(self, directory, authority):
        self.directory = directory
        self.conductors = PrivateKey.generate().public
        self.code = JoinCode.new(
            HOST, conductors=self.conductors, authority=certificates.fingerprint(authority[0])
        )
        self.door = FakeDoor(authority)
        self.etc = directory / "etc"
        self.config_file = self.etc / "limosa.conf"

    def request(self, url="amqps://rabbit1", **changes):
        values = {
            "url": BrokerUrl.parse(url),
            "code": self.code,
            "config_file": self.config_file,
            "ca_file": None,
            "is_insecure": False,
        }
        return Request(**(values | changes))

    def join(self, *arguments, **changes):
        return join(self.request(*arguments, **changes), self.door)

    def files(self):
        return {
            str(path.relative_to(self.directory)): path.read_text()
            for path in sorted(self.directory.rglob("*"))
            if path.is_file()
        }

    def write_config(self, text):
        self.etc.mkdir(exist_ok=True)
        self.config_file.write_text(text)


@pytest.fixture
def host(tmp_path, authority, monkeypatch):
    for group, name, file in (
        ("identity", "host_key", "etc/host.key"),
        ("identity", "conductor_public_key", "etc/conductor.pub"),
        ("pki", "ca_certificate", "etc/pki/ca.pem"),
        ("pki", "host_certificate", "etc/pki/host.pem"),
        ("pki", "host_key", "etc/pki/host.key"),
    ):
        config.register_options(config.CONF)
        config.CONF.set_override(name, str(tmp_path / file), group=group)
    yield Host(tmp_path, authority)
    for group, name in (
        ("identity", "host_key"),
        ("identity", "conductor_public_key"),
        ("pki", "ca_certificate"),
        ("pki", "host_certificate"),
        ("pki", "host_key"),
    ):
        config.CONF.clear_override(name, group=group)
    config.CONF.reset()


# ---- joining


def test_a_host_that_joins_has_all_that_its_agent_needs(host, authority):
    where = host.join("amqps://rabbit1,rabbit2:5672/lab")

    conf = config.load(["--config-file", str(host.config_file)], "tool")
    password = conf.transport_url.split(":")[2].partition("@")[0]
    assert conf.host == HOST
    assert conf.transport_url == (
        f"rabbit://{USER}:{password}@rabbit1:5671,{USER}:{password}@rabbit2:5672/lab"
    )
    assert (conf.oslo_messaging_rabbit.ssl, conf.oslo_messaging_rabbit.ssl_ca_file) == (
        True,
        str(where.authority),
    )
    assert where.authority.read_text() == authority[0]
    assert PublicKey.load(where.conductor_public_key).to_pem() == host.conductors.to_pem()
    assert PrivateKey.load(where.host_key).public.to_pem() == host.door.asked[0].public_key
    assert certificates.is_key_of(where.certificate_key.read_text(), where.certificate.read_text())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in where.all}
    assert modes == {
        "limosa.conf": 0o640,
        "host.key": 0o600,
        "conductor.pub": 0o644,
        "ca.pem": 0o644,
        "host.pem": 0o644,
    }


def test_what_is_sent_holds_neither_key_nor_password(host):
    where = host.join()
    password = host.door.logins[-1].split(":")[2].partition("@")[0]
    sent = repr(host.door.asked)
    assert broker_passwords.is_hash(host.door.asked[0].password_hash)
    assert password not in sent
    assert where.certificate_key.read_text() not in sent
    assert "limosa-joining-compute1" in host.door.logins[0], "the asking has a user of its own"


def test_what_an_operator_has_written_stays(host):
    host.write_config("[DEFAULT]\nlog_level = DEBUG\nhost = other")
    host.join()
    assert host.config_file.read_text().startswith("[DEFAULT]\nlog_level = DEBUG\nhost = other\n")
    conf = config.load(["--config-file", str(host.config_file)], "tool")
    assert (conf.log_level, conf.host) == ("DEBUG", HOST)


def test_the_key_of_make_key_is_taken(host):
    host.etc.mkdir()
    key = PrivateKey.generate()
    key.save(host.etc / "host.key")
    host.join()
    assert host.door.asked[0].public_key == key.public.to_pem()


def _unreachable():
    return BrokerUnreachableError(bus="rabbit://rabbit1", reason="refused")


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda host: setattr(host.door, "ask_error", CodeUsedError(host=HOST, at="now")), CodeUsedError),
        (lambda host: host.write_config("[DEFAULT]\ntransport_url = rabbit://a:b@c/\n"), ConfiguredError),
        (lambda host: host.write_config("[DEFAULT]\nlog_levle = DEBUG\n"), Exception),
        (
            lambda host: setattr(
                host, "code", JoinCode.new(HOST, conductors=host.conductors, authority=b"\0" * 32)
            ),
            OtherAuthorityError,
        ),
    ],
    ids=["used code", "configured", "misspelt", "another CA"],
)
def test_what_is_refused_changes_nothing(host, prepare, expected):
    prepare(host)
    before = host.files()

    with pytest.raises(expected):
        host.join()

    assert host.files() == before
    assert host.etc.exists() == bool(before), "nor is a directory left behind"


def test_the_directories_are_passable_whatever_roots_umask_is(tmp_path):
    paths = Places(**dict.fromkeys(Places.__slots__, tmp_path / "etc/limosa/a"))

    before = os.umask(0o077)
    try:
        make_directories(paths, ExitStack())
    finally:
        os.umask(before)

    for path in ("etc", "etc/limosa"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o755


def test_a_file_that_may_not_be_written_is_found_before_the_code_is_used(host):
    host.write_config("")
    (host.etc / "pki").write_text("no directory")
    with pytest.raises(FileRefusedError, match="pki"):
        host.join()
    assert host.door.asked == []


def test_the_files_of_another_installation_are_left_alone(host, authority):
    other, _ = certificates.new_authority("Other", valid_days=9)
    (host.etc / "pki").mkdir(parents=True)
    (host.etc / "pki" / "ca.pem").write_text(other)
    with pytest.raises(ForeignFileError, match=r"ca\.pem"):
        host.join()
    assert host.door.asked == []
    (host.etc / "pki" / "ca.pem").write_text(authority[0])
    host.join()


def joins_with_the_same_key(host):
    host.join()
    first, second = host.door.asked
    assert first.public_key == second.public_key


def test_silence_keeps_the_key_so_that_the_same_command_joins_once(host):
    host.door.ask_error = ServiceUnreachableError(timeout_s="60", bus="rabbit")
    with pytest.raises(AnswerMissingError):
        host.join()
    assert set(host.files()) == {"etc/host.key"}

    host.door.ask_error = None
    joins_with_the_same_key(host)


def test_whoever_interrupts_the_wait_joins_once_with_the_same_command(host):
    host.door.ask_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        host.join()
    assert set(host.files()) == {"etc/host.key"}

    host.door.ask_error = None
    joins_with_the_same_key(host)


def test_a_login_that_fails_keeps_the_key_that_is_registered(host):
    host.door.login_error = _unreachable()
    with pytest.raises(LoginFailedError, match=HOST):
        host.join()
    assert set(host.files()) == {"etc/host.key"}

    host.door.login_error = None
    joins_with_the_same_key(host)


def test_a_file_that_cannot_be_written_at_the_end_keeps_the_key(host, monkeypatch):
    def refuse(path, *_arguments, **_options):
        raise FileRefusedError(path=path, reason="No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(places, "write", refuse)
        with pytest.raises(FileRefusedError):
            host.join()
    assert set(host.files()) == {"etc/host.key"}
    joins_with_the_same_key(host)


def test_who_has_joined_does_not_join_again(host):
    host.join()
    before = host.files()
    with pytest.raises(JoinedError):
        host.join()
    assert host.files() == before


def test_a_broker_without_tls_is_taken_only_when_that_is_said(host, authority):
    with pytest.raises(PlainBrokerError):
        host.join("amqp://rabbit1")
    where = host.join("amqp://rabbit1", is_insecure=True)
    conf = config.load(["--config-file", str(host.config_file)], "tool")
    assert conf.transport_url.endswith("@rabbit1:5672/")
    assert not conf.oslo_messaging_rabbit.ssl
    assert where.authority.read_text() == authority[0]


def test_a_copy_of_the_ca_must_be_the_one_of_the_code(host, authority, tmp_path):
    other, _ = certificates.new_authority("Other", valid_days=9)
    (tmp_path / "other.pem").write_text(other)
    with pytest.raises(OtherAuthorityError):
        host.join(ca_file=tmp_path / "other.pem")
    (tmp_path / "ca.pem").write_text(authority[0])
    host.join(ca_file=tmp_path / "ca.pem")


# ---- the command


def _run(capsys, *words):
    code = management.main(list(words))
    written = capsys.readouterr()
    assert "Traceback" not in written.err
    return code, written.out + written.err


def test_a_bad_code_or_one_for_another_host_is_told_with_what_to_do(host, capsys, monkeypatch):
    monkeypatch.setattr(join_command.socket, "gethostname", lambda: "compute2.example.org")
    file = ("--config-file", str(host.config_file))

    code, said = _run(capsys, "join", "amqps://rabbit1", host.code.text[:-3], *file)
    assert code == 2
    assert "host add" in said
    code, said = _run(capsys, "join", "amqps://rabbit1", host.code.text, *file)
    assert code == 2
    assert "This code is for compute1, and this machine is called compute2.example.org." in said
    assert host.files() == {}


def test_a_closed_port_is_told(host, capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    file = ("--config-file", str(host.config_file), "--host", HOST)
    code, said = _run(capsys, "join", f"amqps://127.0.0.1:{port}", host.code.text, *file)
    assert code == 1
    assert f"127.0.0.1:{port}: Connection refused" in said
    assert host.files() == {}


# ---- the broker's certificates


@pytest.fixture
def tls_server(authority, tmp_path):
    """Shows its certificate and its CA's to one client."""
    request, key = certificates.new_request("localhost", ["localhost"])
    certificate = certificates.issue(
        request, authority_pem=authority[0], authority_key_pem=authority[1], names=["localhost"], valid_days=9
    )
    (tmp_path / "chain.pem").write_text(certificate + authority[0])
    (tmp_path / "key.pem").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WAIT_S)

        def serve():
            plain, _ = server.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield BrokerUrl.parse(f"amqps://127.0.0.1:{server.getsockname()[1]}")
        thread.join(WAIT_S)


def test_the_ca_comes_from_the_broker_and_is_known_by_its_fingerprint(tls_server, authority):
    found = BrokerDoor().authority(tls_server, fingerprint=certificates.fingerprint(authority[0]))
    assert certificates.fingerprint(found) == certificates.fingerprint(authority[0])


def test_another_ca_is_told(tls_server):
    with pytest.raises(OtherAuthorityError):
        BrokerDoor().authority(tls_server, fingerprint=b"\0" * 32)


def test_a_broker_without_tls_on_that_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = BrokerUrl.parse(f"127.0.0.1:{server.getsockname()[1]}")

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"AMQP\0\0\x09\x01")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(BrokerAwayError):
            BrokerDoor().authority(url, fingerprint=b"")
        thread.join(WAIT_S)


# ---- leaving


def test_who_leaves_keeps_what_was_there_before(host, monkeypatch):
    host.write_config("[DEFAULT]\nlog_level = DEBUG\n")
    before = host.files()
    host.join()
    said = []
    monkeypatch.setattr(leave, "_say_farewell", lambda conf, name: said.append(name))

    assert leave.leave(host.config_file, is_local_only=False) == HOST

    assert said == [HOST]
    assert host.files() == before


def test_a_controllers_files_stay_when_its_agent_leaves(host, authority):
    (host.etc / "pki").mkdir(parents=True)
    (host.etc / "pki" / "ca.pem").write_text(authority[0])
    host.conductors.save(host.etc / "conductor.pub")
    before = host.files()
    host.join()

    leave.leave(host.config_file, is_local_only=True)

    assert host.files() == before


def test_a_farewell_that_was_cut_short_is_gone_on_with(host):
    """The conductors have forgotten this host, and its key is gone already: there is nothing left to ask them."""
    where = host.join()
    where.host_key.unlink()

    leave.leave(host.config_file, is_local_only=False)

    assert host.files() == {}


def test_who_has_not_joined_cannot_leave(host):
    with pytest.raises(leave.NotJoinedError):
        leave.leave(host.config_file, is_local_only=False)


def test_nobody_leaves_while_the_agent_runs_or_the_conductors_are_silent(host, monkeypatch):
    host.join()
    before = host.files()

    def silent(_conf, _name):
        raise ServiceUnreachableError(timeout_s="30", bus="rabbit")

    monkeypatch.setattr(leave, "_say_farewell", silent)
    with pytest.raises(ServiceUnreachableError):
        leave.leave(host.config_file, is_local_only=False)
    with leave.claim_host(HOST), pytest.raises(leave.AgentRunsError):
        leave.leave(host.config_file, is_local_only=False)
    assert host.files() == before


# ---- the URL and the block


@pytest.mark.parametrize(
    ("text", "shown", "virtual_host"),
    [
        ("rabbit1", "amqps://rabbit1:5671", "/"),
        ("amqps://rabbit1:5673/", "amqps://rabbit1:5673", "/"),
        ("amqp://[::1]/a%2Fb", "amqp://[::1]:5672/a%2Fb", "a/b"),
    ],
)
def test_a_broker_is_named_in_short(text, shown, virtual_host):
    url = BrokerUrl.parse(text)
    assert (str(url), url.virtual_host) == (shown, virtual_host)
    assert BrokerUrl.parse(str(url)) == url


@pytest.mark.parametrize(
    "text",
    ["", "amqps://", "rabbit://rabbit1", "amqps://a:b@rabbit1", "rabbit1:port", "[::1", "r1,,r2", "a b"],
)
def test_what_names_no_broker_is_told(text):
    with pytest.raises(BrokerUrlError):
        BrokerUrl.parse(text)


def test_a_password_in_the_url_is_not_repeated():
    with pytest.raises(BrokerUrlError) as caught:
        BrokerUrl.parse("amqps://user:s3cret@rabbit1")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[DEFAULT]\nlog_level = INFO\n", "[a]\nb = c\n\n# end\n"])
def test_the_block_comes_and_goes_without_a_trace(text):
    whole = config_block.with_block(text, {"DEFAULT": {"host": HOST}}, made=["/a/b"])
    assert config_block.has_block(whole)
    assert config_block.made_in(whole) == ("/a/b",)
    assert config_block.without_block(whole) == text
    assert config_block.without_block(whole + "[x]\ny = 1\n") == text + "[x]\ny = 1\n"
