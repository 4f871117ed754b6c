"""Hosts that join: once, with the code that was made for them, and with nothing else; and hosts that leave."""

import time
from dataclasses import replace

import pytest

from common import broker_names, broker_passwords, certificates, config
from common.conductor_api import ConductorAPI
from common.enrolment_api import (
    CodeExpiredError,
    CodeUnknownError,
    CodeUsedError,
    EnrolmentAPI,
    JoinRequest,
    KeyNotHeldError,
    proven_text,
)
from common.errors import (
    AdministratorExistsError,
    InvalidRequestError,
    KeyTakenError,
    LimosaError,
    NotPermittedError,
)
from common.identity import (
    Identity,
    KeyUnknownError,
    Kind,
    Principal,
    PrivateKey,
    SignatureWrongError,
)
from common.join_code import JoinCode
from common.membership_api import HostBusyError
from common.states import AuditResult, Role
from common.views import AdministratorRequest, AuditFilter
from conductor import authority, broker_management, enrolling, inviting
from conductor.broker_management import BrokerManagementError
from conductor.broker_users import BrokerUsers
from conductor.db import enrolments, keys
from conductor.presentation import iso
from conductor.registration import HostKnownError, HostNotRegisteredError
from tests.fakes import identities
from tests.fakes.broker_management import FakeManagement
from tests.fakes.cluster import Cluster

HOST = "compute9"
USER = "limosa-host-compute9"
JOINING_USER = "limosa-joining-compute9"
LONG_AGO_S = -1


@pytest.fixture
def management(monkeypatch):
    fake = FakeManagement()
    monkeypatch.setattr(broker_management, "configured", lambda conf: fake)
    return fake


@pytest.fixture
def conf(tmp_path):
    config.register_options(config.CONF)
    values = {
        ("broker", "management_password"): "s3cret",
        ("pki", "ca_certificate"): str(tmp_path / "pki" / "ca.pem"),
        ("pki", "ca_key"): str(tmp_path / "pki" / "ca.key"),
        ("identity", "conductor_public_key"): str(tmp_path / "conductor.pub"),
    }
    for (group, name), value in values.items():
        config.CONF.set_override(name, value, group=group)
    yield config.CONF
    for group, name in values:
        config.CONF.clear_override(name, group=group)


@pytest.fixture
def cluster(tmp_path, management, conf):
    cluster = Cluster(tmp_path)
    authority.make(conf)
    identities.CONDUCTOR.key.public.save(tmp_path / "conductor.pub")
    yield cluster
    cluster.stop()


class Joiner:
    """A host that nobody knows yet."""

    def __init__(self, cluster, code, *, key=None, name=HOST, request=None):
        self.key = key or PrivateKey.generate()
        self.certificate_request, _ = certificates.new_request(name, [name])
        self.password = broker_passwords.new_password()
        principal = Principal(kind=Kind.HOST, name=name)
        self._bus = cluster.bus(Identity(principal=principal, key=code.key))
        self._name = name
        self._changes = request or {}

    def join(self):
        values = {
            "certificate_request": self.certificate_request,
            "password_hash": broker_passwords.hashed(self.password),
        }
        proof = self.key.sign(proven_text(self._name, **values))
        request = JoinRequest(public_key=self.key.public.to_pem(), proof=proof, **values)
        return EnrolmentAPI(self._bus).join(replace(request, **self._changes))


def invite(conf, host=HOST, *, names=(), is_replacing=False):
    return JoinCode.parse(inviting.invite(conf, host, names=names, is_replacing=is_replacing).code)


def registered(cluster):
    with cluster.conductor.database.reading() as session:
        return {row.host: row.public_key for row in keys.list_hosts(session)}


def audited(cluster, **which):
    return [(line.signer, line.method, line.result) for line in cluster.api.list_audit(AuditFilter(**which))]


def as_host(cluster, key):
    identity = Identity(principal=Principal(kind=Kind.HOST, name=HOST), key=key)
    return ConductorAPI(cluster.bus(identity))


# ---- joining


def test_a_host_joins_with_its_code_and_is_one_of_us(cluster, conf, management):
    code = invite(conf, names=["compute9.example.org", "192.0.2.9"])
    joiner = Joiner(cluster, code)
    assert management.rights.keys() == {JOINING_USER}
    assert f"{HOST}  may join until" in "\n".join(inviting.listed_hosts(conf))

    grant = joiner.join()

    assert grant.broker_user == USER
    assert management.password_hashes[USER] != broker_passwords.hashed(joiner.password), "each has its salt"
    assert certificates.fingerprint(grant.authority) == code.authority
    names = certificates.read(grant.certificate).names
    assert names[:3] == (HOST, "compute9.example.org", "192.0.2.9")
    assert as_host(cluster, joiner.key).greet(HOST)
    assert HOST in inviting.listed_hosts(conf)
    assert (f"host:{HOST}", "join", AuditResult.DONE) in audited(cluster)


