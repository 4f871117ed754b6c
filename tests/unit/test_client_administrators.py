"""`limosa admin` and `limosa audit`, against a conductor in memory."""

import stat

import pytest

from common import broker_passwords, config
from common.errors import AdministratorExistsError, NotPermittedError, ServiceUnreachableError
from common.identity import PrivateKey, PublicKey
from common.states import AuditResult, Role
from common.views import AdministratorRequest, AuditFilter
from tests.fakes.conductor import FakeConductor, administrator_view, audit_view
from tests.fakes.limosa import run


def test_administrators_are_listed_with_what_their_keys_are_worth():
    conductor = FakeConductor(administrators=(administrator_view(), administrator_view(name="bob")))
    assert [row["name"] for row in run(conductor, "admin", "list", "-f", "json").json] == ["ann", "bob"]
    assert "| ann  | admin | valid |" in run(conductor, "admin", "list").stdout


def test_a_new_key_stays_where_it_was_made_and_its_public_half_is_registered(tmp_path):
    conductor, path = FakeConductor(), tmp_path / "bob.key"

    done = run(conductor, "admin", "create", "bob", "--role", "operator", "--key-file", str(path))

    assert done.code == 0
    [request] = conductor.requests
    assert isinstance(request, AdministratorRequest)
    assert (request.name, request.role, request.valid_days) == ("bob", Role.OPERATOR, None)
    assert PublicKey.from_pem(request.public_key).has_signed(b"text", PrivateKey.load(path).sign(b"text"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in done.stdout + done.stderr + repr(request)


def test_a_public_key_is_registered_as_it_is(tmp_path):
    conductor, path = FakeConductor(), tmp_path / "bob.pub"
    pem = PrivateKey.generate().public.to_pem()
    path.write_text(pem)
    words = ("admin", "create", "bob", "--role", "reader", "--public-key", str(path), "--valid-days", "9")
    assert run(conductor, *words).code == 0
    assert conductor.requests == [
        AdministratorRequest(name="bob", role=Role.READER, public_key=pem, valid_days=9)
    ]


def test_a_key_that_nobody_will_know_is_removed_again(tmp_path):
    conductor, path = FakeConductor(error=AdministratorExistsError(name="bob")), tmp_path / "bob.key"
    done = run(conductor, "admin", "create", "bob", "--role", "reader", "--key-file", str(path))
    assert done.code == 2
    assert "There is an administrator bob already." in done.stderr
    assert not path.exists()


def test_a_key_that_may_be_registered_is_kept(tmp_path):
    lost = ServiceUnreachableError(timeout_s="30", bus="rabbit://")
    conductor, path = FakeConductor(error=lost), tmp_path / "bob.key"
    done = run(conductor, "admin", "create", "bob", "--role", "reader", "--key-file", str(path))
    assert done.code == 1
    assert f"Whether the key in {path} is registered, `limosa admin list` shows" in done.stderr
    assert path.exists()


def test_a_key_file_that_exists_is_left_alone(tmp_path):
    conductor, path = FakeConductor(), tmp_path / "bob.key"
    path.write_text("precious")
    done = run(conductor, "admin", "create", "bob", "--role", "reader", "--key-file", str(path))
    assert done.code == 2
    assert path.read_text() == "precious"
    assert conductor.requests == []


@pytest.mark.parametrize(
    "words",
    [
        ("bob", "--role", "reader"),
        ("bob", "--key-file", "k"),
        ("bob", "--role", "king", "--key-file", "k"),
        ("bob", "--role", "reader", "--key-file", "k", "--public-key", "p"),
        ("bob", "--role", "reader", "--key-file", "k", "--valid-days", "many"),
        ("", "--role", "reader", "--key-file", "k"),
    ],
)
def test_usage_errors_make_no_key(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    conductor = FakeConductor()
    assert run(conductor, "admin", "create", *words).code == 2
    assert conductor.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_revoked():
    conductor = FakeConductor()
    assert run(conductor, "admin", "revoke", "bob", "-f", "json").json["state"] == "revoked"
    assert conductor.requests == ["bob"]


def test_the_audit_is_listed_and_narrowed():
    conductor = FakeConductor(audit=(audit_view(),))
    words = ("audit", "list", "--signer", "ann", "--result", "rejected", "--limit", "5", "-f", "json")
    [line] = run(conductor, *words).json
    assert (line["schema_version"], line["target"]) == (1, "instance=web1 dest=compute2")
    assert conductor.requests == [AuditFilter(signer="ann", result=AuditResult.REJECTED, limit=5)]


def test_who_is_not_permitted_is_told_so_with_code_9():
    error = NotPermittedError(signer="administrator:bob", what="read the audit", why="the role is reader")
    done = run(FakeConductor(error=error), "audit", "list")
    assert done.code == 9
    assert "administrator:bob may not read the audit: the role is reader." in done.stderr


@pytest.fixture
def own_config(tmp_path):
    """The configuration of who creates another one."""
    PrivateKey.generate().public.save(tmp_path / "conductor.pub")
    path = tmp_path / "own.conf"
    path.write_text(
        "[DEFAULT]\ntransport_url = rabbit://me:own@rabbit1/\n"
        f"[identity]\nconductor_public_key = {tmp_path}/conductor.pub\n"
    )
    yield path
    config.CONF.reset()


def test_one_file_has_key_and_password_and_neither_is_sent_or_shown(tmp_path, own_config):
    conductor, path = FakeConductor(), tmp_path / "bob.conf"
    words = ("admin", "create", "bob", "--role", "reader", "--client-conf", str(path))

    done = run(conductor, "--config-file", str(own_config), *words)

    assert done.code == 0
    [request] = conductor.requests
    text = path.read_text()
    assert "transport_url = rabbit://limosa-administrator-bob:" in text
    password = text.partition("limosa-administrator-bob:")[2].partition("@")[0]
    key = text.partition("administrator_key_text = ")[2].partition("\n")[0]
    assert broker_passwords.is_hash(request.password_hash)
    for secret in (password, key):
        assert secret not in done.stdout + done.stderr + repr(request)
    assert "own" not in text


def test_a_file_of_somebody_who_is_refused_is_removed_and_one_that_was_there_stays(tmp_path, own_config):
    conductor, path = FakeConductor(error=AdministratorExistsError(name="bob")), tmp_path / "bob.conf"
    words = ("--config-file", str(own_config), "admin", "create", "bob", "--role", "reader", "--client-conf")
    assert run(conductor, *words, str(path)).code == 2
    assert not path.exists()

    path.write_text("precious")
    assert run(conductor, *words, str(path)).code == 2
    assert path.read_text() == "precious"
