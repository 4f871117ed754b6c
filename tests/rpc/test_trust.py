"""Nobody in who does not belong: forged, replayed, expired and revoked; hosts that speak for others; roles; the audit."""

import hashlib
import json
import time
from dataclasses import replace

import pytest

from common.agent_api import interface as agent_interface
from common.concurrency import spawn
from common.conductor_api import INTERFACE, ConductorAPI
from common.dispatch import CALL_KEY, encode_arguments
from common.envelope import PAYLOAD_MAX_CHARS, Envelope, new_request_id
from common.errors import (
    AdministratorExistsError,
    AdministratorNotFoundError,
    InstanceNotFoundError,
    InvalidRequestError,
    KeyTakenError,
    LastAdministratorError,
    NotPermittedError,
)
from common.identity import (
    KeyExpiredError,
    KeyFileError,
    KeyRevokedError,
    KeyUnknownError,
    NameInvalidError,
    PrivateKey,
    SignatureWrongError,
    is_name,
)
from common.migration import JobStatistics, Progress
from common.rpc import ReplyNotProvenError
from common.states import AuditResult, CheckResult, Phase, Result, Role, Verb
from common.views import (
    AdministratorRequest,
    AuditFilter,
    CheckRequest,
    InstanceView,
    KeyState,
    LiveMigrationRequest,
    MigrationFilter,
)
from common.wire import to_primitive
from conductor.db import requests
from conductor.db.models import Administrator, Request
from conductor.gate import REJECTIONS_MAX, REJECTIONS_OF_ONE_MAX
from tests.fakes import identities
from tests.fakes.cluster import GUEST, WAIT_S

REQUEST = LiveMigrationRequest(instance="web1", dest="compute2")


def administrator(name, key=None):
    known = identities.administrator(name)
    return known if key is None else replace(known, key=key)


def a_public_key():
    return PrivateKey.generate().public.to_pem()


def create(cluster, name, role=Role.READER, **more):
    """Register somebody; the API with which he asks."""
    pem = identities.administrator(name).key.public.to_pem() if is_name(name) else a_public_key()
    cluster.api.create_administrator(AdministratorRequest(name=name, role=role, public_key=pem, **more))
    return api_of(cluster, administrator(name))


def api_of(cluster, identity):
    return ConductorAPI(cluster.bus(identity))


def message(method, *arguments, identity=identities.ADMINISTRATOR, **changes):
    """A call as it stands in the conductors' queue."""
    envelope = Envelope(
        signer=str(identity.principal),
        audience=INTERFACE.topic,
        request_id=new_request_id(),
        sent_at=time.time(),
        interface=INTERFACE.name,
        version=INTERFACE.version,
        method=method,
        payload=encode_arguments(arguments),
    )
    envelope = replace(envelope, **changes)
    return to_primitive(replace(envelope, signature=identity.key.sign(envelope.signed_text())))


def put_into_queue(cluster, sealed):
    """Whatever reaches the conductors' queue, by whomever; the answer, which whoever put it there can read."""
    bus = cluster.bus(identities.ADMINISTRATOR)
    reply = bus.sender(INTERFACE, 5.0).call({CALL_KEY: True}, "receive", sealed=sealed)
    return json.loads(reply["payload"])


def audit(cluster, **which):
    return cluster.api.list_audit(AuditFilter(**which))


# ---- keys


def test_who_was_never_registered_learns_nothing(cluster):
    with pytest.raises(KeyUnknownError, match="administrator:eve") as caught:
        api_of(cluster, administrator("eve")).list_instances()
    assert caught.value.exit_code == 9


def test_a_wrong_key_under_a_known_name_learns_nothing(cluster):
    forger = administrator("ann", PrivateKey.generate())
    with pytest.raises(SignatureWrongError, match="administrator:ann"):
        api_of(cluster, forger).list_instances()
    [line] = audit(cluster, result=AuditResult.REJECTED)
    assert (line.signer, line.method) == ("administrator:ann", "list_instances")


def test_a_revoked_key_proves_nothing_from_then_on(cluster):
    bob = create(cluster, "bob")
    assert bob.list_instances() != ()

    view = cluster.api.revoke_administrator("bob")

    assert view.state is KeyState.REVOKED
    with pytest.raises(KeyRevokedError, match="was revoked, at 20"):
        bob.list_instances()


