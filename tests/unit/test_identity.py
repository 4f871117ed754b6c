"""Keys, their files, and who may be called what."""

import os
import stat
import subprocess

import pytest

from common.identity import (
    ConductorsOnly,
    KeyFileError,
    KeyUnknownError,
    Kind,
    NotProvenError,
    Principal,
    PrivateKey,
    PublicKey,
    is_name,
)

ADMINISTRATOR = Principal(kind=Kind.ADMINISTRATOR, name="ann")


@pytest.fixture
def key():
    return PrivateKey.generate()


def test_a_key_that_was_saved_signs_as_before_and_only_its_owner_may_read_it(tmp_path, key):
    key.save(tmp_path / "ann.key")

    loaded = PrivateKey.load(tmp_path / "ann.key")

    assert key.public.has_signed(b"text", loaded.sign(b"text"))
    assert stat.S_IMODE((tmp_path / "ann.key").stat().st_mode) == 0o600


def test_a_public_key_goes_through_its_text(key):
    again = PublicKey.from_pem(key.public.to_pem())
    assert again.has_signed(b"text", key.sign(b"text"))
    assert not again.has_signed(b"other", key.sign(b"text"))


def test_no_key_is_overwritten(tmp_path, key):
    key.save(tmp_path / "ann.key")
    with pytest.raises(KeyFileError, match="no key is overwritten"):
        PrivateKey.generate().save(tmp_path / "ann.key")
    assert PrivateKey.load(tmp_path / "ann.key").public.to_pem() == key.public.to_pem()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_private_key_that_others_may_read_is_refused(tmp_path, key, mode):
    path = tmp_path / "ann.key"
    key.save(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        PrivateKey.load(path)


@pytest.mark.parametrize(
    "text", ["", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_told_with_its_file(tmp_path, text):
    path = tmp_path / "ann.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=rf"The key file {path} cannot be used"):
        PrivateKey.load(path)
    with pytest.raises(KeyFileError, match=rf"The key file {path} cannot be used"):
        PublicKey.load(path)


def test_a_key_that_could_not_be_written_leaves_nothing_behind(tmp_path, key, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.identity.os.fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        key.save(tmp_path / "ann.key")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_under_the_name_of_a_key_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "ann.key", 0o600)
    with pytest.raises(KeyFileError, match="it is no file"):
        PrivateKey.load(tmp_path / "ann.key")


def test_a_file_that_is_missing_is_told_once(tmp_path):
    with pytest.raises(KeyFileError) as caught:
        PrivateKey.load(tmp_path / "none.key")
    assert str(caught.value).count("none.key") == 1


def test_a_key_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "rsa.key"
    command = [
        "openssl",
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="no Ed25519 key"):
        PrivateKey.load(path)


def test_a_key_that_openssl_makes_is_taken(tmp_path):
    path = tmp_path / "ann.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True)
    path.chmod(0o600)
    key = PrivateKey.load(path)
    assert key.public.has_signed(b"text", key.sign(b"text"))


def test_no_key_shows_itself(key):
    assert "PRIVATE" not in repr(key)


def test_a_principal_goes_through_its_text():
    assert Principal.parse(str(ADMINISTRATOR)) == ADMINISTRATOR


@pytest.mark.parametrize(
    "text", ["ann", "", ":", "king:ann", "host:", "host:a/b", "host:-x", "host:" + "x" * 300]
)
def test_a_text_that_names_nobody_is_refused(text):
    with pytest.raises(NotProvenError):
        Principal.parse(text)


def test_names_are_those_of_hosts_and_people():
    assert all(map(is_name, ["compute1", "compute1.example.org", "ann", "ann@example.org", "a"]))
    assert not any(map(is_name, ["", " ", "ann ", "a/b", "..", "a\n", "é"]))


def test_a_keyring_of_conductors_knows_nobody_else(key):
    keyring = ConductorsOnly(key.public)
    anyone = Principal(kind=Kind.CONDUCTOR, name="controller7")
    assert keyring.key_of(anyone).has_signed(b"text", key.sign(b"text"))
    with pytest.raises(KeyUnknownError, match="administrator:ann"):
        keyring.key_of(ADMINISTRATOR)