def test_who_asks_again_with_the_same_key_has_joined_once(cluster, conf):
    joiner = Joiner(cluster, invite(conf))
    joiner.join()
    joiner.join()
    assert registered(cluster)[HOST] == joiner.key.public.to_pem()


def test_a_code_is_good_for_one_key_only(cluster, conf, management):
    code = invite(conf)
    first = Joiner(cluster, code)
    first.join()
    before = management.password_hashes[USER]

    with pytest.raises(CodeUsedError, match=HOST) as caught:
        Joiner(cluster, code).join()

    assert caught.value.exit_code == 9
    assert registered(cluster)[HOST] == first.key.public.to_pem()
    assert management.password_hashes[USER] == before
    assert (f"host:{HOST}", "join", AuditResult.FAILED) in audited(cluster)


def test_a_used_code_is_worth_nothing_with_the_hosts_public_key(cluster, conf, management):
    code = invite(conf)
    host = Joiner(cluster, code)
    host.join()
    before = management.password_hashes[USER]

    thief = Joiner(cluster, code, request={"public_key": host.key.public.to_pem()})
    with pytest.raises(KeyNotHeldError):
        thief.join()

    assert management.password_hashes[USER] == before
    assert (f"host:{HOST}", "join", AuditResult.FAILED) in audited(cluster)


@pytest.mark.parametrize("field", ["certificate_request", "password_hash"])
def test_what_is_asked_for_with_a_key_is_proven_with_it(cluster, conf, field):
    code = invite(conf)
    other = {
        "certificate_request": certificates.new_request(HOST, [HOST])[0],
        "password_hash": broker_passwords.hashed(broker_passwords.new_password()),
    }
    with pytest.raises(KeyNotHeldError):
        Joiner(cluster, code, request={field: other[field]}).join()
    assert HOST not in registered(cluster)


def test_a_code_for_another_host_is_refused(cluster, conf):
    with pytest.raises(CodeUnknownError, match="compute8"):
        Joiner(cluster, invite(conf), name="compute8").join()
    assert "compute8" not in registered(cluster)


def test_a_code_that_a_newer_one_has_replaced_proves_nothing(cluster, conf):
    old = invite(conf)
    new = invite(conf)
    with pytest.raises(SignatureWrongError):
        Joiner(cluster, old).join()
    Joiner(cluster, new).join()
    assert (f"host:{HOST}", "join", AuditResult.REJECTED) in audited(cluster, result=AuditResult.REJECTED)


def test_an_expired_code_is_refused_and_its_user_goes(cluster, conf, management):
    code = invite(conf)
    pem = code.key.public.to_pem()
    cluster.conductor.database.transact(
        lambda session: enrolments.put_code(session, HOST, public_key=pem, names=(), valid_s=LONG_AGO_S)
    )

    with pytest.raises(CodeExpiredError):
        Joiner(cluster, code).join()

    assert inviting.listed_hosts(conf) == ("compute1", "compute2")
    enrolling.users_of(conf, cluster.conductor.database).tidy()
    assert JOINING_USER not in management.rights
    assert JOINING_USER in management.closed


def test_an_administrator_has_no_code(cluster):
    bus = cluster.bus(identities.ADMINISTRATOR)
    request = JoinRequest(public_key="", certificate_request="", password_hash="", proof="")
    with pytest.raises(KeyUnknownError):
        EnrolmentAPI(bus).join(request)


def test_a_code_proves_nothing_elsewhere(cluster, conf):
    code = invite(conf)
    with pytest.raises(KeyUnknownError):
        as_host(cluster, code.key).greet(HOST)


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": "no key"},
        {"password_hash": "s3cret"},
        {"public_key": identities.CONDUCTOR.key.public.to_pem()},
    ],
)
def test_a_request_that_cannot_work_leaves_the_code_unused(cluster, conf, changes):
    code = invite(conf)
    before = registered(cluster)

    with pytest.raises(LimosaError) as caught:
        Joiner(cluster, code, request=changes).join()

    assert caught.value.exit_code == 2
    assert registered(cluster) == before
    Joiner(cluster, code).join()


def test_a_request_for_a_certificate_that_is_none_leaves_the_code_unused(cluster, conf, management):
    code = invite(conf)
    joiner = Joiner(cluster, code)
    joiner.certificate_request = "no request"
    with pytest.raises(certificates.CertificateError):
        joiner.join()
    assert HOST not in registered(cluster)
    Joiner(cluster, code).join()