def test_an_expired_key_proves_nothing(cluster):
    bob = create(cluster, "bob", valid_days=1)
    assert bob.list_instances() != ()

    cluster.conductor.database.transact(lambda session: expire(session, "bob"))

    with pytest.raises(KeyExpiredError, match="has expired, at"):
        bob.list_instances()
    [view] = [view for view in cluster.api.list_administrators() if view.name == "bob"]
    assert view.state is KeyState.EXPIRED


def expire(session, name):
    session.get_one(Administrator, name).expires_at_ms = 1


def test_a_host_that_is_not_registered_is_not_heard(cluster):
    stranger = api_of(cluster, identities.host("compute9"))
    with pytest.raises(KeyUnknownError, match="host:compute9"):
        stranger.ledger_floor("compute9")
    assert {service.host for service in cluster.api.list_services()} == {"controller", "compute1", "compute2"}


# ---- administrators


def test_a_name_is_given_once(cluster):
    create(cluster, "bob")
    cluster.api.revoke_administrator("bob")
    with pytest.raises(AdministratorExistsError):
        create(cluster, "bob")


@pytest.mark.parametrize("name", ["", "a b", "../etc", "x" * 300, "a\nb"])
def test_what_is_no_name_is_refused(cluster, name):
    with pytest.raises(NameInvalidError):
        create(cluster, name)


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_a_key_is_valid_for_days_that_make_sense(cluster, days):
    with pytest.raises(InvalidRequestError, match="valid for 1 to"):
        create(cluster, "bob", valid_days=days)


def test_a_text_that_is_no_key_is_refused(cluster):
    with pytest.raises(KeyFileError):
        cluster.api.create_administrator(AdministratorRequest(name="bob", role=Role.READER, public_key="key"))
    assert [view.name for view in cluster.api.list_administrators()] == ["ann"]


def test_the_last_one_who_could_register_others_stays(cluster):
    create(cluster, "bob", Role.OPERATOR)
    with pytest.raises(LastAdministratorError, match="ann is the last one"):
        cluster.api.revoke_administrator("ann")
    create(cluster, "cid", Role.ADMIN)
    assert cluster.api.revoke_administrator("ann").state is KeyState.REVOKED


def test_an_unknown_one_cannot_be_revoked(cluster):
    with pytest.raises(AdministratorNotFoundError):
        cluster.api.revoke_administrator("nobody")


# ---- roles


def test_a_reader_looks_and_moves_nothing(cluster):
    bob = create(cluster, "bob")
    assert bob.show_instance("web1").uuid == GUEST
    with pytest.raises(
        NotPermittedError, match="administrator:bob may not migrate an instance: the role is reader"
    ) as caught:
        bob.live_migrate(REQUEST)
    assert caught.value.exit_code == 9
    assert cluster.api.list_migrations(MigrationFilter()) == ()
    [line] = audit(cluster, result=AuditResult.NOT_PERMITTED)
    assert (line.signer, line.method, line.target) == (
        "administrator:bob",
        "live_migrate",
        "instance=web1 dest=compute2",
    )


def test_a_check_tells_a_reader_that_he_may_not_migrate(cluster):
    [row] = create(cluster, "bob").check_instance(CheckRequest(instance="web1", hosts=("compute2",)))
    assert row.findings[0].code == "not_permitted"
    assert row.findings[0].sentence == "administrator:bob may not migrate an instance: the role is reader."
    assert row.result is CheckResult.REFUSES

    operator = create(cluster, "cid", Role.OPERATOR)
    [row] = operator.check_instance(CheckRequest(instance="web1", hosts=("compute2",)))
    assert "not_permitted" not in [finding.code for finding in row.findings]


def test_an_operator_moves_guests_and_registers_nobody(cluster):
    bob = create(cluster, "bob", Role.OPERATOR)
    cluster.end_of(bob.live_migrate(REQUEST))
    with pytest.raises(NotPermittedError, match="may not create an administrator"):
        bob.create_administrator(
            AdministratorRequest(
                name="eve", role=Role.ADMIN, public_key=PrivateKey.generate().public.to_pem()
            )
        )


