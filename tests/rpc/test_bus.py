"""Calls and casts over oslo.messaging's fake transport: both ends of ours, no broker."""

import json
import logging
import threading
import time
from collections import Counter
from dataclasses import replace

import oslo_messaging
import pytest

from common import config
from common.agent_api import AgentAPI
from common.agent_api import interface as agent_interface
from common.checks import DEST_UNKNOWN
from common.conductor_api import INTERFACE as CONDUCTOR
from common.conductor_api import ConductorAPI
from common.context import Context
from common.dispatch import (
    Dispatcher,
    InternalError,
    MessageExpiredError,
    MethodUnknownError,
    ObeyConductors,
    exposed,
)
from common.envelope import Envelope, Interface, MisdirectedError, seal
from common.errors import ConfigurationError, InstanceNotFoundError, RefusedError, ServiceUnreachableError
from common.identity import Identity, KeyUnknownError, Kind, PrivateKey, SignatureWrongError
from common.migration import Acknowledgement, Command, Outcome, RollbackArguments
from common.rpc import Bus, BusError, BusRefusedError, ReplyNotProvenError
from common.states import Result, Verb
from common.views import LiveMigrationRequest, MigrationView
from common.wire import WireError, to_primitive
from tests.fakes import identities
from tests.fakes.refusing_broker import refusing_broker

COMMAND = Command(
    instance="i",
    migration="m",
    epoch=3,
    verb=Verb.ROLLBACK,
    host="compute2",
    arguments=RollbackArguments(name="web1"),
)
OUTCOME = Outcome(
    instance="i", migration="m", epoch=3, verb=Verb.ROLLBACK, host="compute2", boot_id="b", result=Result.OK
)
NOBODY = Interface(name="conductor", topic="limosa-nobody")
WAIT_S = 5.0


@pytest.fixture(scope="module")
def make_bus():
    """Several may be made one after the other: oslo.messaging needs the global configuration."""
    conf = config.CONF
    config.register_options(conf)
    conf([], default_config_files=[], default_config_dirs=[])

    def make_bus(transport_url: str) -> Bus:
        conf.set_override("transport_url", transport_url)
        return Bus(conf, identity=identities.CONDUCTOR, keyring=identities.EverybodysKeys())

    yield make_bus
    conf.reset()
    conf.clear_override("transport_url")


@pytest.fixture(scope="module")
def bus(make_bus):
    bus = make_bus("fake://")
    yield bus
    bus.close()


@pytest.fixture(scope="module")
def served_conductor(bus):
    conductor = Conductor()
    server = bus.serve(CONDUCTOR, "controller", conductor, guard=identities.LetThrough())
    server.start()
    yield conductor
    server.stop()


@pytest.fixture
def conductor(bus, served_conductor):
    served_conductor.outcomes.clear()
    served_conductor.heard.clear()
    bus.sent.clear()
    return served_conductor


@pytest.fixture
def serve(bus):
    """Serve an agent's endpoint for the test."""
    servers = []

    def serve(interface, endpoint):
        server = bus.serve(interface, "compute2", endpoint, guard=ObeyConductors())
        server.start()
        servers.append(server)

    yield serve
    for server in servers:
        server.stop()


class Agent:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []
        self.heard = threading.Event()

    @exposed
    def execute(self, context: Context, command: Command) -> None:
        self._remember(context, command)

    @exposed
    def acknowledge(self, context: Context, acknowledgements: tuple[Acknowledgement, ...]) -> None:
        self._remember(context, acknowledgements)

    @exposed
    def request_report(self, context: Context) -> None:
        self._remember(context, None)

    def _remember(self, context, what):
        self.told.append((str(context.signer), what))
        self.heard.set()