def test_the_key_of_another_host_is_refused_before_rabbitmq_is_asked(cluster, conf, management):
    code = invite(conf)
    with pytest.raises(KeyTakenError):
        Joiner(cluster, code, key=identities.host("compute1").key).join()
    assert USER not in management.rights
    Joiner(cluster, code).join()


def test_rabbitmq_being_away_leaves_the_code_unused(cluster, conf, management):
    code = invite(conf)
    management.reason = "connection refused"
    with pytest.raises(BrokerManagementError):
        Joiner(cluster, code).join()
    assert HOST not in registered(cluster)

    management.reason = ""
    Joiner(cluster, code).join()


def test_a_code_that_was_withdrawn_is_unknown(cluster, conf, management):
    code = invite(conf)
    inviting.remove_host(conf, HOST)
    with pytest.raises(CodeUnknownError):
        Joiner(cluster, code).join()
    assert management.rights == {}


# ---- what is done by hand


def test_a_host_that_is_known_gets_a_new_code_only_by_replacing(cluster, conf):
    first = Joiner(cluster, invite(conf))
    first.join()
    with pytest.raises(HostKnownError):
        invite(conf)

    second = Joiner(cluster, invite(conf, is_replacing=True))
    assert as_host(cluster, first.key).greet(HOST), "until the new one has joined"
    second.join()
    assert registered(cluster)[HOST] == second.key.public.to_pem()


def test_a_host_that_is_removed_loses_its_user_its_connections_and_its_queue(cluster, conf, management):
    joiner = Joiner(cluster, invite(conf))
    grant = joiner.join()

    good_until = inviting.remove_host(conf, HOST)

    not_after = certificates.read(grant.certificate).not_after
    assert good_until >= iso(int(not_after.timestamp() * 1000)), "its certificate nobody takes back"
    assert management.rights == {}
    assert {USER, JOINING_USER} <= set(management.closed)
    assert broker_names.command_queue(HOST) in management.deleted_queues
    with pytest.raises(KeyUnknownError):
        as_host(cluster, joiner.key).greet(HOST)
    with pytest.raises(HostNotRegisteredError):
        inviting.remove_host(conf, HOST)


def test_a_host_is_shut_out_while_rabbitmq_is_away_and_its_user_goes_later(cluster, conf, management):
    joiner = Joiner(cluster, invite(conf))
    joiner.join()
    management.reason = "connection refused"

    with pytest.raises(BrokerManagementError):
        inviting.remove_host(conf, HOST)

    assert HOST not in registered(cluster)
    management.reason = ""
    enrolling.users_of(conf, cluster.conductor.database).tidy()
    assert management.rights == {}


def test_who_comes_back_before_the_farewell_keeps_the_user(cluster, conf, management):
    Joiner(cluster, invite(conf)).join()
    cluster.conductor.database.transact(lambda session: enrolments.part_host(session, HOST, after_s=0))
    joiner = Joiner(cluster, invite(conf, is_replacing=True))
    joiner.join()

    BrokerUsers(cluster.conductor.database, management, control_exchange="limosa").tidy()

    assert USER in management.rights


def test_who_comes_back_while_others_are_removed_keeps_the_user(cluster, conf, management, monkeypatch):
    database = cluster.conductor.database
    users = BrokerUsers(database, management, control_exchange="limosa")
    Joiner(cluster, invite(conf)).join()
    for host in ("compute8", HOST):
        database.transact(lambda session, host=host: enrolments.part_host(session, host, after_s=0))

    delete_user = FakeManagement.delete_user

    def come_back(self, name):
        delete_user(self, name)
        database.transact(lambda session: enrolments.keep(session, USER))

    monkeypatch.setattr(FakeManagement, "delete_user", come_back)
    users.tidy()

    assert USER in management.rights


def test_a_join_that_was_not_registered_leaves_no_user(cluster, conf, management, monkeypatch):
    """The code is withdrawn at the last moment, when the user is made already."""
    code = invite(conf)
    database = cluster.conductor.database
    create_user = FakeManagement.create_user

    def withdraw(self, name, **values):
        create_user(self, name, **values)
        database.transact(lambda session: enrolments.withdraw_code(session, HOST))

    monkeypatch.setattr(FakeManagement, "create_user", withdraw)
    with pytest.raises(CodeUnknownError):
        Joiner(cluster, code).join()

    enrolling.users_of(conf, database).tidy()
    assert management.rights == {}


def test_a_host_whose_join_broke_off_is_removed_with_its_user(cluster, conf, management):
    """The conductor died between RabbitMQ and the database."""
    invite(conf)
    users = enrolling.users_of(conf, cluster.conductor.database)
    users.admit_host(HOST, password_hash=broker_passwords.hashed("s3cret"))

    inviting.remove_host(conf, HOST)

    assert management.rights == {}