# ---- what hosts may tell


def test_a_host_asks_for_no_migration(cluster):
    with pytest.raises(NotPermittedError, match="host:compute1 may not call live_migrate"):
        cluster.source.conductor.live_migrate(REQUEST)


def test_an_administrator_tells_nothing_in_a_hosts_place(cluster):
    with pytest.raises(NotPermittedError, match="may not call ledger_floor"):
        cluster.api.ledger_floor("compute1")


def test_a_host_speaks_for_no_other(cluster):
    with pytest.raises(NotPermittedError, match="host:compute2 may not speak for compute1"):
        cluster.dest.conductor.ledger_floor("compute1")


def test_a_host_cannot_answer_in_anothers_place(cluster):
    mallory = cluster.add_host("compute3")
    cluster.source.silence(Verb.CHECK_SOURCE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.CHECK_SOURCE)
    cluster.source.wait_for(lambda agent: Verb.CHECK_SOURCE in agent.verbs())
    answer = cluster.source.default(cluster.source.commands[-1])

    mallory.conductor.outcome(replace(answer, result=Result.REFUSED))  # in compute1's name
    mallory.conductor.outcome(replace(answer, result=Result.REFUSED, host="compute3"))  # in its own

    mallory.wait_for(lambda agent: agent.acknowledged)
    assert cluster.api.show_migration(view.id).phase is Phase.CHECK_SOURCE
    assert "compute1" in audit(cluster, result=AuditResult.NOT_PERMITTED)[0].detail