class Conductor:
    """A few of the conductor's methods, with every kind of answer."""

    def __init__(self):
        self.outcomes = []
        self.heard = threading.Event()

    @exposed
    def confirm_live_migration(self, context: Context, migration: str, epoch: int) -> bool:
        return (migration, epoch) == ("m", 3)

    @exposed
    def ledger_floor(self, context: Context, host: str) -> tuple[Acknowledgement, ...]:
        return (Acknowledgement(instance="i", epoch=9),) if host == "compute2" else ()

    @exposed
    def outcome(self, context: Context, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.heard.set()

    @exposed
    def show_migration(self, context: Context, migration: str) -> MigrationView:
        raise ValueError("password=hunter2 in a bug")

    @exposed
    def live_migrate(self, context: Context, request: LiveMigrationRequest) -> MigrationView:
        if request.instance != "web1":
            raise InstanceNotFoundError(instance=request.instance)
        finding = DEST_UNKNOWN.finding(dest="compute9", known="compute1")
        raise RefusedError(instance=request.instance, count=1, findings=(finding,))

    def not_exposed(self, context: Context) -> str:
        return "secret"


def test_a_command_reaches_the_agent_of_its_host_only(bus, serve):
    here, elsewhere = Agent(), Agent()
    serve(agent_interface("compute2"), here)
    serve(agent_interface("compute1"), elsewhere)
    AgentAPI(bus).execute(COMMAND)
    assert here.heard.wait(WAIT_S)
    assert here.told == [("conductor:controller", COMMAND)]
    assert elsewhere.told == []


def test_acknowledgements_and_requests_without_arguments_arrive(bus, serve):
    agent = Agent()
    serve(agent_interface("compute2"), agent)
    api = AgentAPI(bus)
    api.acknowledge("compute2", (Acknowledgement(instance="i", epoch=3),))
    assert agent.heard.wait(WAIT_S)
    agent.heard.clear()
    api.request_report("compute2")
    assert agent.heard.wait(WAIT_S)
    assert [what for _, what in agent.told] == [(Acknowledgement(instance="i", epoch=3),), None]


def test_a_call_brings_its_answer_back_as_its_type(bus, conductor):
    api = ConductorAPI(bus)
    assert api.confirm_live_migration("m", 3) is True
    assert api.confirm_live_migration("m", 4) is False
    assert api.ledger_floor("compute2") == (Acknowledgement(instance="i", epoch=9),)


def test_an_outcome_reaches_the_conductor(bus, conductor):
    ConductorAPI(bus).outcome(OUTCOME)
    assert conductor.heard.wait(WAIT_S)
    assert conductor.outcomes == [OUTCOME]


def test_an_error_of_ours_is_raised_again_at_the_caller_with_all_findings(bus, conductor):
    api = ConductorAPI(bus)
    with pytest.raises(InstanceNotFoundError, match="There is no instance db7"):
        api.live_migrate(LiveMigrationRequest(instance="db7"))
    with pytest.raises(RefusedError) as refused:
        api.live_migrate(LiveMigrationRequest(instance="web1", dest="compute9"))
    assert [finding.code for finding in refused.value.findings] == ["dest_unknown"]
    assert refused.value.findings[0].evidence["known"] == "compute1"


def test_a_bug_is_logged_once_with_its_traceback_and_tells_the_caller_nothing_of_it(bus, conductor, caplog):
    with caplog.at_level(logging.INFO, logger="common.dispatch"), pytest.raises(InternalError) as caught:
        ConductorAPI(bus).show_migration("m")
    assert "hunter2" not in str(caught.value)
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 1
    assert caught.value.fields["request_id"] in tracebacks[0].getMessage()


@pytest.mark.parametrize("method", ["not_exposed", "_remember", "__init__", "nothing"])
def test_only_exposed_methods_can_be_called(bus, conductor, method):
    with pytest.raises(MethodUnknownError, match=method):
        bus.client(CONDUCTOR).call(method, kind=str)


@pytest.mark.parametrize("arguments", [(), ("m",), ("m", "3"), ("m", 3, "extra")])
def test_wrong_arguments_are_refused_before_the_method_runs(bus, conductor, arguments):
    with pytest.raises(WireError):
        bus.client(CONDUCTOR).call("confirm_live_migration", *arguments, kind=bool)


def test_a_newer_caller_may_send_more_arguments(bus, conductor):
    newer = Interface(
        name=CONDUCTOR.name, topic=CONDUCTOR.topic, major=CONDUCTOR.major, minor=CONDUCTOR.minor + 1
    )
    assert bus.client(newer).call("confirm_live_migration", "m", 3, "extra", kind=bool) is True


def test_another_major_is_refused_with_a_reason(bus, conductor):
    other = Interface(name=CONDUCTOR.name, topic=CONDUCTOR.topic, major=CONDUCTOR.major + 1)
    with pytest.raises(WireError, match="cannot talk to"):
        bus.client(other).call("confirm_live_migration", "m", 3, kind=bool)


def test_nobody_answering_is_told_within_the_timeout(bus):
    started = time.monotonic()
    with pytest.raises(ServiceUnreachableError, match=r"within 0\.3 s"):
        bus.client(NOBODY).call("ledger_floor", "compute2", kind=tuple[Acknowledgement, ...], timeout_s=0.3)
    assert time.monotonic() - started < 3


def test_messages_are_counted_by_method_replies_to_calls_only(bus, conductor):
    api = ConductorAPI(bus)
    api.confirm_live_migration("m", 3)
    api.outcome(OUTCOME)
    assert conductor.heard.wait(WAIT_S)
    assert bus.sent == {"confirm_live_migration": 1, "confirm_live_migration reply": 1, "outcome": 1}


def test_an_endpoint_without_a_context_is_refused_at_start(bus):
    class Wrong:
        @exposed
        def method(self, something: str) -> None: ...

    with pytest.raises(TypeError, match="Context"):
        bus.serve(CONDUCTOR, "compute2", Wrong(), guard=identities.LetThrough())


def test_a_request_that_nobody_answers_is_asked_again_under_its_id_and_signed_anew(
    bus, conductor, monkeypatch
):
    asked = []
    send = bus.send

    def lose_the_first(client, is_call, sealed, timeout_s):
        asked.append(sealed)
        if len(asked) == 1:
            raise oslo_messaging.MessagingTimeout("lost")
        return send(client, is_call, sealed, timeout_s)

    monkeypatch.setattr(bus, "send", lose_the_first)
    with pytest.raises(RefusedError):
        ConductorAPI(bus).live_migrate(LiveMigrationRequest(instance="web1"))
    first, second = asked
    assert first["request_id"] == second["request_id"]
    assert first["signature"] != second["signature"]


def test_a_look_that_nobody_answers_is_not_asked_twice(bus, conductor, monkeypatch):
    asked = []

    def lose(*_arguments):
        asked.append(1)
        raise oslo_messaging.MessagingTimeout("lost")

    monkeypatch.setattr(bus, "send", lose)
    with pytest.raises(ServiceUnreachableError):
        ConductorAPI(bus).confirm_live_migration("m", 3)
    assert len(asked) == 1


# ---- what arrives, without a bus


@pytest.fixture
def agent():
    return Agent()


@pytest.fixture
def dispatcher(agent):
    return Dispatcher(
        agent_interface("compute2"),
        agent,
        identity=identities.host("compute2"),
        keyring=identities.EverybodysKeys(Kind.CONDUCTOR),
        guard=ObeyConductors(),
        message_max_age_s=300,
        sent=Counter(),
    )


def sealed_command(*, identity=identities.CONDUCTOR, audience="limosa-compute.compute2", **changes):
    """A message of a conductor; `changes` are made to it before it is signed."""
    envelope = Envelope(
        signer=str(identity.principal),
        audience=audience,
        request_id="req-1",
        sent_at=time.time(),
        interface="compute-agent",
        version="1.0",
        method="request_report",
        payload=json.dumps({"arguments": []}),
    )
    envelope = replace(envelope, **changes)
    return to_primitive(replace(envelope, signature=identity.key.sign(envelope.signed_text())))


def error_code(reply) -> str:
    return json.loads(reply["payload"])["error"]["code"]


def test_a_stale_command_is_dropped_and_logged(dispatcher, agent, caplog):
    with caplog.at_level(logging.WARNING, logger="common.dispatch"):
        reply = dispatcher.receive({}, sealed_command(sent_at=time.time() - 301))
    assert error_code(reply) == MessageExpiredError.__name__
    assert agent.told == []
    assert "request_report from conductor:controller was 301 s old" in caplog.text


def test_a_command_from_a_clock_that_is_a_little_ahead_is_taken(dispatcher, agent):
    dispatcher.receive({}, sealed_command(sent_at=time.time() + 200))
    assert len(agent.told) == 1


def test_a_command_from_the_future_is_dropped_it_could_be_sent_again_for_too_long(dispatcher, agent):
    reply = dispatcher.receive({}, sealed_command(sent_at=time.time() + 3600))
    assert error_code(reply) == MessageExpiredError.__name__
    assert agent.told == []


# ---- whose word counts


def test_a_command_of_another_host_is_not_obeyed(dispatcher, agent):
    reply = dispatcher.receive({}, sealed_command(identity=identities.host("compute1")))
    assert error_code(reply) == KeyUnknownError.__name__
    assert agent.told == []


def test_a_host_whose_key_is_known_may_still_not_command(agent):
    known = dispatcher_that_knows_everybody(agent)
    assert (
        error_code(known.receive({}, sealed_command(identity=identities.host("compute1"))))
        == "NotPermittedError"
    )
    assert agent.told == []


def test_a_command_in_a_conductors_name_without_its_key_is_not_obeyed(dispatcher, agent):
    forger = Identity(principal=identities.CONDUCTOR.principal, key=PrivateKey.generate())
    reply = dispatcher.receive({}, sealed_command(identity=forger))
    assert error_code(reply) == SignatureWrongError.__name__
    assert agent.told == []


@pytest.mark.parametrize("field", ["payload", "method", "request_id", "audience", "version", "signature"])
def test_a_command_that_was_changed_on_its_way_is_not_obeyed(dispatcher, agent, field):
    message = sealed_command()
    reply = dispatcher.receive({}, {**message, field: message[field] + " "})
    assert error_code(reply) in (SignatureWrongError.__name__, WireError.__name__)
    assert agent.told == []


def test_a_command_for_another_host_is_not_obeyed_though_its_signature_is_right(dispatcher, agent):
    reply = dispatcher.receive({}, sealed_command(audience="limosa-compute.compute1"))
    assert error_code(reply) == MisdirectedError.__name__
    assert agent.told == []


def test_an_unsigned_command_is_not_obeyed(dispatcher, agent):
    message = {key: value for key, value in sealed_command().items() if key != "signature"}
    assert error_code(dispatcher.receive({}, message)) == SignatureWrongError.__name__
    assert agent.told == []


def test_an_answer_of_somebody_else_is_not_believed(bus, conductor, monkeypatch):
    impostor = identities.host("compute9")
    server_side = replace(identities.CONDUCTOR, principal=impostor.principal, key=impostor.key)
    reply = seal(
        json.dumps({"result": True}),
        identity=server_side,
        audience=str(bus.identity.principal),
        interface=CONDUCTOR,
        method="confirm_live_migration",
    )
    monkeypatch.setattr(bus, "send", lambda *_arguments: reply)
    with pytest.raises(ReplyNotProvenError, match="host:compute9 has answered"):
        ConductorAPI(bus).confirm_live_migration("m", 3)


def test_the_answer_to_another_request_is_not_believed(bus, conductor, monkeypatch):
    old = seal(
        json.dumps({"result": True}),
        identity=identities.CONDUCTOR,
        audience=str(bus.identity.principal),
        interface=CONDUCTOR,
        method="confirm_live_migration",
        request_id="req-yesterday",
    )
    monkeypatch.setattr(bus, "send", lambda *_arguments: old)
    with pytest.raises(ReplyNotProvenError, match="something else"):
        ConductorAPI(bus).confirm_live_migration("m", 3)


def dispatcher_that_knows_everybody(agent):
    return Dispatcher(
        agent_interface("compute2"),
        agent,
        identity=identities.host("compute2"),
        keyring=identities.EverybodysKeys(),
        guard=ObeyConductors(),
        message_max_age_s=300,
        sent=Counter(),
    )


@pytest.mark.parametrize("message", [None, "text", {}, {"method": "execute"}])
def test_rubbish_is_answered_and_harms_nobody(dispatcher, agent, message):
    assert error_code(dispatcher.receive({}, message)) == WireError.__name__
    assert agent.told == []


@pytest.mark.parametrize("payload", ["", "[]", "{", '{"arguments": 1}', '{"other": []}'])
def test_a_payload_that_is_no_list_of_arguments_is_answered(dispatcher, agent, payload):
    assert error_code(dispatcher.receive({}, sealed_command(payload=payload))) == WireError.__name__
    assert agent.told == []


# ---- a broker that is away


@pytest.mark.parametrize("url", ["pigeon://limosa:s3cret@h/", "rabbit://limosa:s3cret@h:port/", "s3cret"])
def test_a_transport_url_that_is_none_is_a_configuration_error(make_bus, url):
    with pytest.raises(ConfigurationError, match=r"\[DEFAULT\]transport_url: ") as caught:
        make_bus(url)
    assert ":s3cret@" not in str(caught.value)


@pytest.fixture
def orphan(make_bus):
    """A bus whose broker refuses connections: a port of this machine that nobody listens on."""
    return make_bus("rabbit://limosa:s3cret@127.0.0.1:1/")


@pytest.fixture
def strict_broker():
    with refusing_broker() as port:
        yield port


def test_a_call_with_a_wrong_password_ends_at_once_and_says_so(make_bus, strict_broker):
    bus = make_bus(f"rabbit://limosa:s3cret@127.0.0.1:{strict_broker}/")
    started = time.monotonic()
    with pytest.raises(BusRefusedError, match="refuses us: ACCESS_REFUSED - Login was refused") as caught:
        bus.client(CONDUCTOR).call("list_instances", kind=str, timeout_s=30)
    assert time.monotonic() - started < WAIT_S
    assert "s3cret" not in str(caught.value)
    bus.close()


def test_a_cast_without_a_broker_fails_promptly_and_keeps_the_password(orphan):
    started = time.monotonic()
    with pytest.raises(BusError) as caught:
        AgentAPI(orphan).execute(COMMAND)
    assert time.monotonic() - started < 6
    assert "s3cret" not in str(caught.value)
    assert caught.value.fields["topic"] == "limosa-compute.compute2"


def test_calls_without_a_broker_end_and_do_not_pile_up_for_ever(orphan, monkeypatch):
    monkeypatch.setattr("common.rpc.SEND_TIMEOUT_S", 0.1)
    monkeypatch.setattr("common.rpc.STUCK_MAX", 2)
    client = orphan.client(CONDUCTOR)
    before = threading.active_count()
    for _ in range(5):
        with pytest.raises(ServiceUnreachableError, match=r"limosa:\*\*\*@127"):
            client.call("list_instances", kind=str, timeout_s=0.1)
    assert threading.active_count() - before <= 2