@pytest.mark.parametrize("name", ["compute 9", "compute9,evil", ""])
def test_a_name_that_is_none_is_in_no_certificate(cluster, conf, name):
    with pytest.raises(InvalidRequestError):
        invite(conf, names=[name])
    assert inviting.listed_hosts(conf) == ("compute1", "compute2")


# ---- membership


def test_a_host_renews_its_own_certificate_with_the_names_that_were_declared(cluster, conf):
    joiner = Joiner(cluster, invite(conf, names=["compute9.example.org"]))
    joiner.join()
    api = as_host(cluster, joiner.key)
    request, _ = certificates.new_request("evil", ["conductor"])

    certificate = api.renew_certificate(HOST, request)

    assert certificates.read(certificate).names[:2] == (HOST, "compute9.example.org")
    [line] = cluster.api.list_audit(AuditFilter(signer=HOST, result=AuditResult.DONE))[:1]
    assert (line.method, line.target) == ("renew_certificate", HOST)
    with pytest.raises(NotPermittedError):
        api.renew_certificate("compute1", request)


def test_a_host_that_leaves_is_heard_no_more_and_its_user_goes_when_it_has_its_answer(
    cluster, conf, management
):
    joiner = Joiner(cluster, invite(conf))
    joiner.join()
    api = as_host(cluster, joiner.key)

    assert api.leave(HOST)

    assert USER in management.rights, "the answer goes through its queue"
    assert (f"host:{HOST}", "leave", AuditResult.DONE) in audited(cluster)
    with pytest.raises(KeyUnknownError):
        api.greet(HOST)
    with cluster.conductor.database.reading() as session:
        now_s = time.time()
        due_s = {row.broker_user: row.due_at_ms / 1000 for row in session.query(enrolments.Farewell)}
    assert now_s < due_s[USER]


def test_a_host_with_an_open_migration_stays(cluster):
    migration = cluster.migrate()
    for host in ("compute1", "compute2"):
        api = ConductorAPI(cluster.bus(identities.host(host)))
        with pytest.raises(HostBusyError, match=migration.id):
            api.leave(host)
        assert (f"host:{host}", "leave", AuditResult.FAILED) in audited(cluster)
    assert registered(cluster).keys() == {"compute1", "compute2"}


def test_no_host_sends_another_away(cluster):
    with pytest.raises(NotPermittedError):
        ConductorAPI(cluster.bus(identities.host("compute1"))).leave("compute2")


# ---- administrators


def administrator_request(name="bob", **changes):
    password_hash = broker_passwords.hashed(broker_passwords.new_password())
    pem = identities.administrator(name).key.public.to_pem()
    values = {"name": name, "role": Role.READER, "public_key": pem, "password_hash": password_hash}
    return AdministratorRequest(**(values | changes))


def test_an_administrator_has_a_user_of_the_broker_until_he_is_revoked(cluster, conf, management):
    request = administrator_request()
    cluster.api.create_administrator(request)
    assert management.password_hashes == {"limosa-administrator-bob": request.password_hash}

    cluster.api.revoke_administrator("bob")

    with cluster.conductor.database.reading() as session:
        assert session.get(enrolments.Farewell, "limosa-administrator-bob") is not None


def test_the_user_of_an_administrator_goes_when_his_key_expires(cluster, conf, management):
    view = cluster.api.create_administrator(administrator_request(valid_days=2))
    with cluster.conductor.database.reading() as session:
        row = session.get(enrolments.Farewell, "limosa-administrator-bob")
        assert iso(row.due_at_ms) == view.expires_at
    enrolling.users_of(conf, cluster.conductor.database).tidy()
    assert "limosa-administrator-bob" in management.rights, "not before"


def test_an_administrator_whose_user_cannot_be_made_is_not_registered(cluster, management):
    management.reason = "connection refused"
    with pytest.raises(BrokerManagementError):
        cluster.api.create_administrator(administrator_request())
    assert [view.name for view in cluster.api.list_administrators()] == ["ann"]

    management.reason = ""
    cluster.api.create_administrator(administrator_request())


def test_the_user_of_a_known_administrator_is_not_given_to_another_key(cluster, management):
    cluster.api.create_administrator(administrator_request())
    before = dict(management.password_hashes)
    with pytest.raises(AdministratorExistsError):
        cluster.api.create_administrator(
            administrator_request(public_key=PrivateKey.generate().public.to_pem())
        )
    with pytest.raises(InvalidRequestError):
        cluster.api.create_administrator(administrator_request("eve", password_hash="s3cret"))
    assert management.password_hashes == before
