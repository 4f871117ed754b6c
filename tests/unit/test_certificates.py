"""A CA of our own, what it issues, and what is said of a certificate that will not do."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from common import certificates
from common.certificates import CertificateError

NAMES = ("compute1", "compute1.example.org", "192.0.2.7")
VALID_DAYS = 100


@pytest.fixture(scope="module")
def authority():
    return certificates.new_authority("Limosa", valid_days=3650)


@pytest.fixture(scope="module")
def host(authority):
    request, key = certificates.new_request("compute1", ["compute1"])
    return _issue(request, authority), key


@pytest.fixture
def now():
    return datetime.now(UTC)


def _issue(request, authority, *, names=NAMES, valid_days=VALID_DAYS):
    certificate, key = authority
    return certificates.issue(
        request, authority_pem=certificate, authority_key_pem=key, names=names, valid_days=valid_days
    )


def test_a_host_gets_a_certificate_that_nothing_speaks_against(authority, host, now):
    assert certificates.problems(host[0], authority_pem=authority[0], names=NAMES, now=now) == ()
    assert certificates.is_key_of(host[1], host[0])


def test_openssl_believes_it_for_both_ends_of_a_connection(authority, host, tmp_path):
    (tmp_path / "ca.pem").write_text(authority[0])
    (tmp_path / "host.pem").write_text(host[0])
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "host.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_issuer_names_it_whatever_the_request_says(authority):
    request, _ = certificates.new_request("compute9", ["compute9", "conductor1"])

    facts = certificates.read(_issue(request, authority))

    assert facts.names == NAMES
    assert facts.subject == "CN=compute1"
    assert not facts.is_authority


def test_the_authority_says_that_it_is_one(authority):
    facts = certificates.read(authority[0])
    assert facts.is_authority
    assert facts.subject == facts.issuer == "CN=Limosa"


def test_a_certificate_ends_with_its_authority_at_the_latest():
    short = certificates.new_authority("Limosa", valid_days=10)
    request, _ = certificates.new_request("compute1", ["compute1"])

    assert certificates.read(_issue(request, short)).not_after == certificates.read(short[0]).not_after


@pytest.mark.parametrize(
    ("after_days", "said"),
    [
        (VALID_DAYS + 1, "The certificate expired at"),
        (VALID_DAYS - 20, "The certificate ends in 19 days"),
        (-1, "The certificate is not valid before"),
    ],
)
def test_the_time_is_told(authority, host, now, after_days, said):
    then = now + timedelta(days=after_days)
    found = certificates.problems(host[0], authority_pem=authority[0], names=NAMES, now=then)
    assert any(sentence.startswith(said) for sentence in found), found


def test_an_authority_that_ends_soon_is_told(host, now):
    short = certificates.new_authority("Limosa", valid_days=10)
    found = certificates.problems(host[0], authority_pem=short[0], names=NAMES, now=now)
    assert "The CA's certificate ends in 9 days" in found[-1]


def test_another_authority_of_the_same_name_is_another(host, now):
    other = certificates.new_authority("Limosa", valid_days=3650)
    found = certificates.problems(host[0], authority_pem=other[0], names=NAMES, now=now)
    assert found == ("Another CA has issued it: CN=Limosa.",)


def test_a_name_that_it_lacks_is_told_with_those_it_has(authority, host, now):
    found = certificates.problems(
        host[0], authority_pem=authority[0], names=["COMPUTE1", "compute2"], now=now
    )
    assert found == (f"It is not good for compute2, only for {', '.join(NAMES)}.",)


def test_a_wildcard_stands_for_one_label(authority, now):
    request, _ = certificates.new_request("any", ["any"])
    wild = _issue(request, authority, names=["*.example.org"])

    def speaks_against(name):
        return certificates.problems(wild, authority_pem=authority[0], names=[name], now=now)

    assert not speaks_against("compute1.example.org")
    assert speaks_against("a.compute1.example.org")
    assert speaks_against("example.org")


def test_one_of_several_authorities_is_enough(authority, host, now):
    other = certificates.new_authority("Other", valid_days=3650)
    both = other[0] + authority[0]
    assert certificates.problems(host[0], authority_pem=both, names=NAMES, now=now) == ()


def test_a_request_that_was_signed_with_another_key_is_refused(authority):
    request, _ = certificates.new_request("compute1", ["compute1"])
    other, _ = certificates.new_request("compute1", ["compute1"])
    lines, others = request.splitlines(), other.splitlines()
    mixed = "\n".join([*lines[:-3], *others[-3:]])

    with pytest.raises(CertificateError):
        _issue(mixed, authority)


@pytest.mark.parametrize(
    "text", ["", "compute1", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_told(authority, text):
    for use in (certificates.read, certificates.fingerprint, lambda pem: _issue(pem, authority)):
        with pytest.raises(CertificateError):
            use(text)


def test_a_long_name_is_among_the_names_and_shortened_in_the_subject(authority):
    long = "compute1." + ".".join(["a" * 60] * 3)
    request, _ = certificates.new_request(long, [long])

    facts = certificates.read(_issue(request, authority, names=[long]))

    assert (facts.subject, facts.names) == ("CN=compute1", (long,))


def test_a_certificate_without_a_name_is_not_issued(authority):
    request, _ = certificates.new_request("compute1", [])
    with pytest.raises(CertificateError):
        _issue(request, authority, names=[])


def test_the_key_of_another_is_not_its_key(authority, host):
    _, key = certificates.new_request("compute1", ["compute1"])
    assert not certificates.is_key_of(key, host[0])


def test_the_fingerprint_is_the_one_that_openssl_shows(authority):
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=authority[0],
        capture_output=True,
        text=True,
        check=True,
    )
    shown = done.stdout.strip().partition("=")[2].replace(":", "").lower()
    assert certificates.fingerprint(authority[0]).hex() == shown