def test_a_host_that_is_not_the_source_confirms_nothing_and_tells_no_progress(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    assert cluster.source.conductor.confirm_live_migration(view.id, view.epoch)
    assert not cluster.dest.conductor.confirm_live_migration(view.id, view.epoch)
    cluster.dest.conductor.progress(
        Progress(
            instance=GUEST,
            migration=view.id,
            epoch=view.epoch,
            host="compute2",
            sequence=1,
            statistics=JobStatistics(),
        )
    )
    cluster.dest.conductor.ledger_floor("compute2")  # answered after it
    assert cluster.api.show_migration(view.id).progress is None


# ---- once for each request


def test_a_repeated_request_gets_the_first_answer_and_begins_nothing(cluster):
    again = message("live_migrate", REQUEST)

    first = put_into_queue(cluster, again)
    second = put_into_queue(cluster, again)

    assert first["result"]["id"] == second["result"]["id"]
    assert first == second
    assert len(cluster.api.list_migrations(MigrationFilter())) == 1
    assert len(audit(cluster, result=AuditResult.DONE)) == 1


def test_a_retry_that_is_signed_anew_gets_the_first_answer_too(cluster):
    request_id = new_request_id()
    first = put_into_queue(cluster, message("live_migrate", REQUEST, request_id=request_id))
    second = put_into_queue(cluster, message("live_migrate", REQUEST, request_id=request_id))
    assert first == second


def test_a_retry_after_a_conductor_died_before_its_answer_finds_the_migration(cluster):
    request = message("live_migrate", REQUEST)
    first = put_into_queue(cluster, request)
    cluster.conductor.database.transact(lambda session: session.query(Request).delete())

    second = put_into_queue(cluster, request)

    assert second["result"]["id"] == first["result"]["id"]
    assert len(cluster.api.list_migrations(MigrationFilter())) == 1


def test_a_refusal_is_the_first_answer_too(cluster):
    request = message("live_migrate", LiveMigrationRequest(instance="nobody"))
    first = put_into_queue(cluster, request)
    assert first["error"]["code"] == InstanceNotFoundError.__name__
    assert put_into_queue(cluster, request) == first
    [line] = audit(cluster, result=AuditResult.FAILED)
    assert "There is no instance nobody." in line.detail


def test_an_id_stands_for_one_request(cluster):
    request_id = new_request_id()
    put_into_queue(cluster, message("live_migrate", REQUEST, request_id=request_id))
    other = message("live_migrate", LiveMigrationRequest(instance="web1"), request_id=request_id)
    assert put_into_queue(cluster, other)["error"]["code"] == "RequestReusedError"
    assert len(cluster.api.list_migrations(MigrationFilter())) == 1


def test_a_request_that_was_kept_too_long_is_dropped_and_audited(cluster):
    old = message("live_migrate", REQUEST, sent_at=time.time() - 301)
    assert put_into_queue(cluster, old)["error"]["code"] == "MessageExpiredError"
    assert cluster.api.list_migrations(MigrationFilter()) == ()
    assert "was 301 s old" in audit(cluster, result=AuditResult.REJECTED)[0].detail


def test_a_message_for_a_host_is_nothing_for_a_conductor(cluster):
    stray = message("live_migrate", REQUEST, audience=agent_interface("compute1").topic)
    assert put_into_queue(cluster, stray)["error"]["code"] == "MisdirectedError"
    assert cluster.api.list_migrations(MigrationFilter()) == ()


def test_rejected_messages_do_not_fill_the_audit(cluster):
    for number in range(REJECTIONS_MAX + 5):
        put_into_queue(cluster, message("list_instances", identity=administrator(f"eve{number}")))
    assert len(audit(cluster, result=AuditResult.REJECTED, limit=1000)) <= REJECTIONS_MAX


def test_two_requests_under_one_id_at_the_same_moment_are_one_request_and_a_refusal(cluster):
    request_id = new_request_id()
    other = AdministratorRequest(name="mallory", role=Role.ADMIN, public_key=a_public_key())
    asked = (
        message("create_administrator", other, request_id=request_id),
        message("enable_service", "compute1", request_id=request_id),
    )

    answers = [task.wait(WAIT_S) for task in [spawn(put_into_queue, cluster, one) for one in asked]]

    refused = [answer for answer in answers if answer.get("error", {}).get("code") == "RequestReusedError"]
    assert len(refused) == 1
    done = {line.method for line in audit(cluster, result=AuditResult.DONE)}
    is_registered = "mallory" in {view.name for view in cluster.api.list_administrators()}
    assert done == ({"create_administrator"} if is_registered else {"enable_service"})


def test_the_same_request_twice_at_the_same_moment_is_carried_out_once_and_answered_twice(cluster):
    bob = AdministratorRequest(name="bob", role=Role.READER, public_key=a_public_key())
    asked = message("create_administrator", bob)

    first, second = [task.wait(WAIT_S) for task in [spawn(put_into_queue, cluster, asked) for _ in range(2)]]

    assert first == second
    assert first["result"]["name"] == "bob"
    assert len(audit(cluster)) == 1


def test_a_request_whose_conductor_died_is_carried_out_by_the_next_one_in_time(cluster, monkeypatch):
    monkeypatch.setattr("conductor.gate.ANSWER_WAIT_S", 0.3)
    asked = message("disable_service", "compute2", "new memory")
    signer = str(identities.ADMINISTRATOR.principal)
    digest = hashlib.sha256(f"disable_service\n{asked['payload']}".encode()).hexdigest()
    cluster.conductor.database.transact(
        lambda session: requests.begin(
            session, asked["request_id"], signer=signer, digest=digest, keep_s=900, abandoned_s=900
        )
    )

    answers = [put_into_queue(cluster, asked) for _ in range(2)]

    assert any("result" in answer for answer in answers)
    assert len(audit(cluster, result=AuditResult.DONE)) == 1


def test_an_id_that_once_began_a_migration_begins_another_for_somebody_else(cluster):
    request_id = new_request_id()
    first = put_into_queue(cluster, message("live_migrate", REQUEST, request_id=request_id))
    cluster.end_of(cluster.api.show_migration(first["result"]["id"]))
    cluster.conductor.database.transact(lambda session: session.query(Request).delete())
    create(cluster, "bob", Role.OPERATOR)

    stranger = message("live_migrate", REQUEST, identity=administrator("bob"), request_id=request_id)
    answer = put_into_queue(cluster, stranger)

    assert answer.get("result", {}).get("id") != first["result"]["id"]


def test_a_key_is_one_persons(cluster):
    pem = a_public_key()
    cluster.api.create_administrator(AdministratorRequest(name="bob", role=Role.READER, public_key=pem))
    with pytest.raises(KeyTakenError, match="eve would have the key of bob"):
        cluster.api.create_administrator(AdministratorRequest(name="eve", role=Role.ADMIN, public_key=pem))


def test_registering_the_same_key_again_is_registering_it_once(cluster):
    request = AdministratorRequest(name="bob", role=Role.READER, public_key=a_public_key())
    assert cluster.api.create_administrator(request) == cluster.api.create_administrator(request)
    with pytest.raises(AdministratorExistsError):
        cluster.api.create_administrator(replace(request, role=Role.ADMIN))


def test_the_answer_to_a_forgery_answers_nothing_else(cluster):
    """Else a stranger could have a refusal made for somebody's request, and hand it to him."""
    bus = cluster.bus(identities.ADMINISTRATOR)
    pending = message("list_instances")
    forged = {**pending, "signature": "AAAA"}
    reply = bus.sender(INTERFACE, 5.0).call({CALL_KEY: True}, "receive", sealed=forged)

    assert reply["in_reply_to"] == "AAAA" != pending["signature"]
    with pytest.raises(ReplyNotProvenError):
        bus.client(INTERFACE)._believe(reply, pending, tuple[InstanceView, ...])


@pytest.mark.parametrize(
    "changes",
    [
        {"sent_at": 10**400},
        {"signer": "administrator:\ud800"},
        {"method": "\ud800"},
        {"request_id": ""},
        {"request_id": "x" * 10_000},
        {"payload": "[" * 200_000},
        {"version": "1." + "9" * 5_000},
        {"payload": "x" * (PAYLOAD_MAX_CHARS + 1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_a_stranger_sends_is_answered_and_breaks_nothing(cluster, changes):
    assert "error" in put_into_queue(cluster, {**message("list_instances"), **changes})
    assert cluster.api.list_instances() != ()


def test_what_strangers_write_moves_no_cursor_and_makes_no_line(cluster):
    put_into_queue(cluster, message("list\n\x1b[31m", identity=administrator("eve")))
    [line] = audit(cluster, result=AuditResult.REJECTED)
    assert line.method == "list\\n\\x1b[31m"


def test_strangers_push_no_true_line_out_of_the_audit(cluster, monkeypatch):
    monkeypatch.setattr("conductor.db.audit.REJECTED_MAX", 3)
    create(cluster, "bob")
    for number in range(8):
        put_into_queue(cluster, message("list_instances", identity=administrator(f"eve{number}")))

    assert len(audit(cluster, result=AuditResult.REJECTED)) == 3
    assert [line.method for line in audit(cluster, result=AuditResult.DONE)] == ["create_administrator"]


def test_one_who_sends_many_hides_nobody_elses_refusal(cluster):
    bob = create(cluster, "bob")
    for _ in range(REJECTIONS_OF_ONE_MAX + 5):
        put_into_queue(cluster, message("list_instances", identity=administrator("eve")))
    put_into_queue(cluster, message("list_instances", identity=administrator("mallory")))
    with pytest.raises(NotPermittedError):
        bob.live_migrate(REQUEST)

    signers = [line.signer for line in audit(cluster, result=AuditResult.REJECTED)]
    assert signers.count("administrator:eve") == REJECTIONS_OF_ONE_MAX
    assert signers.count("administrator:mallory") == 1
    assert len(audit(cluster, result=AuditResult.NOT_PERMITTED)) == 1


# ---- the audit


def test_looking_is_not_audited_and_changing_is(cluster):
    cluster.api.list_instances()
    cluster.end_of(cluster.migrate())
    create(cluster, "bob", Role.OPERATOR)

    lines = audit(cluster)

    assert [(line.method, line.target) for line in lines] == [
        ("create_administrator", "name=bob role=operator"),
        ("live_migrate", "instance=web1 dest=compute2"),
    ]
    assert {line.signer for line in lines} == {"administrator:ann"}
    assert audit(cluster, signer="bob") == ()
    assert len(audit(cluster, signer="ann", limit=1)) == 1


@pytest.mark.parametrize("limit", [0, -1, 10**6])
def test_an_audit_is_listed_within_bounds(cluster, limit):
    with pytest.raises(InvalidRequestError):
        audit(cluster, limit=limit)
