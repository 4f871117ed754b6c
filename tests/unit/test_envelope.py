"""The one door through which messages leave and enter."""

import pytest

from common.envelope import Interface, MisdirectedError, check_fit, open_envelope, seal, unseal
from common.identity import Identity, KeyUnknownError, Kind, NotProvenError, PrivateKey, SignatureWrongError
from common.wire import WireError
from tests.fakes import identities

OURS = Interface(name="conductor", topic="limosa-conductor", major=1, minor=2)
KEYRING = identities.EverybodysKeys()


def sealed(identity=identities.ADMINISTRATOR, **changes):
    message = seal("{}", identity=identity, audience=OURS.topic, interface=OURS, method="list_instances")
    return {**message, **changes}


def test_what_was_sealed_is_unsealed_and_proven():
    envelope, signer = unseal(sealed(), keyring=KEYRING, audience=OURS.topic)
    assert (envelope.signer, envelope.method, envelope.payload) == (
        "administrator:ann",
        "list_instances",
        "{}",
    )
    assert signer == identities.ADMINISTRATOR.principal
    assert envelope.request_id.startswith("req-")


def test_each_message_has_a_request_id_of_its_own_and_a_reply_has_that_of_its_request():
    assert sealed()["request_id"] != sealed()["request_id"]
    reply = seal(
        "{}", identity=identities.CONDUCTOR, audience="a", interface=OURS, method="m", request_id="req-1"
    )
    assert reply["request_id"] == "req-1"


def test_a_resend_is_signed_anew():
    assert sealed()["signature"] != sealed()["signature"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"interface": "compute-agent"}, "compute-agent is not conductor"),
        ({"version": "2.0"}, r"2\.0 cannot talk to 1\.2"),
        ({"version": ""}, "cannot talk"),
        ({"payload": {"not": "text"}}, "expected str"),
        ({"sent_at": "now"}, "expected a finite number"),
    ],
)
def test_a_message_for_somebody_else_or_a_broken_one_is_refused(changes, complaint):
    with pytest.raises(WireError, match=complaint):
        check_fit(open_envelope(sealed(**changes)), OURS)


@pytest.mark.parametrize("message", [None, [], "text", {}, {"signer": "s"}])
def test_rubbish_is_refused(message):
    with pytest.raises(WireError):
        unseal(message, keyring=KEYRING, audience=OURS.topic)


@pytest.mark.parametrize(
    ("version", "is_newer"), [("1.1", False), ("1.2", False), ("1.3", True), ("1.x", False)]
)
def test_only_a_greater_minor_is_newer(version, is_newer):
    assert open_envelope(sealed(version=version)).is_newer_than(OURS) is is_newer


def test_fields_that_a_newer_peer_adds_are_no_reason_to_refuse():
    envelope, _ = unseal(sealed(key_id="k"), keyring=KEYRING, audience=OURS.topic)
    assert envelope.method == "list_instances"


@pytest.mark.parametrize("field", ["payload", "method", "request_id", "version", "interface"])
def test_a_word_that_was_changed_breaks_the_signature(field):
    message = sealed()
    with pytest.raises(SignatureWrongError, match="administrator:ann"):
        unseal({**message, field: message[field] + "x"}, keyring=KEYRING, audience=OURS.topic)


@pytest.mark.parametrize("signature", ["", "no base64", "AAAA", "é"])
def test_what_is_no_signature_proves_nothing(signature):
    with pytest.raises(SignatureWrongError):
        unseal(sealed(signature=signature), keyring=KEYRING, audience=OURS.topic)


def test_another_key_under_the_same_name_proves_nothing():
    forger = Identity(principal=identities.ADMINISTRATOR.principal, key=PrivateKey.generate())
    with pytest.raises(SignatureWrongError):
        unseal(sealed(forger), keyring=KEYRING, audience=OURS.topic)


@pytest.mark.parametrize(
    "signer", ["", "ann", "king:ann", "administrator:", "administrator:a b", "host:../x"]
)
def test_who_is_nobody_proves_nothing(signer):
    with pytest.raises(NotProvenError, match="nobody's name"):
        unseal(sealed(signer=signer), keyring=KEYRING, audience=OURS.topic)


def test_somebody_whom_the_keyring_does_not_know_proves_nothing():
    keyring = identities.EverybodysKeys(Kind.CONDUCTOR)
    with pytest.raises(KeyUnknownError, match="administrator:ann"):
        unseal(sealed(), keyring=keyring, audience=OURS.topic)


def test_a_message_that_was_meant_for_another_queue_is_refused():
    with pytest.raises(MisdirectedError, match="meant for limosa-conductor"):
        unseal(sealed(), keyring=KEYRING, audience="limosa-compute.compute1")
