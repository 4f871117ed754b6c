"""TLS certificates: a CA of our own, what it issues to brokers and hosts, and what is wrong with one.

Keys are ECDSA P-256: GnuTLS (libvirt, QEMU), OpenSSL (Python) and Erlang 25 (RabbitMQ) all take them. All of it is PEM text;
the files are the callers'. Ours (`common/identity.py`) are other keys: they sign messages, not connections.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import LimosaError

ENDS_SOON_DAYS: Final = 30
BACKDATED_S: Final = 3_600  # the clock of a host that is to believe it may be behind
COMMON_NAME_MAX_CHARACTERS: Final = 64  # X.520, upper bound of a common name
CHAIN_MAX_CERTIFICATES: Final = 8


class CertificateError(LimosaError):
    message = "{what} cannot be used: {reason}."
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    subject: str
    issuer: str
    names: tuple[str, ...]  # of hosts, and addresses, that it is good for
    not_before: datetime
    not_after: datetime
    is_authority: bool


def new_authority(name: str, *, valid_days: int) -> tuple[str, str]:
    """A CA that signs itself: its certificate and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    start, end = _period(valid_days=valid_days)
    builder = _builder(subject=subject, issuer=subject, start=start, end=end)
    certificate = (
        builder.public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(own_id, critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate), _key_pem(key)


def new_request(common_name: str, names: Sequence[str]) -> tuple[str, str]:
    """A request for a certificate, and the private key, which stays where it is made."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(common_name))
        .add_extension(_alternatives(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(Encoding.PEM).decode("ascii"), _key_pem(key)


def issue(
    request_pem: str, *, authority_pem: str, authority_key_pem: str, names: Sequence[str], valid_days: int
) -> str:
    """A certificate for the request's key and these names, for both ends of a connection; raises CertificateError.

    What the request says of its subject and names is not asked: its author is whom we do not trust. It ends with its CA
    at the latest.
    """
    if not names:
        raise CertificateError(what="The request", reason="a certificate without a name is good for nobody")
    request = _load_request(request_pem)
    authority, authority_key = _load_one(authority_pem), _load_key(authority_key_pem)
    start, end = _period(valid_days=valid_days)
    end = min(end, authority.not_valid_after_utc)
    builder = _builder(subject=_subject(names[0]), issuer=authority.subject, start=start, end=end)
    certificate = (
        builder.public_key(request.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # Not critical: where it is, libvirt 9 and QEMU 7.2 demand key encipherment, which RFC 8813 forbids an ECDSA key.
        .add_extension(_key_usage(is_authority=False), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(_alternatives(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
        .add_extension(_id_of_issuer(authority_key), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return _pem(certificate)


def read(pem: str) -> CertificateFacts:
    """What the first certificate of the text says; raises CertificateError."""
    certificate = _load_one(pem)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names_of(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_authority=_is_authority(certificate),
    )


def problems(
    certificate_pem: str,
    *,
    authority_pem: str,
    names: Sequence[str],
    now: datetime,
    ends_soon_days: int = ENDS_SOON_DAYS,
) -> tuple[str, ...]:
    """What is wrong with it, as sentences, or will be within these days; raises CertificateError for what is none.

    `names` are those that it must be good for. The text may hold its chain as well, that of the CA several.
    """
    time = partial(_problems_of_time, now=now, ends_soon_days=ends_soon_days)
    found = time(_load_one(certificate_pem), "The certificate")
    found += misfits(certificate_pem, authority_pem=authority_pem, names=names)
    for authority in _load(authority_pem)[:1]:
        found += time(authority, "The CA's certificate")
    return tuple(found)


def misfits(certificate_pem: str, *, authority_pem: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of `problems` that time neither brings nor mends."""
    certificate, found = _load_one(certificate_pem), []
    if not _leads_to(_load(certificate_pem), _load(authority_pem)):
        found.append(
            f"Another CA has issued it: {certificate.issuer.rfc4514_string() or 'one without a name'}."
        )
    has = _names_of(certificate)
    if missing := [name for name in names if not any(_covers(one, name) for one in has)]:
        found.append(
            f"It is not good for {', '.join(missing)}, only for {', '.join(has) or 'no name at all'}."
        )
    return tuple(found)


def is_issued_by(certificate_pem: str, *, authority_pem: str) -> bool:
    """Whether the CA stands behind it, whatever else may be wrong with it; raises CertificateError."""
    return _leads_to(_load(certificate_pem), _load(authority_pem))


def is_good_for(certificate_pem: str, name: str) -> bool:
    """Whether the first certificate of the text has this name, or one that covers it; raises CertificateError."""
    return any(_covers(one, name) for one in _names_of(_load_one(certificate_pem)))


def is_key_of(key_pem: str, certificate_pem: str) -> bool:
    """Whether the private key is the certificate's; raises CertificateError."""
    certificate = _load_one(certificate_pem)
    try:
        key = load_pem_private_key(key_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            what="The private key", reason="it is none in PEM form without a password"
        ) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def fingerprint(pem: str) -> bytes:
    """SHA-256 of the certificate, 32 bytes, as `openssl x509 -fingerprint -sha256` shows it; raises CertificateError."""
    return hashlib.sha256(_load_one(pem).public_bytes(Encoding.DER)).digest()


def _period(*, valid_days: int) -> tuple[datetime, datetime]:
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(seconds=BACKDATED_S), now + timedelta(days=valid_days)


def _builder(
    *, subject: x509.Name, issuer: x509.Name, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _subject(name: str) -> x509.Name:
    fits = name if len(name) <= COMMON_NAME_MAX_CHARACTERS else name.partition(".")[0]
    text = fits[:COMMON_NAME_MAX_CHARACTERS]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """The same name twice is one: GnuTLS and OpenSSL take both, and a reader wonders."""
    return x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise CertificateError(
            what=f"The name {name:.80}", reason="it has characters that are not ASCII"
        ) from error


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _id_of_issuer(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _load_request(pem: str) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        is_signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CertificateError(
            what="The request", reason="it is no certificate request in PEM form"
        ) from error
    if not is_signed:
        raise CertificateError(what="The request", reason="it is not signed with the key that it names")
    return request


def _load_key(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise CertificateError(
            what="The CA's key", reason="it is none in PEM form without a password"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(what="The CA's key", reason="it is no ECDSA key")
    return key


def _load(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise CertificateError(what="The certificate", reason="it is none in PEM form") from error


def _load_one(pem: str) -> x509.Certificate:
    return _load(pem)[0]


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except ValueError as error:
        raise CertificateError(what="The certificate", reason="its extensions are damaged") from error
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):  # ValueError: damaged
        return False


def _problems_of_time(
    certificate: x509.Certificate, what: str, *, now: datetime, ends_soon_days: int
) -> list[str]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        return [f"{what} is not valid before {start:%Y-%m-%d %H:%M} UTC: is this machine's clock right?"]
    if now > end:
        return [f"{what} expired at {end:%Y-%m-%d %H:%M} UTC."]
    if now > end - timedelta(days=ends_soon_days):
        return [f"{what} ends in {(end - now).days} days, at {end:%Y-%m-%d %H:%M} UTC."]
    return []


def _leads_to(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    """Whether the first of the chain is issued by one of the authorities, through the rest of the chain at most."""
    current, rest = chain[0], list(chain[1:CHAIN_MAX_CERTIFICATES])
    while True:
        if any(_is_issued_by(current, one) for one in authorities):
            return True
        between = next((one for one in rest if _is_authority(one) and _is_issued_by(current, one)), None)
        if between is None:
            return False
        rest.remove(between)
        current = between


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (
        ValueError,
        TypeError,
        InvalidSignature,
    ):  # another name; a kind of key that signs nothing; another key
        return False
    return True


def _covers(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower(), name.lower().rstrip(".")
    if pattern.startswith("*."):  # one label, the leftmost: RFC 6125
        return name.partition(".")[2] == pattern[2:]
    return pattern == name or _is_same_address(pattern, name)


def _is_same_address(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
