"""Where `limosa` finds its configuration, and the one file that holds all of it."""

import os
import ssl
from pathlib import Path

import pytest

from client import settings
from common import certificates, client_file, config, credentials
from common.client_file import ClientFileError
from common.errors import ConfigurationError
from common.identity import PrivateKey

URL = "rabbit://a:b@rabbit1:5671/lab"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Nothing but what a test puts there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(settings, "MACHINES_FILE", tmp_path / "etc" / "client.conf")
    monkeypatch.setattr(settings, "CONFIG_PATH", str(tmp_path / "etc" / "limosa.conf"))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    yield tmp_path
    config.CONF.clear_override("ssl_ca_file", group="oslo_messaging_rabbit")
    config.CONF.reset()


def put(path, text, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_the_first_file_that_is_there_counts_alone(home):
    files = [
        home / ".config" / "limosa" / "client.conf",
        home / "etc" / "client.conf",
        home / "etc" / "limosa.conf",
    ]
    for file in reversed(files):
        put(file, f"[DEFAULT]\ntransport_url = rabbit://a:b@{file.parent.name}-{file.stem}/\n")
        conf = settings.load([])
        assert conf.config_file == [str(file)]
        assert conf.transport_url.endswith(f"@{file.parent.name}-{file.stem}/")


def test_a_file_that_is_named_is_the_only_one(home):
    put(home / ".config" / "limosa" / "client.conf", "[DEFAULT]\ntransport_url = rabbit://own/\n")
    put(home / "named.conf", f"[DEFAULT]\ntransport_url = {URL}\n")
    assert settings.load([str(home / "named.conf")]).transport_url == URL


def test_the_environment_has_the_last_word_on_an_option(home, monkeypatch):
    put(home / ".config" / "limosa" / "client.conf", "[DEFAULT]\ntransport_url = rabbit://own/\n")
    monkeypatch.setitem(os.environ, "LIMOSA_TRANSPORT_URL", URL)
    monkeypatch.setitem(os.environ, "LIMOSA_IDENTITY__ADMINISTRATOR", "bob")
    conf = settings.load([])
    assert (conf.transport_url, conf.identity.administrator) == (URL, "bob")


def test_the_environment_alone_is_enough(home, monkeypatch):
    monkeypatch.setitem(os.environ, "LIMOSA_TRANSPORT_URL", URL)
    assert settings.load([]).transport_url == URL


def test_without_anything_the_missing_files_are_named(home):
    with pytest.raises(ConfigurationError, match=r"client\.conf nor"):
        settings.load([])


# ---- client.conf


@pytest.fixture
def own(home):
    """What an administrator's own configuration knows: the conductors, the broker and its CA."""
    authority, _ = certificates.new_authority("Limosa CA", valid_days=9)
    conductors = PrivateKey.generate().public
    conductors.save(home / "conductor.pub")
    (home / "ca.pem").write_text(authority)
    put(
        home / "own.conf",
        f"[DEFAULT]\ntransport_url = rabbit://x:y@rabbit1:5671,x:y@[::1]:5673/a%2Fb\n"
        f"[identity]\nconductor_public_key = {home}/conductor.pub\n"
        f"[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = {home}/ca.pem\n",
    )
    return settings.load([str(home / "own.conf")])


def test_one_file_is_all_that_an_administrator_needs(home, own):
    key = PrivateKey.generate()
    conductors = credentials.conductors_public_key(own).to_pem()
    text = client_file.introduction(own, name="bob", key=key, password="s3cret")
    client_file.write(home / "bob.conf", text)
    assert (home / "bob.conf").stat().st_mode & 0o777 == 0o600
    config.CONF.reset()

    conf = settings.load([str(home / "bob.conf")])

    user = "limosa-administrator-bob:s3cret"
    assert conf.transport_url == f"rabbit://{user}@rabbit1:5671,{user}@[::1]:5673/a%2Fb"
    identity = credentials.of_administrator(conf)
    assert str(identity.principal) == "administrator:bob"
    assert identity.key.public.to_pem() == key.public.to_pem()
    assert credentials.conductors_public_key(conf).to_pem() == conductors
    ca_file = conf.oslo_messaging_rabbit.ssl_ca_file
    for _ in range(2):  # each connection reads it
        context = ssl.create_default_context(cafile=ca_file)
        assert len(context.get_ca_certs()) == 1
    assert Path(ca_file).read_text() == (home / "ca.pem").read_text()


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_file_with_a_key_that_others_may_read_is_refused(home, own, mode):
    text = client_file.introduction(own, name="bob", key=PrivateKey.generate(), password="s3cret")
    put(home / "bob.conf", text, mode=mode)
    with pytest.raises(ConfigurationError, match=r"others may read \(chmod 600\)"):
        settings.load([str(home / "bob.conf")])


@pytest.mark.parametrize("option", ["administrator_key_text", "conductor_public_key_text"])
def test_a_key_that_is_none_is_told_with_its_option(home, own, option):
    text = client_file.introduction(own, name="bob", key=PrivateKey.generate(), password="s3cret")
    lines = [f"{option} = AAAA" if line.startswith(option) else line for line in text.splitlines()]
    put(home / "bob.conf", "\n".join(lines))
    conf = settings.load([str(home / "bob.conf")])
    with pytest.raises(ConfigurationError, match=option):
        credentials.of_administrator(conf)
        credentials.conductors_key(conf)


def test_no_file_is_overwritten(home):
    put(home / "bob.conf", "precious")
    with pytest.raises(ClientFileError, match="exists already"):
        client_file.write(home / "bob.conf", "")
    assert (home / "bob.conf").read_text() == "precious"
