"""The conductors' CA: made once, kept, and told when its files will not do; and what goes to RabbitMQ of a password."""

import os
import stat
from datetime import UTC, datetime

import pytest

from common import broker_passwords, certificates, config, new_files
from common.errors import ConfigurationError
from conductor import authority


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "limosa.conf"
    pki = tmp_path / "pki"
    path.write_text(f"[pki]\nca_certificate = {pki}/ca.pem\nca_key = {pki}/ca.key\n")
    yield config.load(["--config-file", str(path)], "tool")
    config.CONF.reset()


def test_it_is_made_once_and_issues(conf):
    authority.make(conf)
    first = authority.load(conf)
    authority.make(conf)
    assert authority.load(conf) == first

    request, _ = certificates.new_request("compute1", [])
    certificate = first.issue(request, names=["compute1"])

    now = datetime.now(UTC)
    ca = authority.certificate_of(conf)
    assert certificates.problems(certificate, authority_pem=ca, names=["compute1"], now=now) == ()


def test_only_its_owner_may_read_the_key(conf):
    _, key = authority.make(conf)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(authority.load(conf))


def test_rabbitmqs_user_reaches_its_directory_whatever_roots_umask_is(conf):
    before = os.umask(0o077)
    try:
        certificate, _ = authority.make(conf)
    finally:
        os.umask(before)
    assert stat.S_IMODE(certificate.parent.stat().st_mode) == 0o755


def test_what_is_missing_or_of_another_pair_is_told(conf):
    with pytest.raises(ConfigurationError, match=r"ca.pem: No such file.*broker-setup"):
        authority.load(conf)
    certificate, key = authority.make(conf)
    other, _ = certificates.new_authority("Other", valid_days=1)
    new_files.replace(certificate, other, mode=0o644)
    with pytest.raises(ConfigurationError, match="is not the key of"):
        authority.make(conf)
    key.unlink()
    with pytest.raises(ConfigurationError, match=r"ca\.key"):
        authority.make(conf)


def test_a_password_is_hashed_as_rabbitmq_hashes_it():
    # The example of https://www.rabbitmq.com/docs/passwords: "test12" with the salt 908D C60A.
    known = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    assert broker_passwords.hashed("test12", salt=bytes.fromhex("908DC60A")) == known
    assert broker_passwords.is_hash(broker_passwords.hashed(broker_passwords.new_password()))
    assert not broker_passwords.is_hash("s3cret")
