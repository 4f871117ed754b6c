"""The one door through which messages leave and enter."""

import pytest

from common.envelope import Interface, seal, unseal
from common.wire import WireError

OURS = Interface(name="conductor", topic="limosa-conductor", major=1, minor=2)


def sealed(**changes):
    message = seal("{}", signer="limosa@admin", interface=OURS, method="list_instances")
    return {**message, **changes}


def test_what_was_sealed_is_unsealed():
    envelope = unseal(sealed(), interface=OURS)
    assert (envelope.signer, envelope.method, envelope.payload) == ("limosa@admin", "list_instances", "{}")
    assert envelope.context.signer == "limosa@admin"
    assert envelope.context.request_id.startswith("req-")


def test_each_message_has_a_request_id_of_its_own_and_a_reply_has_that_of_its_request():
    assert sealed()["request_id"] != sealed()["request_id"]
    assert seal("{}", signer="s", interface=OURS, method="m", request_id="req-1")["request_id"] == "req-1"


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
        unseal(sealed(**changes), interface=OURS)


@pytest.mark.parametrize("message", [None, [], "text", {}, {"signer": "s"}])
def test_rubbish_is_refused(message):
    with pytest.raises(WireError):
        unseal(message, interface=OURS)


@pytest.mark.parametrize(
    ("version", "is_newer"), [("1.1", False), ("1.2", False), ("1.3", True), ("1.x", False)]
)
def test_only_a_greater_minor_is_newer(version, is_newer):
    assert unseal(sealed(version=version), interface=OURS).is_newer_than(OURS) is is_newer


def test_a_signature_of_a_newer_peer_is_no_reason_to_refuse():
    assert unseal(sealed(signature="c2ln", key_id="k"), interface=OURS).signature == "c2ln"
